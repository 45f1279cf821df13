"""Colours of the figure and of its cards, for light and dark pages.

Warm colours are the signer's right side, cool ones the left: the arm, then
thumb, index, middle, ring and little finger.
"""

from signllm_jax.core.skeleton_type import SIDES

RIGHT = ("#d9482b", "#a61e4d", "#e8590c", "#f2a100", "#e64980", "#8d3b16")
LEFT = ("#2f6fde", "#3b2fb5", "#1c8fe0", "#0ca5a0", "#2f9e44", "#7c4ddb")
_SIDES = {"right": RIGHT, "left": LEFT}


def mix(first: str, second: str, share: float) -> str:
  """Mixes two colours #rrggbb; a share of 0 gives the first."""
  pairs = zip(bytes.fromhex(first[1:]), bytes.fromhex(second[1:]), strict=True)
  return "#" + bytes(round(a + (b - a) * share) for a, b in pairs).hex()


def _theme(base: dict[str, str], lighter: float) -> dict[str, str]:
  """All colours of a theme.

  Args:
    base: of the page and the body.
    lighter: share of white in the colours of arms and fingers.
  """
  theme = dict(base)
  for side in SIDES:
    arm, *fingers = (mix(c, "#ffffff", lighter) for c in _SIDES[side])
    palm = mix(base["card"], arm, 0.22)
    theme[f"{side}_arm"], theme[f"{side}_palm"] = arm, palm
    for number, colour in enumerate(fingers, 1):
      theme[f"{side}_finger_{number}"] = colour
      # Within the palm a finger is paler, so that it grows out of it.
      theme[f"{side}_root_{number}"] = mix(palm, colour, 0.35)
  theme["lips"] = mix(base["head"], base["bone"], 0.45)
  return theme


# Role -> colour.
LIGHT = _theme(
  {
    "page": "#f4f6f8",
    "card": "#ffffff",
    "edge": "#dfe4ec",
    "ink": "#2b303b",
    "faint": "#5f6878",
    "bone": "#5b6475",
    "torso": "#ecf0f4",
    "head": "#f4f6f8",
  },
  0,
)
DARK = _theme(
  {
    "page": "#14171d",
    "card": "#1d2129",
    "edge": "#323946",
    "ink": "#eceff4",
    "faint": "#a5aebd",
    "bone": "#a4aec0",
    "torso": "#282e39",
    "head": "#14171d",
  },
  0.3,
)

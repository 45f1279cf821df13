"""Which parts of the body are shown, produced against true.

A part is shown in a frame that shows any of its joints. The parts are those of
the skeleton: the body, each hand and, if it has one, the face.
"""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from signllm_jax.core import clips


def parts(clip: clips.Clip) -> np.ndarray:
  """Whether each part is shown in each frame: [T, P] bool."""
  shown = [
    clip.valid[:, list(joints)].any(1)
    for joints in clip.skeleton.parts.values()
  ]
  return np.stack(shown, -1)


def parts_of_texts(listed: Iterable[clips.Clip]) -> dict[str, np.ndarray]:
  """Text -> whether any of its clips ever shows each part, [P] bool."""
  shown: dict[str, np.ndarray] = {}
  for clip in listed:
    own = parts(clip).any(axis=0)
    shown[clip.text] = np.logical_or(own, shown.get(clip.text, False))
  return shown


def errors(
  produced: Sequence[clips.Clip], true: Sequence[clips.Clip]
) -> np.ndarray:
  """|share of frames that show a part, produced - true|, mean over parts."""
  return np.array(
    [
      np.abs(parts(a).mean(0) - parts(b).mean(0)).mean()
      for a, b in zip(produced, true, strict=True)
    ]
  )


def hidden_shown(
  produced: Sequence[clips.Clip],
  true: Sequence[clips.Clip],
  trained: Mapping[str, np.ndarray],
) -> np.ndarray:
  """Frames that show a part which no recording of the text shows: [n, 2].

  Args:
    produced: the produced clips.
    true: the true clips; what they show is not hidden either.
    trained: `parts_of_texts` of the training clips.

  Returns:
    The number of such frames, and of all produced frames.
  """
  own = parts_of_texts(true)
  rows = []
  for clip, reference in zip(produced, true, strict=True):
    text = reference.text
    hidden = ~(own[text] | trained.get(text, False))
    rows.append(((parts(clip) & hidden).any(1).sum(), len(clip)))
  return np.array(rows, np.float64)

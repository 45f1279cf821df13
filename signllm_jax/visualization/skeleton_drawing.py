"""Drawing of single frames: a card for the body and one for each hand."""

import dataclasses
import itertools

import numpy as np
from PIL import Image, ImageDraw

from signllm_jax.core import clips
from signllm_jax.core.skeleton import HAND_JOINTS, SIDES
from signllm_jax.visualization import fonts

PAGE, CARD, EDGE = "#f4f6f8", "#ffffff", "#e0e4ec"
INK, FAINT = "#2b303b", "#8a93a3"
BONE, TORSO = "#5b6475", "#ecf0f4"
# Warm colours are the signer's right side, cool ones the left: the arm, then
# thumb, index, middle, ring and little finger.
RIGHT = ("#d9482b", "#a61e4d", "#e8590c", "#f2a100", "#e64980", "#8d3b16")
LEFT = ("#2f6fde", "#3b2fb5", "#1c8fe0", "#0ca5a0", "#2f9e44", "#7c4ddb")
PALMS = {"right": "#f8d8d0", "left": "#d0e0fc"}
COLOURS = (PAGE, CARD, EDGE, INK, FAINT, BONE, TORSO)
COLOURS += (*RIGHT, *LEFT, *PALMS.values())
OVER = 4  # oversampling, for smooth edges


@dataclasses.dataclass(frozen=True)
class View:
  """A square window of the plane, the same for all clips.

  Attributes:
    centre: [2] its centre, in the clips' unit.
    half: half of its side.
    hand: half of the side of the hands' windows.
    head: radius of the head.
  """

  centre: np.ndarray
  half: float
  hand: float
  head: float


def fit(sequence: list[clips.Clip]) -> View:
  """Fits a view to all clips, without their outliers."""
  frames = np.concatenate([clip.frames[..., :2] for clip in sequence])
  valid = np.concatenate([clip.valid for clip in sequence])
  skeleton = sequence[0].skeleton
  neck, neck_seen = (
    skeleton.origin_of(frames)[:, 0],
    skeleton.origin_shown(valid),
  )
  nose, nose_seen = skeleton.place("nose", frames, valid)
  both = nose_seen & neck_seen
  head = 0.0
  if both.any():
    head = 0.55 * float(np.median(np.linalg.norm(nose - neck, axis=-1)[both]))
  tops = nose[nose_seen, :2] - [0, 1.2 * head]
  points = np.concatenate([frames[valid], tops])
  if not len(points):
    return View(np.zeros(2), 1.0, 1.0, head)
  low, high = np.percentile(points, [0.2, 99.8], axis=0)
  middle = (low + high) / 2
  if neck_seen.any():  # centred on the signer
    middle[0] = np.median(neck[neck_seen, 0])
  half = max(*(high - middle), *(middle - low), 1e-6)
  reach = [
    np.abs(_about_hand(clip, side))[clip.valid[:, _hand(clip, side)]].ravel()
    for clip in sequence
    for side in SIDES
  ]
  reach = np.concatenate(reach)
  hand = max(float(np.percentile(reach, 99.8)), 1e-6) if len(reach) else 1.0
  return View(middle, 1.1 * half, 1.15 * hand, head)


def _hand(clip: clips.Clip, side: str) -> slice:
  root = clip.skeleton.hand(side)
  return slice(root, root + HAND_JOINTS)


def _about_hand(clip: clips.Clip, side: str) -> np.ndarray:
  """Joints of a hand [T, 21, 2] relative to its smoothed centre.

  The centre is the wrist plus the smoothed offset from the wrist to the mean
  joint: the wrist alone would leave half of the window empty, and the mean
  joint moves with every finger.
  """
  seen = clip.valid[:, _hand(clip, side)]
  joints = clip.frames[:, _hand(clip, side), :2] * seen[..., None]
  offset = joints.mean(1) - joints[:, 0]
  reach = max(1, round(clip.fps))
  bell = np.exp(-0.5 * (np.arange(-reach, reach + 1) / (clip.fps / 4)) ** 2)
  whole = seen.all(1)

  def smooth(values):
    return np.convolve(values * whole, bell)[reach : reach + len(clip)]

  weight = np.maximum(smooth(np.ones(len(clip))), 1e-12)
  offset = np.stack([smooth(offset[:, axis]) / weight for axis in (0, 1)], -1)
  # Without the wrist, the mean of the visible joints.
  middle = joints.sum(1) / np.maximum(seen.sum(1), 1)[:, None]
  centre = np.where(seen[:, :1], joints[:, 0] + offset, middle)
  return joints - centre[:, None]


class Artist:
  """Draws the frames of one clip; computes all geometry once."""

  def __init__(
    self, clip: clips.Clip, label: str, view: View, size: int, longest: int
  ):
    """Prepares a clip.

    Args:
      clip: the clip.
      label: shown in its card; may be empty.
      view: the visible part of the plane.
      size: width of a picture in pixels.
      longest: frames of the longest clip beside it.
    """
    self.clip, self.longest = clip, longest
    unit = size / 320
    self._px = unit * OVER  # a pixel of a picture 320 wide
    self._face = fonts.find("0", 11 * self._px)
    self.gap = round(8 * unit)
    self.body = size - 2 * self.gap
    self.inset = (self.body - self.gap) // 2
    self.foot = round(22 * unit)
    self.size = (size, 2 * self.gap + self.body + self.inset + self.foot)
    self._head = view.head * self.body * OVER / (2 * view.half)

    def pixels(joints, half, side):
      return (joints / half + 1) * (side * OVER / 2)

    self._points = pixels(
      clip.frames[..., :2] - view.centre, view.half, self.body
    )
    self._hands = {
      side: pixels(_about_hand(clip, side), view.hand, self.inset)
      for side in SIDES
    }
    self._page = Image.new("RGB", self.size, PAGE)
    self._body_card = self._card(self.body)
    if label:
      self._draw_label(ImageDraw.Draw(self._body_card), label)
    self._hand_cards = {side: self._card(self.inset) for side in SIDES}
    for side, card in self._hand_cards.items():
      at = 8 * self._px
      ImageDraw.Draw(card).text((at, at), f"{side} hand", FAINT, self._face)

  def draw(self, t: int) -> Image.Image:
    """Draws frame t as an image of `size`; beyond the end the last frame."""
    t = min(t, len(self.clip) - 1)
    page = self._page.copy()
    page.paste(self._draw_body(t), (self.gap, self.gap))
    top = 2 * self.gap + self.body
    page.paste(self._draw_inset(t, "right"), (self.gap, top))
    page.paste(
      self._draw_inset(t, "left"), (self.gap + self.body - self.inset, top)
    )
    page.paste(self._draw_foot(t), (self.gap, top + self.inset))
    return page

  def _card(self, side: int) -> Image.Image:
    card = Image.new("RGB", (side * OVER, side * OVER), PAGE)
    ImageDraw.Draw(card).rounded_rectangle(
      (0, 0, side * OVER - 1, side * OVER - 1),
      radius=10 * self._px,
      fill=CARD,
      outline=EDGE,
      width=OVER,
    )
    return card

  def _draw_label(self, draw, label: str) -> None:
    face = fonts.find(label, 12 * self._px)
    at, height = 8 * self._px, 19 * self._px
    end = at + face.getlength(label) + height
    draw.rounded_rectangle((at, at, end, at + height), height / 2, INK)
    draw.text(((at + end) / 2, at + height / 2), label, CARD, face, anchor="mm")

  def _draw_body(self, t: int) -> Image.Image:
    card = self._body_card.copy()
    draw = ImageDraw.Draw(card)
    points, valid = self._points[t].tolist(), self.clip.valid[t].tolist()
    thick = 7 * self._px

    def limb(a, b, colour, width):
      if valid[a] and valid[b]:
        _stroke(draw, points[a], points[b], colour, width)

    skeleton = self.clip.skeleton
    right, left = skeleton.shoulders
    neck, nose = skeleton.find("neck"), skeleton.find("nose")
    if valid[right] and valid[left]:
      self._draw_torso(draw, *points[right], *points[left])
    if neck is None:
      limb(right, left, BONE, thick)
    else:
      limb(right, neck, BONE, thick)
      limb(left, neck, BONE, thick)
    if nose is not None and neck is not None and not skeleton.face:
      limb(nose, neck, BONE, thick)
    for line in itertools.chain(*skeleton.features.values()):
      for a, b in itertools.pairwise(line):
        limb(a, b, BONE, 1.5 * self._px)
    if not skeleton.face and nose is not None and valid[nose]:
      x, y = points[nose]
      y -= 0.12 * self._head
      _disc(draw, (x, y), self._head, BONE)
      _disc(draw, (x, y), self._head - 2.5 * self._px, PAGE)
    for side, colours in (("left", LEFT), ("right", RIGHT)):
      shoulder, elbow, wrist = skeleton.arm(side)
      limb(shoulder, elbow, colours[0], thick)
      limb(elbow, wrist, colours[0], 0.85 * thick)
      hand = _hand(self.clip, side)
      limb(wrist, hand.start, colours[0], 0.6 * thick)
      _draw_hand(
        draw,
        points[hand],
        valid[hand],
        side,
        3 * self._px,
      )
    return card.reduce(OVER)

  def _draw_torso(self, draw, xr, yr, xl, yl) -> None:
    waist = 0.1 * (xl - xr)
    bottom = (self.body - 1) * OVER - 1  # inside the card's edge
    draw.polygon(
      [(xr, yr), (xl, yl), (xl - waist, bottom), (xr + waist, bottom)],
      fill=TORSO,
    )

  def _draw_inset(self, t: int, side: str) -> Image.Image:
    card = self._hand_cards[side].copy()
    _draw_hand(
      ImageDraw.Draw(card),
      self._hands[side][t].tolist(),
      self.clip.valid[t, _hand(self.clip, side)].tolist(),
      side,
      6 * self._px,
      halo=1.5 * self._px,
    )
    return card.reduce(OVER)

  def _draw_foot(self, t: int) -> Image.Image:
    """Draws time and progress, on a track as long as the clip."""
    width, height = self.body * OVER, self.foot * OVER
    foot = Image.new("RGB", (width, height), PAGE)
    draw = ImageDraw.Draw(foot)
    now, end = (t + 1) / self.clip.fps, len(self.clip) / self.clip.fps
    time = f"{now:.2f} / {end:.2f} s"
    draw.text((width, height / 2), time, FAINT, self._face, anchor="rm")
    room = width - 1.2 * self._face.getlength("00.00 / 00.00 s")
    thick = 4 * self._px
    top = (height - thick) / 2
    for count, colour in ((len(self.clip), EDGE), (t + 1, BONE)):
      end = max(room * count / self.longest, thick)
      draw.rounded_rectangle((0, top, end, top + thick), thick / 2, colour)
    return foot.reduce(OVER)


def _stroke(draw, a, b, colour: str, width: float) -> None:
  width = round(width)
  draw.line((*a, *b), fill=colour, width=width)
  _disc(draw, a, width / 2, colour)
  _disc(draw, b, width / 2, colour)


def _disc(draw, centre, radius: float, colour: str) -> None:
  x, y = centre
  # Pillow's ellipse includes its far edge: one pixel less.
  end = radius - 1
  draw.ellipse((x - radius, y - radius, x + end, y + end), fill=colour)


def _draw_hand(draw, points, valid, side: str, width: float, halo=0.0) -> None:
  palm = [0, 1, 5, 9, 13, 17]
  if all(valid[joint] for joint in palm):
    draw.polygon([tuple(points[joint]) for joint in palm], fill=PALMS[side])
  colours = RIGHT if side == "right" else LEFT
  for finger in range(5):
    first = 1 + 4 * finger
    chain = [0, first, first + 1, first + 2, first + 3]
    pairs = [
      (points[a], points[b], width * (0.6 if a == 0 else 1))
      for a, b in itertools.pairwise(chain)
      if valid[a] and valid[b]
    ]
    for a, b, w in pairs[1:] if halo else ():  # separates fingers that cross
      _stroke(draw, a, b, CARD, w + 2 * halo)
    for a, b, w in pairs:
      _stroke(draw, a, b, colours[1 + finger], w)

"""The view that clips of one picture share: its windows and units."""

import dataclasses
import functools
from collections.abc import Sequence

import numpy as np

from signllm_jax.core import clips
from signllm_jax.core.skeleton import HAND_JOINTS, SIDES
from signllm_jax.visualization import figure

MARGIN = 1.06  # of a window, around what it holds
# Farther than any arm or hand reaches: beyond are faults of detection.
FARTHEST = 3.5  # a point of the body from the neck, in shoulder widths
WIDEST = 1.9  # a fingertip from the hand's centre, in lengths of the palm
PALM = 75  # percentile of the palm's length over frames: it is foreshortened
PALM_RANGE = (0.1, 0.6)  # of its length, in shoulder widths


@dataclasses.dataclass(frozen=True)
class View:
  """Windows and units, in the clips' unit.

  Attributes:
    centre: [2] the middle of the body's window.
    half: half of its side.
    hand: half of the side of the hands' windows.
    shoulders: width of the shoulders.
    palm: length of the palm.
    head: radius of a round head; 0 if it is unknown.
  """

  centre: np.ndarray
  half: float
  hand: float
  shoulders: float
  palm: float
  head: float

  @property
  def half_finger(self) -> float:
    """Half of a finger's width, with its halo."""
    return figure.HALO * figure.FINGER / 2 * self.palm


class Geometry:
  """The positions of a clip's figure.

  Attributes:
    clip: the clip.
    shapes: of its skeleton.
    at: [T, P, D] the points of all shapes in their order, `down` left out.
    seen: [T, P] bool, where all of a point's joints are.
    down: [P] how far each lies further down, in shoulder widths.
  """

  def __init__(self, clip: clips.Clip):
    self.clip = clip
    self.shapes = figure.describe(clip.skeleton)
    points = [point for shape in self.shapes for point in shape.points]
    weights = np.zeros((len(points), clip.skeleton.num_joints), np.float32)
    for row, point in enumerate(points):
      weights[row, list(point.joints)] = point.weights
    self.down = np.array([point.down for point in points], np.float32)
    self.at = np.einsum("pj,tjd->tpd", weights, clip.frames, optimize=True)
    hidden = (~clip.valid).astype(np.float32) @ (weights != 0).T
    self.seen = hidden == 0

  @functools.cached_property
  def origin(self) -> np.ndarray:
    """[T, 2] the neck or the shoulders' middle; NaN where it is not seen."""
    skeleton = self.clip.skeleton
    origin = skeleton.origin_of(self.clip.frames)[:, 0, :2].copy()
    origin[~skeleton.origin_shown(self.clip.valid)] = np.nan
    return origin

  @functools.cached_property
  def hands(self) -> dict[str, "Hand"]:
    """The hands that any frame shows."""
    found = {side: _hand(self.clip, side) for side in SIDES[::-1]}
    return {side: hand for side, hand in found.items() if hand.seen.any()}


@dataclasses.dataclass(frozen=True)
class Hand:
  """A hand about its smoothed centre.

  Attributes:
    about: [T, 21, 2] joints relative to the centre.
    seen: [T, 21] bool.
    centre: [T, 2].
  """

  about: np.ndarray
  seen: np.ndarray
  centre: np.ndarray

  @functools.cached_property
  def reach(self) -> np.ndarray:
    """[T] how far the joints lie from the centre, in x or y."""
    return np.where(self.seen, np.abs(self.about).max(-1), 0).max(1)


def _hand(clip: clips.Clip, side: str) -> Hand:
  """Finds a hand's centre.

  It is the wrist plus the smoothed offset from the wrist to the mean joint: the
  wrist alone would leave half of the window empty, and the mean joint moves
  with every finger. Without the wrist it is the mean joint.
  """
  root = clip.skeleton.hand(side)
  hand = slice(root, root + HAND_JOINTS)
  seen = clip.valid[:, hand]
  joints = clip.frames[:, hand, :2] * seen[..., None]
  middle = joints.sum(1) / np.maximum(seen.sum(1), 1)[:, None]
  reach = max(1, round(clip.fps / 2))
  bell = np.exp(-0.5 * (np.arange(-reach, reach + 1) / (clip.fps / 8)) ** 2)
  whole = seen.all(1)

  def smooth(values: np.ndarray) -> np.ndarray:
    return np.convolve(values * whole, bell)[reach : reach + len(clip)]

  weight = smooth(np.ones(len(clip)))
  offset = middle - joints[:, 0]
  offset = np.stack([smooth(offset[:, axis]) for axis in (0, 1)], -1)
  offset /= np.maximum(weight, 1e-9)[:, None]
  known = seen[:, :1] & (weight > 1e-9)[:, None]
  centre = np.where(known, joints[:, 0] + offset, middle)
  return Hand(joints - centre[:, None], seen, centre)


def fit(sequence: Sequence[Geometry]) -> View:
  """Fits a view to clips that are shown together."""
  points = np.concatenate([_body_points(each) for each in sequence])
  extent = float(np.ptp(points, axis=0).max()) if len(points) else 0.0
  shoulders = _median([_shoulder_widths(g.clip) for g in sequence])
  shoulders = shoulders or max(extent, 1e-6) / 4
  lengths = np.concatenate([_palm_lengths(each.clip) for each in sequence])
  palm = float(np.percentile(lengths, PALM)) if len(lengths) else 0.0
  low, high = PALM_RANGE
  palm = min(max(palm, low * shoulders), high * shoulders)
  head = _median([_head_radii(each) for each in sequence])
  view = View(np.zeros(2), 1.0, 1.0, shoulders, palm, head)
  centre, half = _body_window(sequence, view)
  hand = _hand_window(sequence, view)
  return dataclasses.replace(view, centre=centre, half=half, hand=hand)


def _median(values: list[np.ndarray]) -> float:
  joined = np.concatenate(values)
  return float(np.median(joined)) if len(joined) else 0.0


def _shoulder_widths(clip: clips.Clip) -> np.ndarray:
  pair = list(clip.skeleton.shoulders)
  right, left = clip.frames[clip.valid[:, pair].all(1)][:, pair, :2].swapaxes(
    0, 1
  )
  return np.linalg.norm(right - left, axis=-1)


def _palm_lengths(clip: clips.Clip) -> np.ndarray:
  """The longest way from a wrist to a knuckle, a hand and frame."""
  found = []
  for side in SIDES:
    root = clip.skeleton.hand(side)
    joints = [root, *(root + 1 + 4 * finger for finger in range(1, 5))]
    hands = clip.frames[clip.valid[:, joints].all(1)][:, joints]
    ways = np.linalg.norm(hands[:, 1:] - hands[:, :1], axis=-1)
    found.append(ways.max(1))
  return np.concatenate(found)


def _noses(geometry: Geometry) -> tuple[np.ndarray, np.ndarray]:
  """The nose [T, 2] of a round head, and where it is seen [T]."""
  clip = geometry.clip
  nose, seen = clip.skeleton.place("nose", clip.frames, clip.valid)
  return nose[:, :2], seen & (not clip.skeleton.face)


def _head_radii(geometry: Geometry) -> np.ndarray:
  nose, seen = _noses(geometry)
  radii = 0.55 * np.linalg.norm(nose - geometry.origin, axis=-1)
  return radii[seen & np.isfinite(radii)]


def _body_points(geometry: Geometry, farthest: float = np.inf) -> np.ndarray:
  """[N, 2] the points that are seen, at most so far from the neck."""
  kept = geometry.down == 0
  at, seen = geometry.at[:, kept, :2], geometry.seen[:, kept]
  if np.isfinite(farthest):
    way = np.abs(at - geometry.origin[:, None]).max(-1)
    seen = seen & (way <= farthest)
  return at[seen]


def _body_window(
  sequence: Sequence[Geometry], view: View
) -> tuple[np.ndarray, float]:
  """Centre and half of the side of the window of the body."""
  farthest = FARTHEST * view.shoulders
  points = np.concatenate([_body_points(each, farthest) for each in sequence])
  if not len(points):  # no frame shows a neck
    points = np.concatenate([_body_points(each) for each in sequence])
  if not len(points):
    return np.zeros(2), 1.0
  up = (1 + figure.HEAD_LIFT) * view.head
  for geometry in sequence:
    nose, seen = _noses(geometry)
    points = np.concatenate([points, nose[seen] - [0, up]])
  low, high = points.min(0), points.max(0)
  middle = (low + high) / 2
  necks = np.concatenate([each.origin[:, 0] for each in sequence])
  if np.isfinite(necks).any():  # centred on the signer
    middle[0] = np.nanmedian(necks)
  half = max(*(high - middle), *(middle - low))
  return middle, MARGIN * float(half + figure.LIMB / 2 * view.shoulders)


def _hand_window(sequence: Sequence[Geometry], view: View) -> float:
  """Half of the side of the hands' windows."""
  hands = [hand for each in sequence for hand in each.hands.values()]
  reaches = np.concatenate([np.zeros(0), *(hand.reach for hand in hands)])
  sane = reaches[reaches <= WIDEST * view.palm]
  reach = sane.max() if sane.any() else WIDEST * view.palm
  return MARGIN * float(reach + view.half_finger)

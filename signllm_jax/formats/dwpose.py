"""DWPose's JSON, one file a frame: the form of Prompt2Sign since 2025.

Files are `<video>/results_dwpose/json/%08d.json`, from 1. A file is
{"num_persons": 1, "person_0": {...}, ...}; a person has body_keypoints (18
points of COCO-18, the first 8 are ours), a face that is not used,
left_hand_keypoints and right_hand_keypoints (21 points each), all as [x, y]
in shares of the picture's width and height. Not seen is [0, 0], or negative.
Beside each list may stand scores. Those of the hands are confidences; those
of the body are the points' own numbers in the frame, -1 where not seen.

With n people the published tool deals out the hands wrongly: it takes numbers
2i and 2i + 1 for person i of a list that holds n left hands, then n right. A
person's hands are taken in that order where they then lie nearer to the wrists.

Source: github.com/SignLLM/Prompt2Sign, tools-new-2025.
"""

import os
from collections.abc import Sequence
from typing import Annotated

import msgspec
import numpy as np

from signllm_jax.core import clips, errors, skeleton
from signllm_jax.formats import frame_files, people
from signllm_jax.formats.frame_files import FrameFiles

FORM = frame_files.Form(8, 1, ".json", ("json", "results_dwpose"))
_BODY_POINTS, _OURS = 18, 8
_HANDS = (
  slice(skeleton.LEFT_HAND, skeleton.LEFT_HAND + skeleton.HAND_JOINTS),
  slice(skeleton.RIGHT_HAND, skeleton.RIGHT_HAND + skeleton.HAND_JOINTS),
)
_WRISTS = (skeleton.LEFT_WRIST, skeleton.RIGHT_WRIST)
_MAX_SHARE = 2.0  # of the picture; a detector guesses a little beyond its edge


def _length(count: int) -> msgspec.Meta:
  return msgspec.Meta(min_length=count, max_length=count)


_Point = tuple[float, float]
_Hand = Annotated[list[_Point], _length(skeleton.HAND_JOINTS)]
_HandScores = Annotated[list[float], _length(skeleton.HAND_JOINTS)]
_Unused = msgspec.Raw | msgspec.UnsetType


class _Person(msgspec.Struct, gc=False):
  body_keypoints: Annotated[list[_Point], _length(_BODY_POINTS)]
  left_hand_keypoints: _Hand
  right_hand_keypoints: _Hand
  body_scores: (
    Annotated[list[float], _length(_BODY_POINTS)] | msgspec.UnsetType
  ) = msgspec.UNSET
  left_hand_scores: _HandScores | msgspec.UnsetType = msgspec.UNSET
  right_hand_scores: _HandScores | msgspec.UnsetType = msgspec.UNSET
  face_keypoints: _Unused = msgspec.UNSET
  face_scores: _Unused = msgspec.UNSET


_frame = msgspec.json.Decoder(dict[str, msgspec.Raw])
_person = msgspec.json.Decoder(_Person)
_count = msgspec.json.Decoder(int)


def find(root: str | os.PathLike) -> list[FrameFiles]:
  """The clips in a folder and the folders in it, by folder and prefix."""
  return frame_files.find(root, FORM)


def read(
  source: FrameFiles | str | os.PathLike | Sequence[str | os.PathLike],
  *,
  fps: float = 25.0,
  size: tuple[int, int] | None = None,
  name: str = "",
) -> clips.Keypoints:
  """Reads a clip's frames; see `people.follow` for frames with many people.

  Confidences of the body, and of hands without scores, are 1 where seen. A
  frame number without a file is a frame in which nothing was seen.

  Args:
    source: a clip of `find`, a folder with the files of one clip, or the files.
    fps: frames a second, which the files do not say.
    size: width and height of the picture, which they do not say either.
      Without it x and y stay shares of an unknown picture, taken as square.
    name: the clip's name; that of its folder if not given.

  Raises:
    DataError: no files or of several clips; a file is too large, no JSON, of
      another form, names a key twice, or has points far outside the picture.
    StorageError: a file cannot be read.
  """
  files = frame_files.one_clip(source, FORM)
  rows, t = files.rows()
  paths = files.paths
  found = [_people(frame_files.read(path), path) for path in paths]
  values = np.concatenate(found)
  owner = np.repeat(np.arange(len(paths)), [len(frame) for frame in found])
  share = np.where(values[..., 2:] > 0, values[..., :2], 0)
  if (far := (share > _MAX_SHARE).any((1, 2))).any():
    raise errors.DataError(
      f"a point at {share[np.argmax(far)].max():g}",
      path=paths[owner[np.argmax(far)]],
      expected="shares of the picture's width and height, 0 to 1",
    )
  if size is not None:
    values[..., :2] *= size
  if strange := people.first_strange(values):
    at, problem = strange
    raise errors.DataError(
      problem, path=paths[owner[at]], expected="points inside the picture"
    )
  frames = people.follow(people.clean(values), rows[owner], t)
  return clips.Keypoints(frames, fps, size, name or files.name)


def _people(data: bytes, path: str) -> np.ndarray:
  """[P, J, 3] float64 the people of a frame."""
  try:
    frame = _frame.decode(data)
    known = [key for key in frame if key.startswith("person_")]
    if sorted(known) != sorted(f"person_{i}" for i in range(len(known))):
      raise ValueError(f"keys {', '.join(sorted(known)[:5])}")
    if "num_persons" in frame and _count.decode(frame["num_persons"]) != len(
      known
    ):
      raise ValueError(
        f"{len(known)} people, and another number in num_persons"
      )
    if not known and "num_persons" not in frame:
      raise ValueError("neither num_persons nor person_0")
    if len(known) > people.MAX_PEOPLE:
      raise ValueError(f"{len(known)} people")
    persons = [_person.decode(frame[f"person_{i}"]) for i in range(len(known))]
    keys = len(frame)
    for person in persons:
      fields = msgspec.structs.astuple(person)
      keys += len(fields) - fields.count(msgspec.UNSET)
    frame_files.check_keys(data, keys)
  except (ValueError, RecursionError) as error:
    raise errors.DataError(
      f"not a frame of DWPose: {error}",
      path=path,
      expected='{"num_persons": 1, "person_0": {"body_keypoints": [...], ...}}',
    ) from error
  values = np.zeros((len(persons), skeleton.J, 3))
  for i, person in enumerate(persons):
    values[i, :_OURS, :2] = person.body_keypoints[:_OURS]
    values[i, :_OURS, 2] = _body_confidence(person.body_scores, i)[:_OURS]
    hands = (person.left_hand_keypoints, person.right_hand_keypoints)
    scores = (person.left_hand_scores, person.right_hand_scores)
    for at, points, score in zip(_HANDS, hands, scores, strict=True):
      values[i, at, :2] = points
      values[i, at, 2] = 1 if isinstance(score, msgspec.UnsetType) else score
  seen = (values[..., :2] >= 0).all(-1) & (values[..., :2] > 0).any(-1)
  values[~seen] = 0
  return _deal_hands(values) if len(values) > 1 else values


def _body_confidence(
  scores: list[float] | msgspec.UnsetType, person: int
) -> np.ndarray:
  """[18]; the published scores are the points' numbers, or -1."""
  if isinstance(scores, msgspec.UnsetType):
    return np.ones(_BODY_POINTS)
  found = np.array(scores)
  numbers = np.arange(_BODY_POINTS) + _BODY_POINTS * person
  if ((found == numbers) | (found == -1)).all():
    return (found >= 0).astype(np.float64)
  return found


def _deal_hands(values: np.ndarray) -> np.ndarray:
  """[P, J, 3] with the hands in the order that lies nearer to the wrists."""
  hands = np.stack([values[:, at] for at in _HANDS], 1)  # [P, 2, 21, 3]
  n = len(values)
  dealt = hands.reshape(2, n, *hands.shape[2:]).swapaxes(0, 1)
  wrists = values[:, _WRISTS]  # [P, 2, 3]

  def distance(order: np.ndarray) -> float:
    roots = order[:, :, 0]
    both = (roots[..., 2] > 0) & (wrists[..., 2] > 0)
    gap = np.linalg.norm(roots[..., :2] - wrists[..., :2], axis=-1)
    return float(gap[both].mean()) if both.any() else np.inf

  if distance(dealt) < distance(hands):
    for side, at in enumerate(_HANDS):
      values[:, at] = dealt[:, side]
  return values


def write(folder: str | os.PathLike, keypoints: clips.Keypoints) -> None:
  """Writes a frame a file, in the published form with one person or none.

  Lossy: of the body's confidences only whether a joint was seen remains, and
  what is seen at (0, 0) or at a negative place comes back as not seen.

  Args:
    folder: the folder to make, or to replace if it holds only such a clip. Its
      name is the clip's: the form's file names are numbers only.
    keypoints: the clip. Without a picture size its x and y must be shares of
      the picture already.

  Raises:
    DataError: a point lies far outside the picture, or is not finite.
    StorageError: the folder holds other files, or cannot be written.
  """
  if strange := people.first_strange(keypoints.frames):
    at, problem = strange
    raise errors.DataError(
      problem, path=folder, frame=at + 1, expected="pixels and a confidence"
    )
  frames = people.clean(keypoints.frames).astype(np.float64)
  frames[..., :2] /= keypoints.size or 1
  if (far := (frames[..., :2] > _MAX_SHARE).any((1, 2))).any():
    raise errors.DataError(
      f"a point at {frames[np.argmax(far), ..., :2].max():g} of the picture",
      path=folder,
      frame=int(np.argmax(far)) + 1,
      expected="shares of its width and height, 0 to 1",
      hint="Give the keypoints the size of their picture",
    )
  frame_files.write(folder, "", map(_format, frames), FORM)


def _format(frame: np.ndarray) -> bytes:
  """The file of a frame [J, 3]."""
  seen = frame[:, 2] > 0
  if not seen.any():
    return b'{"num_persons":0}'
  points = np.where(seen[:, None], frame[:, :2], -1)
  body = np.full((_BODY_POINTS, 2), -1.0)
  body[:_OURS] = points[:_OURS]
  numbers = np.full(_BODY_POINTS, -1.0)
  numbers[:_OURS] = np.where(seen[:_OURS], np.arange(_OURS), -1)
  left, right = _HANDS
  person = {
    "body_keypoints": body.tolist(),
    "body_scores": numbers.tolist(),
    "left_hand_keypoints": points[left].tolist(),
    "left_hand_scores": frame[left, 2].tolist(),
    "right_hand_keypoints": points[right].tolist(),
    "right_hand_scores": frame[right, 2].tolist(),
  }
  return msgspec.json.encode({"num_persons": 1, "person_0": person})

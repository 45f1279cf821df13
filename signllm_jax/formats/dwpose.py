"""DWPose's JSON, one file per frame: the format of Prompt2Sign since 2025.

Files are `<video>/results_dwpose/json/%08d.json`, from 1. A file is
{"num_persons": 1, "person_0": {...}, ...}. A person has body_keypoints (18
points of COCO-18, the first 8 are those of prompt2sign50), face_keypoints (68
points of iBUG), left_hand_keypoints and right_hand_keypoints (21 points each),
all as [x, y] in fractions of the image's width and height. The face belongs to
dwpose128 alone. A joint that was not seen
is [0, 0] or negative. Each list may have scores. Those of the hands are
confidences; those of the body are the points' numbers in the frame, -1 if not
seen.

With n people the published tool assigns hands wrongly: it takes numbers 2i and
2i + 1 for person i of a list with n left hands, then n right ones. The hands
are reassigned if they then lie nearer to the wrists.

Source: github.com/SignLLM/Prompt2Sign, tools-new-2025.
"""

import functools
import os
from collections.abc import Sequence
from typing import Annotated

import msgspec
import numpy as np

from signllm_jax.core import clips, errors, limits
from signllm_jax.core import skeleton as skeleton_lib
from signllm_jax.core.skeleton import (
  DWPOSE128,
  HAND_JOINTS,
  PROMPT2SIGN50,
  SIDES,
  Skeleton,
)
from signllm_jax.formats import detections, frame_files, frame_io, units
from signllm_jax.formats.frame_files import FrameFiles

NAMING = frame_files.Naming(8, 1, ".json", ("json", "results_dwpose"))
_BODY_POINTS, _FACE_POINTS = 18, 68


_Point = tuple[float, float]
_Hand = Annotated[list[_Point], frame_io.fixed_length(HAND_JOINTS)]
_HandScores = Annotated[list[float], frame_io.fixed_length(HAND_JOINTS)]
_Face = Annotated[list[_Point], frame_io.fixed_length(_FACE_POINTS)]
_FaceScores = Annotated[list[float], frame_io.fixed_length(_FACE_POINTS)]


class _Person(msgspec.Struct, gc=False):
  body_keypoints: Annotated[list[_Point], frame_io.fixed_length(_BODY_POINTS)]
  left_hand_keypoints: _Hand
  right_hand_keypoints: _Hand
  body_scores: (
    Annotated[list[float], frame_io.fixed_length(_BODY_POINTS)]
    | msgspec.UnsetType
  ) = msgspec.UNSET
  left_hand_scores: _HandScores | msgspec.UnsetType = msgspec.UNSET
  right_hand_scores: _HandScores | msgspec.UnsetType = msgspec.UNSET
  face_keypoints: _Face | msgspec.UnsetType = msgspec.UNSET
  face_scores: _FaceScores | msgspec.UnsetType = msgspec.UNSET


_frame_decoder = msgspec.json.Decoder(dict[str, msgspec.Raw])
_person_decoder = msgspec.json.Decoder(_Person)
_count_decoder = msgspec.json.Decoder(int)


def find(root: str | os.PathLike) -> list[FrameFiles]:
  """Finds the clips in a folder and its subfolders, by folder and prefix."""
  return frame_files.find(root, NAMING)


def read(
  source: FrameFiles | str | os.PathLike | Sequence[str | os.PathLike],
  *,
  fps: float = 25.0,
  size: tuple[int, int] | None = None,
  name: str = "",
  skeleton: Skeleton = PROMPT2SIGN50,
) -> clips.Keypoints:
  """Reads a clip; of several people the signer (`detections.select_signer`).

  Confidences of the body, and of parts without scores, are 1 if seen. A frame
  number without a file is a frame without detections.

  Args:
    source: a clip of `find`, a folder with the files of one clip, or the files.
    fps: frames per second, which the files lack.
    size: width and height of the image, which they lack too. Without it x and
      y stay fractions, as of a square image.
    name: the clip's name; that of its folder if not given.
    skeleton: prompt2sign50, or dwpose128 with legs, eyes, ears and face.

  Raises:
    DataError: no files, or those of several clips; a file is too large, not
      JSON, of another form, repeats a key, or has points far outside the image.
    StorageError: a file cannot be read.
  """
  if skeleton not in (PROMPT2SIGN50, DWPOSE128):
    skeleton_lib.check_same(skeleton, DWPOSE128, "DWPose's JSON as asked for")
  files = frame_files.one_clip(source, NAMING)
  people = [
    _decode(data, path, skeleton) for path, data in frame_io.read_all(files)
  ]
  counts = [len(of_frame) for of_frame in people]
  values = np.concatenate(people)
  fraction = np.where(values[..., 2:] > 0, values[..., :2], 0)
  if (far := (fraction > units.MAX_SHARE).any((1, 2))).any():
    index = int(np.argmax(far))
    raise errors.DataError(
      f"a point at {fraction[index].max():g}",
      path=frame_io.path_of(files, counts, index),
      expected="fractions of the image's width and height, 0 to 1",
    )
  if size is not None:
    values[..., :2] *= size
  return frame_io.to_keypoints(
    files,
    values,
    counts,
    expected="points inside the image",
    fps=fps,
    size=size,
    name=name,
    skeleton=skeleton,
  )


def _decode(data: bytes, path: str, skeleton: Skeleton) -> np.ndarray:
  """The people [P, J, 3] float64 of a frame, in fractions of the image."""
  try:
    frame = _frame_decoder.decode(data)
    keys = sorted(key for key in frame if key.startswith("person_"))
    count = len(keys)
    if keys != sorted(f"person_{i}" for i in range(count)):
      raise ValueError(f"keys {', '.join(keys[:5])}")
    if "num_persons" in frame:
      if _count_decoder.decode(frame["num_persons"]) != count:
        raise ValueError(f"{count} people, and another number in num_persons")
    elif not count:
      raise ValueError("neither num_persons nor person_0")
    if count > limits.MAX_PEOPLE:
      raise ValueError(f"{count} people")
    people = [
      _person_decoder.decode(frame[f"person_{i}"]) for i in range(count)
    ]
    frame_io.check_keys(data, len(frame) + frame_io.count_keys(people))
  except (ValueError, RecursionError) as error:
    raise errors.DataError(
      f"not a frame of DWPose: {frame_io.fault(error, data)}",
      path=path,
      expected='{"num_persons": 1, "person_0": {"body_keypoints": [...], ...}}',
    ) from error
  values = np.zeros((len(people), skeleton.num_joints, 3))
  body, face = list(skeleton.parts["body"]), list(skeleton.face)
  for i, person in enumerate(people):
    values[i, body, :2] = person.body_keypoints[: len(body)]
    values[i, body, 2] = body_confidence(person.body_scores, i)[: len(body)]
    others = [
      (
        _hand(skeleton, "left"),
        person.left_hand_keypoints,
        person.left_hand_scores,
      ),
      (
        _hand(skeleton, "right"),
        person.right_hand_keypoints,
        person.right_hand_scores,
      ),
    ]
    if face and not isinstance(person.face_keypoints, msgspec.UnsetType):
      others.append((face, person.face_keypoints, person.face_scores))
    for part, points, score in others:
      values[i, part, :2] = points
      values[i, part, 2] = 1 if isinstance(score, msgspec.UnsetType) else score
  return clear_unseen(values, skeleton)


def clear_unseen(values: np.ndarray, skeleton: Skeleton) -> np.ndarray:
  """Zeroes unseen joints of the people [P, J, 3] of a frame; orders hands."""
  seen = (values[..., :2] >= 0).all(-1) & (values[..., :2] > 0).any(-1)
  values[~seen] = 0
  return _reassign_hands(values, skeleton) if len(values) > 1 else values


def _hand(skeleton: Skeleton, side: str) -> list[int]:
  return list(skeleton.parts[f"{side}_hand"])


def body_confidence(
  scores: Sequence[float] | np.ndarray | msgspec.UnsetType, person: int
) -> np.ndarray:
  """Confidences [18]; published scores are the points' numbers, or -1."""
  if isinstance(scores, msgspec.UnsetType):
    return np.ones(_BODY_POINTS)
  values = np.array(scores, np.float64)
  numbers = np.arange(_BODY_POINTS) + _BODY_POINTS * person
  if ((values == numbers) | (values == -1)).all():
    return (values >= 0).astype(np.float64)
  return values


def _reassign_hands(values: np.ndarray, skeleton: Skeleton) -> np.ndarray:
  """Orders the hands of people [P, J, 3] so that they are nearer to wrists."""
  joints = [_hand(skeleton, side) for side in SIDES]
  hands = np.stack([values[:, hand] for hand in joints], 1)  # [P, 2, 21, 3]
  n = len(values)
  reordered = hands.reshape(2, n, *hands.shape[2:]).swapaxes(0, 1)
  ends = [skeleton.joint(f"{side}_wrist") for side in SIDES]
  wrists = values[:, ends]  # [P, 2, 3]

  def distance(order: np.ndarray) -> float:
    roots = order[:, :, 0]
    both = (roots[..., 2] > 0) & (wrists[..., 2] > 0)
    gap = np.linalg.norm(roots[..., :2] - wrists[..., :2], axis=-1)
    return float(gap[both].mean()) if both.any() else np.inf

  if distance(reordered) < distance(hands):
    for side, hand in enumerate(joints):
      values[:, hand] = reordered[:, side]
  return values


def write(folder: str | os.PathLike, keypoints: clips.Keypoints) -> None:
  """Writes one file per frame, in the published form, with one person or none.

  Lossy: confidences of the body become 0 or 1, and joints at (0, 0) or at
  negative coordinates become missing.

  Args:
    folder: the folder to create, or to replace if it holds only such a clip.
      Its name is the clip's name: the file names are numbers.
    keypoints: the clip. Without an image size its x and y must be fractions of
      the image.

  Raises:
    DataError: a point lies far outside the image, or is not finite.
    StorageError: the folder holds other files, or cannot be written.
  """
  skeleton = keypoints.skeleton
  if skeleton != PROMPT2SIGN50:
    skeleton_lib.check_same(skeleton, DWPOSE128, f"clip {keypoints.name!r}")
  frames = to_shares(folder, keypoints)
  form = functools.partial(_format, skeleton)
  frame_io.write(folder, "", map(form, frames), NAMING)


def to_shares(
  folder: str | os.PathLike, keypoints: clips.Keypoints
) -> np.ndarray:
  """Frames [T, J, 3] float64 with x and y as shares of the image.

  Raises:
    DataError: a point lies far outside the image, or is not finite.
  """
  frame_io.check_frames(folder, keypoints.frames, keypoints.skeleton)
  frames = detections.clean(keypoints.frames).astype(np.float64)
  frames[..., :2] /= keypoints.size or 1
  if (far := (frames[..., :2] > units.MAX_SHARE).any((1, 2))).any():
    raise errors.DataError(
      f"a point at {frames[np.argmax(far), ..., :2].max():g} of the image",
      path=folder,
      frame=int(np.argmax(far)) + 1,
      expected="fractions of its width and height, 0 to 1",
      hint="Give the keypoints the size of their image",
    )
  return frames


def _format(skeleton: Skeleton, frame: np.ndarray) -> bytes:
  """Content of the file of a frame [J, 3]."""
  seen = frame[:, 2] > 0
  if not seen.any():
    return b'{"num_persons":0}'
  points = np.where(seen[:, None], frame[:, :2], -1)
  body = np.full((_BODY_POINTS, 2), -1.0)
  used = len(skeleton.parts["body"])
  body[:used] = points[:used]
  numbers = np.full(_BODY_POINTS, -1.0)
  numbers[:used] = np.where(seen[:used], np.arange(used), -1)
  left, right = (_hand(skeleton, side) for side in SIDES)
  person = {
    "body_keypoints": body.tolist(),
    "body_scores": numbers.tolist(),
    "left_hand_keypoints": points[left].tolist(),
    "left_hand_scores": frame[left, 2].tolist(),
    "right_hand_keypoints": points[right].tolist(),
    "right_hand_scores": frame[right, 2].tolist(),
  }
  if face := list(skeleton.face):
    person["face_keypoints"] = points[face].tolist()
    person["face_scores"] = frame[face, 2].tolist()
  return msgspec.json.encode({"num_persons": 1, "person_0": person})

"""Words spelt with the letter recordings of the package spoken-to-signed.

The package finds the letters and joins them smoothly; this module only leaves
out what the 50 joints do not need (most of the face, the legs), which makes it
five times as fast, and maps the result to the 50 joints.
"""

import contextlib
import functools
import io

import numpy as np
from pose_format import Pose
from spoken_to_signed.gloss_to_pose.concatenate import ConcatenationSettings
from spoken_to_signed.gloss_to_pose.lookup.fingerspelling_lookup import (
  FingerspellingPoseLookup,
)

from signllm_jax import clips, errors, skeleton
from signllm_jax.languages import Language

_BODY, _FACE = "POSE_LANDMARKS", "FACE_LANDMARKS"
_HANDS = ("LEFT_HAND_LANDMARKS", "RIGHT_HAND_LANDMARKS")
# Joint of the skeleton -> MediaPipe's point. The neck has none.
_BODY_POINTS = {
  skeleton.NOSE: "NOSE",
  skeleton.RIGHT_SHOULDER: "RIGHT_SHOULDER",
  skeleton.RIGHT_ELBOW: "RIGHT_ELBOW",
  skeleton.RIGHT_WRIST: "RIGHT_WRIST",
  skeleton.LEFT_SHOULDER: "LEFT_SHOULDER",
  skeleton.LEFT_ELBOW: "LEFT_ELBOW",
  skeleton.LEFT_WRIST: "LEFT_WRIST",
}
# The package looks at the hips to tell a resting hand from a signing one, and
# its smoothing leaves out a block of face points, so that block must exist.
_HIPS, _FACE_POINTS = ["RIGHT_HIP", "LEFT_HIP"], 2


class _Lookup(FingerspellingPoseLookup):
  """The package's lookup over recordings cut to the points that are used."""

  def read_pose(self, pose_path: str) -> Pose:
    pose = super().read_pose(pose_path)
    points = {c.name: c.points for c in pose.header.components}
    return pose.get_components(
      [_BODY, _FACE, *_HANDS],
      {
        _BODY: [*_BODY_POINTS.values(), *_HIPS],
        _FACE: points[_FACE][:_FACE_POINTS],
      },
    )


@functools.cache
def _lookup() -> _Lookup:
  # The recordings are cut above; the package need not do it for every letter.
  ConcatenationSettings.is_reduce_holistic = False
  return _Lookup()


def letters(language: Language) -> list[str]:
  """Letters and letter groups of the alphabet, longest first."""
  return _lookup().alphabets[language.spoken][language.iso639_3]


def split_letters(word: str, language: Language) -> list[str]:
  """The recordings a word is spelt with, e.g. `schal` -> sch, a, l.

  Raises:
    DataError: a letter has no recording.
  """
  for letter in letters(language):
    if letter in word:
      head, tail = word.split(letter, 1)
      return [
        *(split_letters(head, language) if head else []),
        letter,
        *(split_letters(tail, language) if tail else []),
      ]
  raise errors.DataError(
    f"{word!r} cannot be spelt in {language.name}",
    expected="letters of " + " ".join(sorted(letters(language))),
  )


def _to_joints(pose: Pose) -> np.ndarray:
  """[T, J, 3] x, y, confidence of a spelt word; the neck between shoulders."""
  points = {}
  index = 0
  for component in pose.header.components:
    for point in component.points:
      points[component.name, point] = index
      index += 1
  order = [points[_BODY, name] for name in _BODY_POINTS.values()]
  hands = [
    points[component.name, point]
    for name in _HANDS
    for component in pose.header.components
    if component.name == name
    for point in component.points
  ]
  xy = np.ma.filled(pose.body.data[:, 0, :, :2], 0)
  confidence = np.clip(pose.body.confidence[:, 0], 0, 1)
  seen = np.concatenate([xy, confidence[..., None]], -1)
  joints = np.zeros((len(seen), skeleton.J, 3), np.float32)
  joints[:, list(_BODY_POINTS)] = seen[:, order]
  joints[:, skeleton.LEFT_HAND :] = seen[:, hands]
  ends = joints[:, [skeleton.RIGHT_SHOULDER, skeleton.LEFT_SHOULDER]]
  joints[:, skeleton.NECK, :2] = ends[..., :2].mean(1)
  joints[:, skeleton.NECK, 2] = ends[..., 2].min(1)
  joints[joints[..., 2] == 0] = 0
  return joints


def spell(word: str, language: Language, fps: float) -> clips.Clip:
  """The keypoints of a spelt word.

  Args:
    word: lower case, of letters the alphabet has.
    language: one of `alphabets.ALPHABETS`.
    fps: frames a second of the result.

  Returns:
    A clip whose frames are x, y in pixels and the confidence.
  """
  # The package reports its steps with print().
  with contextlib.redirect_stdout(io.StringIO()):
    pose = _lookup().lookup(word, word, language.spoken, language.iso639_3).pose
  joints = _to_joints(pose)
  clip = clips.Clip(
    frames=joints,
    valid=joints[..., 2] > 0,
    fps=float(pose.body.fps),
    name=word,
    text=word,
    gloss=" ".join(split_letters(word, language)).upper(),
  )
  return clips.resample(clip, fps)

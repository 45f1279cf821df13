"""Spells words with the letter recordings of the package spoken-to-signed.

The package finds the letters and joins them smoothly. This module removes
points that the 50 joints do not need (most of the face, the legs) and prepares
every letter once, not once a word, which takes 10 ms a word instead of 400.
A letter that repeats is made again beside the first (`doubled`). Then it maps
the result to the 50 joints.
"""

import contextlib
import functools
import io

import numpy as np
from pose_format import Pose
from pose_format.pose_header import PoseHeaderComponent
from pose_format.utils import generic
from spoken_to_signed.gloss_to_pose import concatenate, smoothing
from spoken_to_signed.gloss_to_pose.lookup.fingerspelling_lookup import (
  FingerspellingPoseLookup,
)

from data_pipeline.fingerspelling import doubled
from signllm_jax.core import clips, errors
from signllm_jax.core.languages import Language
from signllm_jax.formats import landmarks

_BODY, _FACE = "POSE_LANDMARKS", "FACE_LANDMARKS"
_HANDS = ("LEFT_HAND_LANDMARKS", "RIGHT_HAND_LANDMARKS")
_BODY_POINTS = [
  point
  for component, point in landmarks.HOLISTIC.values()
  if component == _BODY
]
# The package tells a resting hand from a signing one by the hips.
_HIPS, _NOSE = ["RIGHT_HIP", "LEFT_HIP"], "NOSE"
_LETTER_SECONDS = 0.8  # longer recordings are sped up; the package's default


class _Recordings(FingerspellingPoseLookup):
  """The package's lookup, with recordings reduced to the points in use."""

  def read_pose(self, pose_path: str) -> Pose:
    pose = super().read_pose(pose_path)
    pose = pose.get_components(
      [_BODY, *_HANDS], {_BODY: [*_BODY_POINTS, *_HIPS, _NOSE]}
    )
    # The package joins two letters at the frames whose points are nearest,
    # without the face, and its reduced body has no nose. The body's nose is
    # therefore passed as the face; otherwise some letters are cut elsewhere.
    components = pose.header.components
    components[0].points = [*_BODY_POINTS, *_HIPS]
    nose = PoseHeaderComponent(_FACE, [_NOSE], [], [], components[0].format)
    components.insert(1, nose)
    for component in components:
      # Used only for drawing, and the package copies them twice a word.
      component.limbs, component.relative_limbs = [], []
      component.colors = []
    return pose


@functools.cache
def _recordings() -> _Recordings:
  return _Recordings()


@functools.cache
def _letter(letter: str, language: Language, first: bool, last: bool) -> Pose:
  """A letter as it stands in a word, before it is joined to its neighbours.

  The steps of the package's `lookup` and `concatenate_poses` that depend on
  nothing else in the word; they take most of the time, so they are kept.
  """
  recordings = _recordings()
  rows = recordings.words_index[language.spoken][language.iso639_3][letter]
  pose, _ = recordings.get_pose(rows[0])
  if last:
    pose = recordings.stretch_pose(pose, 2)  # held longer, to be readable
  return concatenate.process_sign(
    # A copy, or normalising would move the recording that the lookup keeps.
    concatenate.normalize_pose(pose.copy()),
    keep_onset=first,
    keep_offset=last,
    max_sign_seconds=_LETTER_SECONDS,
  )


def _join(parts: list[str], language: Language) -> Pose:
  """Joins the letters of a word as the package does, doubled ones apart."""
  ends = range(len(parts))
  poses: list[Pose] = []
  for i, letter in enumerate(parts):
    pose = _letter(letter, language, i == ends[0], i == ends[-1])
    if i and letter == parts[i - 1]:
      pose = doubled.again(poses[-1], pose)
    # A new pose over the same frames: joining rebinds a pose's body.
    poses.append(Pose(pose.header, pose.body))
  pose = smoothing.smooth_concatenate_poses(poses)
  pose = generic.correct_wrists(pose)
  generic.normalize_pose_size(pose)
  return concatenate.hide_lowered_hands(pose)


def letters(language: Language) -> list[str]:
  """Letters and letter groups of the alphabet, longest first."""
  return _recordings().alphabets[language.spoken][language.iso639_3]


def split_letters(word: str, language: Language) -> list[str]:
  """Splits a word into its recordings, e.g. `schal` -> sch, a, l.

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


def recorded(letter: str, language: Language) -> clips.Clip:
  """The recording of a letter, without raising and lowering the hand."""
  pose = _letter(letter, language, False, False)
  joints = _to_joints(pose)
  return clips.Clip(
    joints, joints[..., 2] > 0, float(pose.body.fps), text=letter
  )


def _to_joints(pose: Pose) -> np.ndarray:
  """Joints [T, J, 3] of a spelt word; the neck lies between the shoulders."""
  points = [
    landmarks.HOLISTIC_NOSE if component.name == _FACE else (component.name, p)
    for component in pose.header.components
    for p in component.points
  ]
  xy = np.ma.filled(pose.body.data[:, 0, :, :2], 0)
  joints = landmarks.to_joints(points, xy, pose.body.confidence[:, 0])
  assert joints is not None  # the recordings were cut to these points
  return joints


def spell(word: str, language: Language, fps: float) -> clips.Clip:
  """Spells a word; returns its keypoints.

  Args:
    word: in lower case, in letters of the alphabet.
    language: one of `alphabets.ALPHABETS`.
    fps: frames a second of the result.

  Returns:
    A clip whose frames are x, y in pixels and the confidence.
  """
  parts = split_letters(word, language)
  # The package reports its steps with print().
  with contextlib.redirect_stdout(io.StringIO()):
    pose = _join(parts, language)
  joints = _to_joints(pose)
  clip = clips.Clip(
    frames=joints,
    valid=joints[..., 2] > 0,
    fps=float(pose.body.fps),
    name=word,
    text=word,
    gloss=" ".join(parts).upper(),
  )
  return clips.resample(clip, fps)

"""Faces of other detectors: OpenPose and MediaPipe, read as dwpose128."""

import glob
import json
import pathlib

import numpy as np
import pytest
import spoken_to_signed

from data_pipeline.keypoints import find_clips
from signllm_jax.core import clips, errors
from signllm_jax.core.skeleton import DWPOSE128, HOLISTIC178, PROMPT2SIGN50
from signllm_jax.formats import landmarks, openpose, pose

FACE = list(DWPOSE128.face)


def person(x: float = 600, seed: int = 0) -> np.ndarray:
  """[128, 3] a person whose neck is near x."""
  random = np.random.default_rng(seed)
  values = random.uniform(-50, 50, (128, 3))
  values[:, :2] += x, 300
  values[:, 2] = random.uniform(0.5, 1, 128)
  values[DWPOSE128.joint("right_shoulder"), :2] = x - 100, 300
  values[DWPOSE128.joint("left_shoulder"), :2] = x + 100, 300
  return values.astype(np.float32)


def test_openpose_with_a_face_round_trips(tmp_path):
  frames = np.stack([person(seed=seed) for seed in range(3)])
  frames[1, 70:90] = 0
  frames[2, DWPOSE128.joint("left_hip")] = 0
  made = clips.Keypoints(frames, name="a", skeleton=DWPOSE128)
  openpose.write(tmp_path / "a", made)
  again = openpose.read(tmp_path / "a", skeleton=DWPOSE128)
  np.testing.assert_array_equal(again.frames, frames)
  path = sorted((tmp_path / "a").iterdir())[0]
  (someone,) = json.loads(path.read_text())["people"]
  body = np.reshape(someone["pose_keypoints_2d"], (25, 3))
  face = np.reshape(someone["face_keypoints_2d"], (70, 3))
  np.testing.assert_array_equal(face[68:], 0)
  right, left = DWPOSE128.joint("right_hip"), DWPOSE128.joint("left_hip")
  np.testing.assert_allclose(body[8], frames[0, [right, left]].mean(0))
  np.testing.assert_allclose(body[[9, 12]], frames[0, [right, left]], 1e-6)
  # The 50 joints are the same with and without the face.
  old = openpose.read(tmp_path / "a")
  names = [DWPOSE128.joint(name) for name in PROMPT2SIGN50.joints]
  np.testing.assert_array_equal(old.frames, frames[:, names])


def _file(folder: pathlib.Path, number: int, people: list[dict]) -> None:
  path = folder / f"a_{number:012d}_keypoints.json"
  path.write_text(json.dumps({"version": 1.0, "people": people}))


def _old_person(values: np.ndarray) -> dict:
  """Keys of version 1.0, with COCO-18 and a face of 70 points."""
  face = np.pad(values[FACE], ((0, 2), (0, 0)))
  parts = {
    "pose_keypoints": values[:18],
    "face_keypoints": face,
    "hand_left_keypoints": values[18:39],
    "hand_right_keypoints": values[39:60],
  }
  return {key: part.ravel().tolist() for key, part in parts.items()}


def test_the_face_of_openpose_goes_with_its_body(tmp_path):
  for number in range(4):
    people = [person(300, number), 0.5 * person(1800, number)]
    order = people if number % 2 else people[::-1]
    _file(tmp_path, number, [_old_person(values) for values in order])
  seen = openpose.read(tmp_path, skeleton=DWPOSE128)
  expected = np.stack([person(300, number) for number in range(4)])
  np.testing.assert_allclose(seen.frames, expected, rtol=1e-6)
  (source,) = find_clips.find(tmp_path, skeleton="dwpose128")
  np.testing.assert_array_equal(source.read().frames, seen.frames)


@pytest.mark.parametrize(
  ("face", "found"),
  [
    ([], None),
    ([0.5] * 204, "204 numbers in"),
    (None, "has no face_keypoints"),
  ],
)
def test_a_face_that_is_missing_or_cut(tmp_path, face, found):
  someone = _old_person(person())
  if face is None:
    del someone["face_keypoints"]
  else:
    someone["face_keypoints"] = face
  _file(tmp_path, 0, [someone])
  assert openpose.read(tmp_path).valid.all()
  if found is None:  # its detector was off
    seen = openpose.read(tmp_path, skeleton=DWPOSE128)
    assert not seen.valid[:, FACE].any() and seen.valid[:, :60].all()
    return
  with pytest.raises(errors.DataError, match=found):
    openpose.read(tmp_path, skeleton=DWPOSE128)
  with pytest.raises(errors.DataError, match=r"holistic178.*dwpose128"):
    openpose.read(tmp_path, skeleton=HOLISTIC178)


def test_names_of_openpose_are_those_of_pose_format():
  components = {c.name: c.points for c in pose.openpose.OpenPose_Components}
  assert components["face_keypoints_2d"][:68] == [*landmarks.OPENPOSE_FACE]
  assert set(landmarks.OPENPOSE_BODY) < set(components["pose_keypoints_2d"])


def test_mediapipe_has_the_points_of_ibug():
  folder = pathlib.Path(spoken_to_signed.__file__).parent / "assets"
  paths = sorted(glob.glob(f"{folder}/**/*.pose", recursive=True))
  for path in paths[::100]:
    seen = pose.read_keypoints(path, DWPOSE128)
    old = pose.read_keypoints(path)
    for joint, name in enumerate(PROMPT2SIGN50.joints):
      np.testing.assert_array_equal(
        seen.frames[:, DWPOSE128.joint(name)], old.frames[:, joint]
      )
    shown = seen.valid[:, FACE].all(1)
    face = seen.frames[shown][:, FACE, :2]
    assert shown.mean() > 0.9
    y = [face[:, part, 1].mean() for part in _TOP_TO_CHIN]
    assert y == sorted(y)
    x = [face[:, part, 0].mean() for part in _RIGHT_TO_LEFT]
    assert x == sorted(x)
    # The tip of the nose is that of the body, within a tenth of the face.
    gap = np.linalg.norm(face[:, 30] - seen.frames[shown][:, 0, :2], axis=-1)
    assert np.median(gap / np.ptp(face[..., 0], axis=1)) < 0.1


_TOP_TO_CHIN = [slice(17, 27), slice(36, 48), 30, 33, 51, 62, 66, 57, 8]
_RIGHT_TO_LEFT = [0, slice(36, 42), 39, 33, 42, slice(42, 48), 16]


@pytest.mark.parametrize(("points", "start"), [(133, 23), (136, 26)])
def test_the_face_of_whole_body_models(tmp_path, points, start):
  """MMPose's COCO-WholeBody and AlphaPose's Halpe, with two people a frame."""
  random = np.random.default_rng(0)
  people = random.uniform(200, 400, (3, 2, points, 3))
  people[..., 2] = random.uniform(0.5, 1, people.shape[:-1])
  people[:, :, 5:7, :2] = (400, 250), (200, 250)  # shoulders
  people[:, 1, :, :2] = 900 + people[:, 1, :, :2] / 4  # farther away
  frames = [
    {
      "frame_id": number,
      "instances": [
        {
          "keypoints": someone[:, :2].tolist(),
          "keypoint_scores": someone[:, 2].tolist(),
        }
        for someone in both[:: 1 if number % 2 else -1]
      ],
    }
    for number, both in enumerate(people)
  ]
  if points == 136:
    frames = [
      {"image_id": f"{number}.jpg", "keypoints": someone.ravel().tolist()}
      for number, both in enumerate(people)
      for someone in both
    ]
  (tmp_path / "tea.json").write_text(json.dumps(frames))
  (source,) = find_clips.find(tmp_path, skeleton="dwpose128")
  seen = source.read()
  signer = people[:, 0].astype(np.float32)
  np.testing.assert_array_equal(
    seen.frames[:, FACE], signer[:, start : start + 68]
  )
  for name, point in (
    ("nose", 0),
    ("left_eye", 1),
    ("right_ear", 4),
    ("left_shoulder", 5),
    ("right_wrist", 10),
    ("left_hip", 11),
    ("right_ankle", 16),
    ("left_hand_wrist", points - 42),
    ("right_hand_little_4", points - 1),
  ):
    joint = DWPOSE128.joint(name)
    np.testing.assert_array_equal(seen.frames[:, joint], signer[:, point])
  neck = seen.frames[:, DWPOSE128.joint("neck")]
  if points == 133:
    np.testing.assert_allclose(neck[:, :2], [[300, 250]] * 3)
    np.testing.assert_array_equal(neck[:, 2], signer[:, 5:7, 2].min(1))
  else:
    np.testing.assert_array_equal(neck, signer[:, 18])
  (source,) = find_clips.find(tmp_path)
  small = [DWPOSE128.joint(name) for name in PROMPT2SIGN50.joints]
  np.testing.assert_array_equal(source.read().frames, seen.frames[:, small])
  (source,) = find_clips.find(tmp_path, skeleton="holistic178")
  with pytest.raises(errors.DataError, match=r"holistic178[\s\S]*dwpose128"):
    source.read()

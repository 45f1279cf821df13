"""DWPose's frames, in the form that Prompt2Sign's 2025 tools write."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from signllm_jax.core import clips, errors, skeleton
from signllm_jax.core.skeleton import PROMPT2SIGN50
from signllm_jax.formats import dwpose

SIZE = (1280, 720)
LEFT = slice(
  PROMPT2SIGN50.hand("left"), PROMPT2SIGN50.hand("left") + skeleton.HAND_JOINTS
)
RIGHT = slice(
  PROMPT2SIGN50.hand("right"),
  PROMPT2SIGN50.hand("right") + skeleton.HAND_JOINTS,
)


def person(x: float = 0.5, number: int = 0, scores: bool = True) -> dict:
  """Someone around x as the published tool writes it."""
  random = np.random.default_rng(number)

  def points(count: int, at: tuple[float, float], spread: float) -> list:
    return (at + random.uniform(-spread, spread, (count, 2))).tolist()

  found = {
    "body_keypoints": points(18, (x, 0.5), 0.05),
    "face_keypoints": points(68, (x, 0.2), 0.02),
  }
  for side, wrist in (("left", 7), ("right", 4)):
    found["body_keypoints"][wrist] = [x + 0.02 * (wrist - 5), 0.6]
    hand = points(21, tuple(found["body_keypoints"][wrist]), 0.005)
    found[f"{side}_hand_keypoints"] = hand
  if scores:
    found["body_scores"] = [float(18 * number + i) for i in range(18)]
    found["left_hand_scores"] = [0.75] * 21
    found["right_hand_scores"] = [1.02] * 21
  return found


def put(folder, number: int, *persons: dict, **more):
  frame = {"num_persons": len(persons)}
  frame |= {f"person_{i}": each for i, each in enumerate(persons)}
  path = folder / f"{number:08d}.json"
  path.write_text(json.dumps(frame | more))
  return path


def test_published_form(tmp_path):
  folder = tmp_path / "video" / "results_dwpose" / "json"
  folder.mkdir(parents=True)
  first = person()
  first["body_scores"][3] = -1.0
  first["body_keypoints"][3] = [-1.0, -1.0]
  first["left_hand_keypoints"][2] = [0.0, 0.0]
  put(folder, 1, first)
  put(folder, 3)
  (clip,) = dwpose.find(tmp_path)
  keypoints = dwpose.read(clip, fps=24, size=SIZE)
  assert (keypoints.name, keypoints.fps, keypoints.size) == ("video", 24, SIZE)
  assert len(keypoints) == 3
  np.testing.assert_array_equal(keypoints.valid.any(1), [1, 0, 0])
  valid = np.ones(50, bool)
  valid[[3, PROMPT2SIGN50.hand("left") + 2]] = False
  np.testing.assert_array_equal(keypoints.valid[0], valid)
  np.testing.assert_allclose(
    keypoints.frames[0, 0, :2],
    np.array(first["body_keypoints"][0]) * SIZE,
    rtol=1e-6,
  )
  # Scores of the body are the points' numbers, 0 for the nose.
  np.testing.assert_array_equal(keypoints.frames[0, valid, 2][:7], 1)
  assert keypoints.frames[0, PROMPT2SIGN50.hand("left"), 2] == np.float32(0.75)
  assert keypoints.frames[0, PROMPT2SIGN50.hand("right"), 2] == 1


def test_without_scores_and_size(tmp_path):
  made = person(scores=False)
  put(tmp_path, 1, made)
  keypoints = dwpose.read(tmp_path, name="a")
  assert keypoints.size is None
  np.testing.assert_allclose(
    keypoints.frames[0, RIGHT, :2], made["right_hand_keypoints"], rtol=1e-6
  )
  np.testing.assert_array_equal(keypoints.frames[..., 2], 1)


def test_true_confidences_of_a_body_are_kept(tmp_path):
  put(tmp_path, 1, person() | {"body_scores": [0.5] * 18})
  frames = dwpose.read(tmp_path).frames
  np.testing.assert_array_equal(frames[0, :8, 2], 0.5)


@pytest.mark.parametrize("dealt_wrongly", [False, True])
def test_hands_of_two_people(tmp_path, dealt_wrongly):
  """The published tool gives person 0 both left hands, person 1 both right."""
  two = [person(0.3, 0), person(0.7, 1)]
  expected = [two[i]["right_hand_keypoints"] for i in (0, 1)]
  if dealt_wrongly:
    left = [two[i]["left_hand_keypoints"] for i in (0, 1)]
    two[0] |= dict(
      zip(("left_hand_keypoints", "right_hand_keypoints"), left, strict=True)
    )
    two[1] |= dict(
      zip(
        ("left_hand_keypoints", "right_hand_keypoints"), expected, strict=True
      )
    )
  for number in (1, 2, 3):
    put(tmp_path, number, *two)
  frames = dwpose.read(tmp_path).frames
  signer = 0 if frames[0, PROMPT2SIGN50.joint("neck"), 0] < 0.5 else 1
  for frame in frames:
    np.testing.assert_allclose(frame[RIGHT, :2], expected[signer], rtol=1e-6)


frames = st.builds(
  lambda seed, t: (
    np.random.default_rng(seed).uniform([1, 1, 0.1], [1279, 719, 1], (t, 50, 3))
    * (np.random.default_rng(seed + 1).random((t, 50, 1)) > 0.3)
  ).astype(np.float32),
  st.integers(0, 2**32),
  st.integers(1, 3),
)


@settings(max_examples=20, deadline=None)
@given(frames=frames)
def test_round_trip(tmp_path_factory, frames):
  """Places to a thousandth of a pixel; confidences of the hands exactly."""
  folder = tmp_path_factory.mktemp("clips") / "a"
  dwpose.write(folder, clips.Keypoints(frames, size=SIZE))
  back = dwpose.read(folder, size=SIZE)
  assert back.name == "a"
  np.testing.assert_array_equal(back.valid, frames[..., 2] > 0)
  np.testing.assert_allclose(back.frames[..., :2], frames[..., :2], atol=1e-3)
  np.testing.assert_array_equal(back.frames[:, 8:, 2], frames[:, 8:, 2])


def test_pixels_without_a_size_cannot_be_written(tmp_path):
  frames = np.full((1, 50, 3), 100, np.float32)
  with pytest.raises(errors.DataError, match="size of their image"):
    dwpose.write(tmp_path / "a", clips.Keypoints(frames))


def text(**changes) -> str:
  return json.dumps({"num_persons": 1, "person_0": person() | changes})


HOSTILE = {
  "pixels": text(body_keypoints=[[640.0, 360.0]] * 18),
  "17 points": text(body_keypoints=[[0.5, 0.5]] * 17),
  "20 points of a hand": text(left_hand_keypoints=[[0.5, 0.5]] * 20),
  "three numbers": text(left_hand_keypoints=[[0.5, 0.5, 1.0]] * 21),
  "strings": text(left_hand_keypoints=[["0.5", "0.5"]] * 21),
  "no hand": text().replace("left_hand_keypoints", "left"),
  "20 scores": text(left_hand_scores=[1.0] * 20),
  "negative score": text(left_hand_scores=[-2.0] * 21),
  "NaN": text().replace("0.75", "NaN", 1),
  "1e999": text().replace("0.75", "1e999", 1),
  "1_000": text().replace("0.75", "1_000", 1),
  "key twice": text().replace('"face_keypoints"', '"body_scores": 0, "x"'),
  "person twice": text()[:-1] + ', "person_0": {}}',
  "person twice, both whole": text()[:-1] + ", " + text()[1:],
  "other number": text().replace('"num_persons": 1', '"num_persons": 2'),
  "person 1 alone": text().replace("person_0", "person_1"),
  "person_00": text().replace("person_0", "person_00"),
  "neither": "{}",
  "list": "[]",
  "nothing": "",
  "deep": text(face_keypoints=[7]).replace("[7]", "[" * 10**5),
  "OpenPose": '{"version": 1.3, "people": []}',
}  # fmt: skip


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_file(tmp_path, kind):
  put(tmp_path, 1, person())
  path = tmp_path / "00000002.json"
  path.write_text(HOSTILE[kind])
  with pytest.raises(errors.DataError) as caught:
    dwpose.read(tmp_path, size=SIZE)
  assert str(path) in str(caught.value)
  assert len(str(caught.value)) < 1000

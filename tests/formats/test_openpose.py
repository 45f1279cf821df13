"""OpenPose's frames: every real variant, hostile files, people in any order."""

import gc
import json
import os
import pathlib
import shutil
import time
import tracemalloc

import numpy as np
import pytest
from helpers.paths import DATA
from helpers.real_data import real
from hypothesis import given, settings
from hypothesis import strategies as st

from signllm_jax.core import clips, errors, limits, skeleton
from signllm_jax.core.skeleton import PROMPT2SIGN50
from signllm_jax.formats import detections, openpose

LEFT = slice(
  PROMPT2SIGN50.hand("left"), PROMPT2SIGN50.hand("left") + skeleton.HAND_JOINTS
)
RIGHT = slice(
  PROMPT2SIGN50.hand("right"),
  PROMPT2SIGN50.hand("right") + skeleton.HAND_JOINTS,
)


def someone(
  x: float = 640.0, width: float = 200.0, seed: int = 0
) -> np.ndarray:
  """[J, 3] a person whose neck is near x, with shoulders that far apart."""
  random = np.random.default_rng(seed)
  values = (
    random.uniform(-width / 2, width / 2, (PROMPT2SIGN50.num_joints, 3)) + 500
  )
  values[:, 0] += x - 500
  values[PROMPT2SIGN50.joint("neck"), :2] = x, 300
  values[PROMPT2SIGN50.joint("nose"), :2] = x, 300 - width / 2
  values[PROMPT2SIGN50.joint("right_shoulder"), :2] = x - width / 2, 300
  values[PROMPT2SIGN50.joint("left_shoulder"), :2] = x + width / 2, 300
  values[:, 2] = random.uniform(0.5, 1, PROMPT2SIGN50.num_joints)
  return values.astype(np.float32)


def as_json(values: np.ndarray) -> dict:
  """A person [J, 3] as version 1.3 has it."""
  body = np.zeros((25, 3))
  body[:8] = values[:8]
  return {
    "person_id": [-1],
    "pose_keypoints_2d": body.ravel().tolist(),
    "face_keypoints_2d": [0.5] * 210,
    "hand_left_keypoints_2d": values[LEFT].astype(float).ravel().tolist(),
    "hand_right_keypoints_2d": values[RIGHT].astype(float).ravel().tolist(),
    "pose_keypoints_3d": [],
    "face_keypoints_3d": [],
    "hand_left_keypoints_3d": [],
    "hand_right_keypoints_3d": [],
  }


def put(folder, number: int, *persons, clip: str = "a") -> pathlib.Path:
  """Writes a frame of people, given as arrays or as JSON."""
  path = folder / f"{clip}_{number:012d}_keypoints.json"
  found = [as_json(p) if isinstance(p, np.ndarray) else p for p in persons]
  path.write_text(json.dumps({"version": 1.3, "people": found}))
  return path


def test_keypoints_are_the_published_tools():
  root = real(DATA / "how2sign_mini")
  found = openpose.find(root)
  assert len(found) == 3
  assert sum(len(clip.numbers) for clip in found) == 328
  for clip in found:
    path = real(DATA / "golden" / "lift" / f"{clip.name}.npz")
    golden = np.load(path)["keypoints"]
    assert golden[..., 2].max() > 1  # which we clip
    golden[..., 2] = np.minimum(golden[..., 2], 1)
    keypoints = openpose.read(clip, fps=24, size=(1280, 720))
    np.testing.assert_array_equal(keypoints.frames, golden)
    assert keypoints.name == clip.name
    assert (keypoints.fps, keypoints.size) == (24, (1280, 720))


def test_version_1_0_with_coco_18_and_two_people(tmp_path):
  """The second person's shoulders are wider; no hands, no nose, all else."""
  source = real(DATA / "openpose_variants" / "hmr_v1.0_coco18_2people.json")
  shutil.copy(source, tmp_path / "a_000000000000_keypoints.json")
  keypoints = openpose.read(tmp_path)
  np.testing.assert_array_equal(
    keypoints.valid[0], [False, *[True] * 7, *[False] * 42]
  )
  np.testing.assert_allclose(
    keypoints.frames[0, PROMPT2SIGN50.joint("neck")],
    [622.155, 473.702, 0.827694],
  )
  np.testing.assert_allclose(
    keypoints.frames[0, PROMPT2SIGN50.joint("left_wrist"), :2],
    [540.53, 590.628],
  )


def test_version_1_2(tmp_path):
  """Right elbow and wrist and the right hand were not seen."""
  source = real(DATA / "openpose_variants" / "spin_im1010_openpose.json")
  shutil.copy(source, tmp_path / "a_000000000000_keypoints.json")
  body = [True, True, True, False, False, True, True, True]
  np.testing.assert_array_equal(
    openpose.read(tmp_path).valid[0], [*body, *[True] * 21, *[False] * 21]
  )


def test_half_of_a_hand_missing():
  folder = real(DATA / "openpose_variants" / "posefmt_openpose")
  valid = openpose.read(folder).valid
  assert valid.shape == (93, 50)
  assert (~valid[:, LEFT]).all(1).sum() == 44  # frames: 47 %
  assert valid[:, LEFT].sum() == 1029
  assert valid[:, RIGHT].all()
  assert valid[:, :8].sum() == 700


def test_missing_frames_stay_in_time(tmp_path):
  put(tmp_path, 3, someone())
  put(tmp_path, 4)
  put(tmp_path, 7, someone())
  valid = openpose.read(tmp_path).valid
  np.testing.assert_array_equal(valid.all(1), [1, 0, 0, 0, 1])
  np.testing.assert_array_equal(valid.any(1), [1, 0, 0, 0, 1])


def test_empty_lists_are_missing_parts(tmp_path):
  person = as_json(someone())
  person["hand_left_keypoints_2d"] = []
  put(tmp_path, 0, person)
  valid = openpose.read(tmp_path).valid[0]
  assert not valid[LEFT].any()
  assert valid[:8].all()
  assert valid[RIGHT].all()


def test_confidence_is_clipped_and_zero_means_not_seen(tmp_path):
  person = as_json(someone())
  person["pose_keypoints_2d"][2] = 1.07
  person["pose_keypoints_2d"][5] = 0
  put(tmp_path, 0, person)
  frames = openpose.read(tmp_path).frames[0]
  assert frames[0, 2] == 1
  np.testing.assert_array_equal(frames[1], 0)


def test_clips_by_prefix_and_by_folder(tmp_path):
  (tmp_path / "deep" / "c").mkdir(parents=True)
  for clip in ("a_b", "x"):
    put(tmp_path, 0, someone(), clip=clip)
    put(tmp_path, 1, someone(), clip=clip)
  put(tmp_path / "deep" / "c", 5, someone(), clip="c")
  (tmp_path / "deep" / "c" / "000000000000_keypoints.json").write_text("{}")
  (tmp_path / "a_b_00000000001_keypoints.json").write_text("eleven digits")
  (tmp_path / "x_١١١١١١١١١١١١_keypoints.json").write_text("other digits")
  found = openpose.find(tmp_path)
  assert [(c.name, c.numbers.tolist()) for c in found] == [
    ("a_b", [0, 1]),
    ("x", [0, 1]),
    ("c", [0]),
    ("c", [5]),
  ]
  assert len(openpose.read(found[0])) == 2
  assert len(openpose.read(found[1].paths[:1])) == 1
  with pytest.raises(errors.DataError, match=r"2 clips \(a_b, x\)"):
    openpose.read(tmp_path)


def with_numbers(key: str, values: list) -> bytes:
  person = as_json(someone())
  person[key] = values
  return json.dumps({"version": 1.3, "people": [person]}).encode()


def swap(old: str, new: str) -> bytes:
  text = json.dumps({"version": 1.3, "people": [as_json(someone())]})
  assert old in text
  return text.replace(old, new, 1).encode()


POSE, FACE = "pose_keypoints_2d", "face_keypoints_2d"
GOOD = [1.0] * 75
NUMBERS = ["NaN", "Infinity", "-Infinity", "1e999", "-1e999", "1_000", "0x10",
           "01", "1.", ".5", "+1", "١", "1e", "--1", '"1"', "true", "null",
           "[1]", "{}", "1e39", "-1e7", "9" * 400]  # fmt: skip
HOSTILE = {
  **{f"number {n[:9]}": swap('"pose_keypoints_2d": [640.0',
                             f'"pose_keypoints_2d": [{n}')
     for n in NUMBERS},
  "negative confidence": with_numbers(POSE, [1.0, 1.0, -0.5, *GOOD[3:]]),
  **{f"body of {n}": with_numbers(POSE, GOOD[:n]) for n in (1, 45, 53, 55, 74)},
  "body of 76": with_numbers(POSE, [*GOOD, 1.0]),
  "hand of 62": with_numbers("hand_left_keypoints_2d", GOOD[:62]),
  "hand of 75": with_numbers("hand_right_keypoints_2d", GOOD),
  "nested lists": with_numbers(POSE, [[1.0, 1.0, 1.0]] * 25),
  "no body": swap('"pose_keypoints_2d"', '"pose_keypoints_3d"'),
  "no hand": swap('"hand_left_keypoints_2d"', '"hand_left"'),
  "hand of version 1.0": swap('"hand_left_keypoints_2d"',
                              '"hand_left_keypoints"'),
  "both versions": swap('"person_id"', '"pose_keypoints": [], "person_id"'),
  "key twice": swap('"person_id"', '"pose_keypoints_2d": [], "person_id"'),
  "key twice, escaped": swap('"person_id": [-1]',
                             '"pose_keypoints\\u005f2d": []'),
  "key twice, same count": swap('"person_id": [-1]',
                                '"hand_left_keypoints_2d": []'),
  "people twice": swap('"version"', '"people": [], "version"'),
  "version twice": swap('"version"', '"version": 1.2, "version"'),
  "unused key twice": swap('"version"', '"x": 1, "x": 2, "version"'),
  **{f"version {v}": swap("1.3", v)
     for v in ("1.4", "2.0", "0.9", "-1", '"1.3"', "null", "[1.3]")},
  "two frames": b'[{"people": []}, {"people": []}]',
  "half a canvas": b'{"people": [], "canvas_width": 640}',
  "a canvas of 0": b'{"people": [], "canvas_width": 640, "canvas_height": 0}',
  "no people": b'{"version": 1.3}',
  "people as an object": b'{"version": 1.3, "people": {}}',
  "people as numbers": b'{"version": 1.3, "people": [1]}',
  "a list": b"[]",
  "a number": b"1",
  "nothing": b"",
  "zeros": bytes(1000),
  "not UTF-8": swap("[-1]", '"caf\u00e9"').decode().encode("latin-1"),
  "UTF-16": swap("1.3", "1.3").decode().encode("utf-16"),
  "byte order mark": b"\xef\xbb\xbf" + swap("1.3", "1.3"),
  "cut": swap("1.3", "1.3")[:-40],
  "more behind": swap("1.3", "1.3") + b"{}",
  "comma": swap('"version": 1.3,', '"version": 1.3,,'),
  "single quotes": swap("1.3", "1.3").replace(b'"', b"'"),
  "deep lists": swap("[-1]", "[" * 10**6 + "]" * 10**6),
  "deep objects": swap("[-1]", '{"a":' * 10**5 + "1" + "}" * 10**5),
  "deep and open": b"[" * 10**6,
  "huge": b" " * (limits.MAX_FRAME_FILE + 1),
  "a million lists": swap("[-1]", "[" + "[]," * 10**6 + "1]")
  .replace(b'"version"', b'"v":"", "version": 1, "version"'),
  "a million numbers": with_numbers(POSE, [0.0] * 10**6),
  "a thousand people": json.dumps(
    {"version": 1.3, "people": [as_json(someone()) | {FACE: []}] * 1000}
  ).encode(),
}  # fmt: skip


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_file(tmp_path, kind):
  put(tmp_path, 0, someone())
  path = tmp_path / "a_000000000001_keypoints.json"
  path.write_bytes(HOSTILE[kind])
  gc.freeze()  # what other tests left would be walked over and over
  try:
    start = time.thread_time()
    with pytest.raises(errors.DataError) as caught:
      openpose.read(tmp_path)
    assert time.thread_time() - start < 2
  finally:
    gc.unfreeze()
  assert str(path) in str(caught.value)
  assert len(str(caught.value)) < 1000


@pytest.mark.parametrize("kind", ["a million lists", "a thousand people"])
def test_memory_of_hostile_files(tmp_path, kind):
  path = tmp_path / "a_000000000001_keypoints.json"
  path.write_bytes(HOSTILE[kind])
  tracemalloc.start()
  try:
    with pytest.raises(errors.DataError):
      openpose.read(tmp_path)
    assert tracemalloc.get_traced_memory()[1] < 256 << 20
  finally:
    tracemalloc.stop()


def test_messages_name_the_place(tmp_path):
  path = put(tmp_path, 0, json.loads(HOSTILE['number "1"'])["people"][0])
  with pytest.raises(errors.DataError, match=r"people\[0\]\.pose_.*_2d\[0\]"):
    openpose.read(tmp_path)
  path.write_bytes(HOSTILE["number 1e39"])
  with pytest.raises(errors.DataError, match=r"nose at \(1e\+39, 200\)"):
    openpose.read(tmp_path)
  path.write_bytes(HOSTILE["key twice"])
  with pytest.raises(errors.DataError, match="'pose_keypoints_2d' twice"):
    openpose.read(tmp_path)
  path.write_bytes(HOSTILE["body of 45"])
  with pytest.raises(errors.DataError, match="45 numbers in pose_keypoints"):
    openpose.read(tmp_path)


def test_names_that_are_no_files(tmp_path):
  os.mkfifo(tmp_path / "a_000000000000_keypoints.json")
  with pytest.raises(errors.DataError, match="not a file"):
    openpose.read(tmp_path)
  for nothing in (tmp_path / "no", [], [tmp_path / "x.json"]):
    with pytest.raises(errors.DataError):
      openpose.read(nothing)


def test_numbers_far_apart(tmp_path):
  put(tmp_path, 0, someone())
  put(tmp_path, 999_999_999_999, someone())
  with pytest.raises(errors.DataError, match="from 0 to 999999999999"):
    openpose.read(tmp_path)


def test_unknown_keys_and_strings_do_no_harm(tmp_path):
  person = as_json(someone()) | {"note": "pose_keypoints_2d é"}
  put(tmp_path, 0, person)
  assert openpose.read(tmp_path).valid.all()


def test_signer_among_shuffled_people(tmp_path):
  """The signer, twice as large, moves; two stand still, one walks behind."""
  random = np.random.default_rng(0)
  expected = []
  for t in range(30):
    signer = someone(600 + 3 * t, 300, seed=t)
    others = [someone(250, 140, 100 + t), someone(1000, 140, 200 + t)]
    walker = someone(100 + 40 * t, 90, 300 + t)
    crowd = [signer, *others, walker]
    if t in (7, 8, 20):
      crowd = [*others, walker]
      signer = np.zeros_like(signer)
    if t == 12:
      ghost = signer.copy()  # the same person seen again, by halves
      ghost[8:, 2] = 0
      crowd.append(ghost)
    if t == 0:
      crowd = others  # the signer is not there from the start
      signer = np.zeros_like(signer)
    order = random.permutation(len(crowd))
    put(tmp_path, t, *(crowd[i] for i in order))
    expected.append(signer)
  frames = openpose.read(tmp_path).frames
  np.testing.assert_array_equal(frames, expected)


def test_following_does_not_depend_on_order():
  random = np.random.default_rng(1)
  crowd = np.stack(
    [
      [
        someone(200 + 300 * k + 5 * t, 150 + 10 * k, 10 * t + k)
        for k in range(4)
      ]
      for t in range(10)
    ]
  )  # [T, 4, J, 3]
  crowd[:, :, PROMPT2SIGN50.joint("neck"), 2] *= random.random((10, 4)) > 0.3
  frame = np.repeat(np.arange(10), 4)
  first = detections.select_signer(
    detections.clean(crowd).reshape(-1, 50, 3), frame, 10
  )
  for t in range(10):
    random.shuffle(crowd[t])
  again = detections.select_signer(
    detections.clean(crowd).reshape(-1, 50, 3), frame, 10
  )
  np.testing.assert_array_equal(first, again)
  assert (first[:, PROMPT2SIGN50.joint("left_shoulder"), 2] > 0).all()


keypoints = st.builds(
  lambda seed, t, missing: detections.clean(
    np.where(
      np.random.default_rng(seed).random((t, PROMPT2SIGN50.num_joints, 1))
      < missing,
      0,
      np.random.default_rng(seed + 1).uniform(
        [-50, -50, 1e-4], [2000, 2000, 1], (t, PROMPT2SIGN50.num_joints, 3)
      ),
    )
  ),
  st.integers(0, 2**32),
  st.integers(1, 4),
  st.sampled_from([0.0, 0.3, 1.0]),
)


@settings(max_examples=25, deadline=None)
@given(frames=keypoints)
def test_round_trip_is_exact(tmp_path_factory, frames):
  folder = tmp_path_factory.mktemp("clips") / "out"
  openpose.write(folder, clips.Keypoints(frames, name="a_1"))
  assert len(list(folder.iterdir())) == len(frames)
  back = openpose.read(folder)
  np.testing.assert_array_equal(back.frames, frames)
  assert back.name == "a_1"


def test_writing_replaces_the_clip_and_nothing_else(tmp_path):
  folder = tmp_path / "out"
  long = clips.Keypoints(np.stack([someone()] * 5), name="a")
  openpose.write(folder, long)
  openpose.write(folder, clips.Keypoints(long.frames[:2], name="a"))
  assert len(openpose.read(folder)) == 2
  (folder / "notes.txt").write_text("mine")
  with pytest.raises(errors.StorageError, match="other files"):
    openpose.write(folder, long)
  assert len(openpose.read(folder)) == 2
  assert sorted(path.name for path in tmp_path.iterdir()) == ["out"]


def test_what_cannot_be_written(tmp_path):
  frames = someone()[None]
  with pytest.raises(errors.DataError, match="file name"):
    openpose.write(tmp_path / "a", clips.Keypoints(frames, name="../../up"))
  frames[0, 3, 1] = np.nan
  with pytest.raises(errors.DataError, match="frame 1: right_elbow at"):
    openpose.write(tmp_path / "a", clips.Keypoints(frames))
  with pytest.raises(errors.StorageError, match="cannot write"):
    openpose.write(tmp_path / "no" / "a", clips.Keypoints(someone()[None]))
  assert list(tmp_path.iterdir()) == []

"""What detectors and their imitators write: names, dialects, units, forms."""

import json
import pathlib
import struct

import numpy as np
import pytest
from helpers import downloads
from helpers.paths import DATA
from helpers.real_data import real

from data_pipeline.keypoints import find_clips
from signllm_jax.core import clips, errors, skeleton
from signllm_jax.core.skeleton import DWPOSE128, PROMPT2SIGN50
from signllm_jax.formats import (
  clip_json,
  dwpose,
  frame_files,
  openpose,
  pose,
  pose_file,
)

CASES = DATA / "cases"


def read_one(path: pathlib.Path, **options) -> clips.Keypoints:
  notes: list[str] = []
  (source,) = find_clips.find(path, report=notes.append, **options)
  assert notes == []
  return source.read()


@pytest.mark.parametrize(
  ("case", "frames", "size"),
  [
    ("image_dir_names", 24, None),
    ("openpose_no_version/nover", 3, None),
    ("openpose_no_version/canvas", 3, (1280, 720)),
    ("openpose_no_version/nullhand", 3, None),
    ("pose_version_0", 93, (1000, 1000)),
  ],
)
def test_cases_of_shared_data_are_read(case, frames, size):
  real(CASES)
  clip = read_one(CASES / case)
  assert (len(clip), clip.size) == (frames, size)
  assert clip.valid[:, 0].all()


def test_shares_are_read_as_the_pixels_they_are():
  real(CASES)
  folder = CASES / "keypoint_scale"
  base = read_one(folder / "base", size=(1280, 720))
  shares = read_one(folder / "scale3", size=(1280, 720))
  np.testing.assert_allclose(shares.frames, base.frames, atol=2e-3)


def renamed(folder: pathlib.Path, names: list[str]) -> pathlib.Path:
  """A clip of as many frames as names, in a folder of its own."""
  clip = downloads.person("x", len(names))
  openpose.write(folder, clip)
  for path, name in zip(sorted(folder.iterdir()), names, strict=True):
    path.rename(folder / name)
  return folder


@pytest.mark.parametrize(
  ("names", "clip"),
  [
    (["images0001_keypoints.json", "images0003_keypoints.json"], "here"),
    (["a_9_keypoints.json", "a_10_keypoints.json"], "a"),
    (["frame_008_keypoints.json", "frame_010_keypoints.json"], "here"),
    (["b0_00171_keypoints.json", "b0_00172_keypoints.json"], "b0"),
    (["image_00018_keypoints.json", "image_00019_keypoints.json"], "here"),
    (["00001.json", "00002.json"], "here"),
    (["take2_1.json", "take2_2.json"], "take2"),
  ],
)
def test_frames_are_ordered_by_numbers_of_any_form(tmp_path, names, clip):
  renamed(tmp_path / "here", names)
  found = read_one(tmp_path)
  assert found.name == clip
  numbers = [int("".join(filter(str.isdigit, n))[-3:]) for n in names]
  assert len(found) == numbers[1] - numbers[0] + 1


def test_numbers_of_several_lengths_are_refused(tmp_path):
  names = ["a_01_keypoints.json", "a_002_keypoints.json"]
  renamed(tmp_path / "here", names)
  with pytest.raises(errors.DataError, match="different lengths, 01 and 002"):
    find_clips.find(tmp_path)
  assert frame_files.find(tmp_path, dwpose.NAMING) == []


def people(folder: pathlib.Path, change) -> pathlib.Path:
  """Two frames of a person, changed; the path of the first."""
  openpose.write(folder, downloads.person("a", 4))
  paths = sorted(folder.iterdir())
  for path in paths:
    path.write_text(json.dumps(change(json.loads(path.read_text()))))
  return paths[0]


def in_a_list(frame):
  return [
    {"people": frame["people"], "canvas_width": 1280, "canvas_height": 720}
  ]


def scaled(low: float, high: float, parts: str = "phr"):
  """Points from `low` to `high` in place of pixels, as --keypoint_scale has."""

  def change(frame):
    for key, values in frame["people"][0].items():
      named = key.split("_")[0][0] if "left" not in key else "h"
      named = "r" if "right" in key else named
      if "keypoints_2d" in key and named in parts:
        for i in range(0, len(values), 3):
          if values[i + 2]:
            values[i] = low + (high - low) * values[i] / 1280
            values[i + 1] = low + (high - low) * values[i + 1] / 720
    return frame

  return change


@pytest.mark.parametrize(
  "change",
  [
    in_a_list,
    lambda frame: {"people": frame["people"][0]},
    lambda frame: frame | {"camparam": {"Intrinsics": "1 0 0"}},
    scaled(0, 1),
    scaled(-1, 1),
    scaled(0, 1, "p"),  # body in shares, hands in pixels, as ComfyUI mixes them
  ],
)
def test_dialects_are_read_as_the_original(tmp_path, change):
  people(tmp_path / "in", change)
  found = openpose.read(tmp_path / "in", size=(1280, 720))
  expected = downloads.person("a", 4).frames
  np.testing.assert_allclose(found.frames, expected, atol=2e-2)


def test_shares_without_a_size_are_refused(tmp_path):
  people(tmp_path / "in", scaled(-1, 1))
  with pytest.raises(errors.DataError, match=r"--keypoint_scale 4.*--size="):
    openpose.read(tmp_path / "in")


def test_a_size_that_contradicts_is_refused(tmp_path):
  people(tmp_path / "in", in_a_list)
  with pytest.raises(errors.DataError, match="a canvas of 1280x720"):
    openpose.read(tmp_path / "in", size=(640, 360))
  openpose.write(tmp_path / "other", downloads.person("a", 4))
  with pytest.raises(errors.DataError, match=r"outside the picture of 640x360"):
    read_one(tmp_path / "other", size=(640, 360))


def test_other_models_are_refused_by_name(tmp_path):
  def to_135(frame):
    frame["people"][0]["pose_keypoints_2d"] = [1.0] * 405
    return frame

  def to_25b(frame):
    """Nose, eyes, ears, shoulders, elbows ... with the neck at 17."""
    at = np.array(frame["people"][0]["pose_keypoints_2d"]).reshape(25, 3)
    nose = at[0]
    head = nose + np.array([(x, -20, 0) for x in (20, -20, 45, -45)])
    arms = [at[5], at[2], at[6], at[3], at[7], at[4]]
    body = np.concatenate([[nose, *head, *arms], np.zeros((14, 3))])
    frame["people"][0]["pose_keypoints_2d"] = body.ravel().tolist()
    return frame

  people(tmp_path / "135", to_135)
  with pytest.raises(errors.DataError, match=r"405 numbers.*of BODY_135"):
    openpose.read(tmp_path / "135")
  people(tmp_path / "25b", to_25b)
  for wanted in (PROMPT2SIGN50, DWPOSE128):
    with pytest.raises(errors.DataError, match="the order of BODY_25B"):
      openpose.read(tmp_path / "25b", skeleton=wanted)


@pytest.mark.parametrize("form", [openpose, dwpose])
@pytest.mark.parametrize("number", ["NaN", "-Infinity"])
def test_nan_is_called_nan(tmp_path, form, number):
  form.write(tmp_path / "in", downloads.person("a", 1))
  (path,) = (tmp_path / "in").iterdir()
  text = path.read_text()
  at = text.index("[", text.index("keypoints")) + 1
  at = at + 1 if text[at] == "[" else at
  end = text.index(",", at)
  path.write_text(text[:at] + number + text[end:])
  with pytest.raises(errors.DataError, match=rf"{number} at byte \d+, no"):
    form.read(tmp_path / "in")


def wholebody(points: int, t: int = 3) -> np.ndarray:
  """[t, points, 3] somebody with COCO's body, then numbered points."""
  values = np.zeros((t, points, 3))
  values[..., 0] = 600 + np.arange(points)
  values[..., 1] = 300
  values[..., 2] = 0.9
  values[:, 5, 0], values[:, 6, 0] = 700, 500
  return values


def check_wholebody(clip: clips.Keypoints, left: int, right: int) -> None:
  joint = PROMPT2SIGN50.joint
  assert len(clip) == 3
  assert clip.frames[0, joint("left_shoulder"), 0] == 700
  assert clip.frames[0, joint("neck"), 0] in (600, 618)
  for side, first in (("left", left), ("right", right)):
    hand = PROMPT2SIGN50.hand(side)
    found = clip.frames[0, hand : hand + skeleton.HAND_JOINTS, 0]
    np.testing.assert_array_equal(found, 600 + first + np.arange(21))


@pytest.mark.parametrize(("points", "left"), [(133, 91), (136, 94)])
def test_alphapose(tmp_path, points, left):
  (tmp_path / "one").mkdir()
  path = tmp_path / "one" / "alphapose-results.json"
  rows = [
    {
      "image_id": f"{10 + frame}.jpg",
      "category_id": 1,
      "keypoints": values.ravel().tolist(),
      "score": 2.5,
    }
    for frame, values in enumerate(wholebody(points))
  ]
  path.write_text(json.dumps(rows))
  clip = read_one(tmp_path)
  assert clip.name == "one"
  check_wholebody(clip, left, left + 21)


@pytest.mark.parametrize("wrapped", [False, True])
def test_mmpose(tmp_path, wrapped):
  frames = [
    {
      "frame_id": frame,
      "instances": [
        {
          "keypoints": values[:, :2].tolist(),
          "keypoint_scores": values[:, 2].tolist(),
          "bbox": [[0, 0, 1, 1]],
        }
      ],
    }
    for frame, values in enumerate(wholebody(133), 1)
  ]
  value = {"meta_info": {}, "instance_info": frames} if wrapped else frames
  (tmp_path / "tea.json").write_text(json.dumps(value))
  clip = read_one(tmp_path)
  assert clip.name == "tea"
  check_wholebody(clip, 91, 112)


def test_a_list_of_frames_is_a_clip(tmp_path):
  openpose.write(tmp_path / "in", downloads.person("a", 3))
  frames = [
    json.loads(p.read_text()) for p in sorted((tmp_path / "in").iterdir())
  ]
  size = {"canvas_width": 1280, "canvas_height": 720}
  whole = [{"people": frame["people"], **size} for frame in frames]
  whole.append({"people": [], **size})
  (tmp_path / "out").mkdir()
  (tmp_path / "out" / "video.json").write_text(json.dumps(whole))
  clip = read_one(tmp_path / "out")
  assert (clip.size, len(clip)) == ((1280, 720), 4)
  np.testing.assert_array_equal(
    clip.frames[:3], openpose.read(tmp_path / "in").frames
  )


@pytest.mark.parametrize(
  ("text", "message"),
  [
    ('[{"image_id": "1.jpg", "keypoints": [1, 2, 3]}]', "1 points a person"),
    (
      json.dumps([{"image_id": "1.jpg", "keypoints": [1.0] * 51}]),
      "COCO-17, which has no hands",
    ),
    ('[{"image_id": "x", "keypoints": []}]', "image_id 'x'"),
    ('[{"image_id": "1.jpg", "keypoints": [NaN]}]', "NaN at byte 37"),
    ('[{"frame_id": 0, "instances": []}]', "nobody in it"),
    (
      '[{"frame_id": 0, "instances": [{"keypoints": [[1, 2]], '
      '"keypoint_scores": []}]}]',
      "1 points and 0 scores",
    ),
    (
      '[{"frame_id": 0, "instances": []}, {"frame_id": 99999999, '
      '"instances": []}]',
      "nobody in it",
    ),
    ("[1, 2]", "JSON of another form"),
  ],
)
def test_damaged_json_of_whole_clips(tmp_path, text, message):
  path = tmp_path / "a.json"
  path.write_text(text)
  with pytest.raises(errors.DataError, match=message):
    clip_json.read(path)


def pose_0_0(people: list[int]) -> bytes:
  """A .pose of version 0.0: a point of two components a person and frame."""
  made = struct.pack("<fHHHH", 0.0, 100, 50, 0, 1)
  for text in ("a", "XYC"):
    made += struct.pack("<H", len(text)) + text.encode()
  made += struct.pack("<HHH", 1, 0, 0) + struct.pack("<Hc", 1, b"p")
  made += struct.pack("<HH", 24, len(people))
  for frame, count in enumerate(people):
    made += struct.pack("<H", count)
    for person in range(count):
      made += struct.pack("<hfff", person, frame, person, 0.5)
  return made


def test_pose_version_0_0_with_several_people(tmp_path):
  path = tmp_path / "a.pose"
  path.write_bytes(pose_0_0([1, 0, 2]))
  found = pose_file.load(path)
  assert (found.fps, found.size) == (24, (100, 50, 0))
  np.testing.assert_array_equal(
    found.data[..., 0, :], [[[0, 0], [0, 0]], [[0, 0]] * 2, [[2, 0], [2, 1]]]
  )
  np.testing.assert_array_equal(
    found.confidence[..., 0], [[0.5, 0], [0, 0], [0.5, 0.5]]
  )


def test_forms_of_pose_are_called_that_and_not_damage(tmp_path):
  path = tmp_path / "a.pose"
  whole = pose_0_0([1])
  for change, message in (
    (whole.replace(b"XYC", b"XYK"), "points of form XYK; expected XYC or XYZC"),
    (struct.pack("<f", 0.4) + whole[4:], r"version 0\.4 of \.pose; expected"),
    (whole[:-4], r"not a whole \.pose file \(frame 1 of 1 is cut"),
    (whole + b"1234", "4 bytes after 1 frames"),
  ):
    path.write_bytes(change)
    with pytest.raises(errors.DataError, match=message):
      pose.read_keypoints(path)

import pathlib
import struct
import time

import numpy as np
import pose_format
import pytest
from pose_format import pose_header
from pose_format.numpy import NumPyPoseBody

from signllm_jax.core import clips, errors
from signllm_jax.core.skeleton import DWPOSE128, HOLISTIC178, PROMPT2SIGN50
from signllm_jax.formats import landmarks, pose
from signllm_jax.formats.pose import openpose


def signer(t: int = 5) -> clips.Clip:
  rng = np.random.default_rng(0)
  frames = rng.uniform(-0.5, 0.5, (t, 50, 3)).astype(np.float32)
  frames[:, PROMPT2SIGN50.joint("neck")] = 0
  valid = np.ones((t, 50), bool)
  valid[1:2, PROMPT2SIGN50.hand("left") :][:, :21] = False
  frames[~valid] = 0
  return clips.Clip(frames, valid, 12.5, "a")


def test_round_trip(tmp_path):
  clip = signer()
  pose.write(tmp_path / "a.pose", clip)
  back = pose.read(tmp_path / "a.pose")
  np.testing.assert_array_equal(back.valid, clip.valid)
  error = np.abs(back.frames - clip.frames).max()
  assert error < 1e-3 * clips.SHOULDER_WIDTH
  assert (back.frames[~clip.valid] == 0).all()
  assert (back.fps, back.name) == (12.5, "a")


def test_what_other_viewers_see(tmp_path):
  clip = signer()
  pose.write(tmp_path / "a.pose", clip)
  seen = pose_format.Pose.read((tmp_path / "a.pose").read_bytes())
  size = seen.header.dimensions
  assert (size.width, size.height) == (512, 512)
  assert [part.name for part in seen.header.components] == [
    part.name for part in openpose.OpenPose_Components
  ]
  assert seen.body.data.shape == (5, 1, 137, 3)
  confidence = seen.body.confidence[:, 0]
  assert (confidence[:, 8:25] == 0).all()  # legs, eyes, ears
  assert (confidence[:, 25:95] == 0).all()  # face
  assert (confidence[1, 95:116] == 0).all()  # the missing left hand
  assert (confidence[0, 95:] == 1).all()
  np.testing.assert_allclose(seen.body.data[0, 0, 1].data, [256, 192, 0])
  np.testing.assert_allclose(
    seen.body.data[0, 0, 116].data,
    clip.frames[0, PROMPT2SIGN50.hand("right")] * 384 + [256, 192, 0],
    rtol=1e-5,
  )
  assert not np.ma.getmaskarray(seen.body.data)[0, 0, 116].any()


def test_file_of_another_tool_without_z(tmp_path):
  point = [640.0, 270.0, 0.9]
  person = {
    "pose_keypoints_2d": [*point * 2, 0.0, 0.0, 0.0, *point * 22],
    "face_keypoints_2d": point * 70,
    "hand_left_keypoints_2d": point * 21,
    "hand_right_keypoints_2d": point * 21,
  }
  theirs = openpose.load_openpose(
    {0: {"people": [person]}}, fps=24, width=1280, height=720
  )
  with (tmp_path / "b.pose").open("wb") as file:
    theirs.write(file)
  clip = pose.read(tmp_path / "b.pose")
  assert clip.frames.shape == (1, 50, 3)
  assert not clip.valid[0, 2]
  assert clip.valid.sum() == 49
  np.testing.assert_allclose(clip.frames, 0, atol=1e-6)


def test_errors(tmp_path):
  path = tmp_path / "a.pose"
  with pytest.raises(errors.DataError, match=r"a.pose: no such file"):
    pose.read(path)
  for junk in (b"", b"junk", b"\0" * 1000):
    path.write_bytes(junk)
    with pytest.raises(errors.DataError, match=r"a.pose: "):
      pose.read(path)
  pose.write(path, signer())
  data = path.read_bytes()
  for end in (10, 1000, len(data) - 1):
    path.write_bytes(data[:end])
    with pytest.raises(errors.DataError, match=r"not a whole \.pose"):
      pose.read(path)
  clip = signer()
  clip.frames[2, 0, 0] = np.nan
  with pytest.raises(errors.DataError, match="frame 3: clip 'a' holds NaN"):
    pose.write(path, clip)


def test_other_layouts_and_people(tmp_path):
  path = tmp_path / "a.pose"
  pose.write(path, signer())
  seen = pose_format.Pose.read(path.read_bytes())
  hands = seen.get_components(["hand_left_keypoints_2d"])
  with path.open("wb") as file:
    hands.write(file)
  with pytest.raises(errors.DataError, match="expected OpenPose's"):
    pose.read(path)
  seen.body.data = np.ma.concatenate([seen.body.data] * 2, axis=1)
  seen.body.confidence = np.concatenate([seen.body.confidence] * 2, axis=1)
  with path.open("wb") as file:
    seen.write(file)
  with pytest.raises(errors.DataError, match="2 people in 3 dimensions"):
    pose.read(path)


@pytest.fixture(scope="module")
def holistic() -> pose_format.Pose:
  """A real recording of MediaPipe Holistic, 586 points."""
  package = pytest.importorskip(
    "spoken_to_signed", reason="needs the package spoken-to-signed"
  )
  folder = pathlib.Path(package.__file__).parent / "assets"
  path = sorted(folder.rglob("*.pose"))[0]
  return pose_format.Pose.read(path.read_bytes())


def saved(seen: pose_format.Pose, path: pathlib.Path) -> pathlib.Path:
  with path.open("wb") as file:
    seen.write(file)
  return path


def variant(seen: pose_format.Pose, points: int) -> pose_format.Pose:
  """The recording in another of Holistic's sizes."""
  # Not above: `pose` imports a part of it that Python warns of.
  from pose_format.utils import generic

  names = [part.name for part in seen.header.components]
  mesh = {"FACE_LANDMARKS": [str(i) for i in range(468)]}
  reduced = generic.reduce_holistic(seen)
  face = {"FACE_LANDMARKS": reduced.header.components[1].points}
  made = {
    543: lambda: seen.get_components(names[:4], mesh),
    576: lambda: seen.get_components(names, mesh),
    586: lambda: seen,
    178: lambda: reduced,
    203: lambda: seen.get_components(names[:4], face),
  }[points]()
  assert made.header.total_points() == points
  return made


@pytest.mark.parametrize("points", [543, 576, 586, 203, 178])
def test_keypoints_of_holistic(tmp_path, holistic, points):
  made = variant(holistic, points)
  keypoints = pose.read_keypoints(saved(made, tmp_path / "a.pose"))
  assert keypoints.name == "a"
  assert keypoints.fps == holistic.body.fps
  dimensions = holistic.header.dimensions
  assert keypoints.size == (dimensions.width, dimensions.height)
  expected = {
    PROMPT2SIGN50.joint("right_shoulder"): ("POSE_LANDMARKS", "RIGHT_SHOULDER"),
    PROMPT2SIGN50.joint("left_elbow"): ("POSE_LANDMARKS", "LEFT_ELBOW"),
    PROMPT2SIGN50.hand("left"): ("LEFT_HAND_LANDMARKS", "WRIST"),
    PROMPT2SIGN50.hand("right") + 4: ("RIGHT_HAND_LANDMARKS", "THUMB_TIP"),
    PROMPT2SIGN50.hand("right") + 20: ("RIGHT_HAND_LANDMARKS", "PINKY_TIP"),
  }
  if points != 178:
    expected[PROMPT2SIGN50.joint("nose")] = ("POSE_LANDMARKS", "NOSE")
  for joint, point in expected.items():
    at = holistic.header.get_point_index(*point)
    xy = holistic.body.data[:, 0, at, :2].filled(0)
    np.testing.assert_array_equal(keypoints.frames[:, joint, :2], xy)
    confidence = np.clip(holistic.body.confidence[:, 0, at], 0, 1)
    np.testing.assert_array_equal(keypoints.frames[:, joint, 2], confidence)
  ends = keypoints.frames[:, [2, 5]]
  neck = keypoints.frames[:, PROMPT2SIGN50.joint("neck")]
  np.testing.assert_allclose(neck[:, :2], ends[..., :2].mean(1), rtol=1e-6)
  np.testing.assert_array_equal(neck[:, 2], ends[..., 2].min(1))
  assert keypoints.valid.any()
  assert (keypoints.frames[~keypoints.valid] == 0).all()


@pytest.mark.parametrize("points", [543, 576, 203, 178])
def test_faces_of_holistic_are_the_same_in_every_form(
  tmp_path, holistic, points
):
  whole = pose.read_keypoints(saved(holistic, tmp_path / "w.pose"), HOLISTIC178)
  assert whole.valid[:, list(HOLISTIC178.face)].mean() > 0.9
  made = saved(variant(holistic, points), tmp_path / "a.pose")
  found = pose.read_keypoints(made, HOLISTIC178)
  np.testing.assert_array_equal(found.frames, whole.frames)
  np.testing.assert_array_equal(found.depth, whole.depth)
  if points in (543, 576):  # with the whole mesh
    at = DWPOSE128.joint("ibug_8")
    chin = pose.read_keypoints(made, DWPOSE128).frames[:, at]
    mesh = whole.frames[:, HOLISTIC178.joint("mesh_152")]
    np.testing.assert_array_equal(chin, mesh)
  else:
    with pytest.raises(errors.DataError, match="dwpose128"):
      pose.read_keypoints(made, DWPOSE128)


def test_nose_of_the_smallest_form(tmp_path, holistic):
  """It has none; what stands for it is near MediaPipe's."""
  made = saved(variant(holistic, 178), tmp_path / "a.pose")
  frames = pose.read_keypoints(made).frames
  at = holistic.header.get_point_index("POSE_LANDMARKS", "NOSE")
  nose = holistic.body.data[:, 0, at, :2].filled(0)
  width = np.linalg.norm(frames[:, 2, :2] - frames[:, 5, :2], axis=-1)
  gap = np.linalg.norm(frames[:, 0, :2] - nose, axis=-1)
  assert (gap < 0.06 * width).all()


def test_points_are_found_in_any_order(tmp_path, holistic):
  names = [part.name for part in holistic.header.components]
  moved = holistic.get_components(
    names[::-1],
    {names[0]: holistic.header.components[0].points[::-1]},
  )
  frames = [
    pose.read_keypoints(saved(seen, tmp_path / f"{i}.pose")).frames
    for i, seen in enumerate((holistic, moved))
  ]
  np.testing.assert_array_equal(*frames)


def test_keypoints_of_openpose(tmp_path):
  clip = signer()
  pose.write(tmp_path / "a.pose", clip)
  keypoints = pose.read_keypoints(tmp_path / "a.pose")
  np.testing.assert_array_equal(keypoints.valid, clip.valid)
  expected = np.where(
    clip.valid[..., None], clip.frames[..., :2] * 384 + [256, 192], 0
  )
  np.testing.assert_allclose(keypoints.frames[..., :2], expected, rtol=1e-5)
  assert (keypoints.size, keypoints.fps) == ((512, 512), 12.5)


def test_names_of_openpose_are_the_packages():
  known = {
    (part.name, point)
    for part in openpose.OpenPose_Components
    for point in part.points
  }
  assert set(landmarks.OPENPOSE.values()) <= known
  hand = [point for _, point in list(landmarks.OPENPOSE.values())[8:29]]
  assert hand == openpose.HAND_POINTS


def test_confidence_outside_0_to_1(tmp_path):
  pose.write(tmp_path / "a.pose", signer())
  seen = pose_format.Pose.read((tmp_path / "a.pose").read_bytes())
  seen.body.confidence[0, 0, 0] = 1.5
  seen.body.confidence[1, 0, 0] = -0.5
  frames = pose.read_keypoints(saved(seen, tmp_path / "b.pose")).frames
  assert frames[0, 0, 2] == 1
  np.testing.assert_array_equal(frames[1, 0], 0)


def test_signer_among_two_people(tmp_path):
  clip = signer(1)  # who stands still
  still = clips.Clip(clip.frames.repeat(5, 0), clip.valid.repeat(5, 0), 12.5)
  pose.write(tmp_path / "a.pose", still)
  seen = pose_format.Pose.read((tmp_path / "a.pose").read_bytes())
  alone = pose.read_keypoints(tmp_path / "a.pose")
  data = np.concatenate([seen.body.data.data] * 2, 1)
  data[:, 0] = data[:, 0] * 0.3 + 300  # a smaller person, further right
  confidence = np.concatenate([seen.body.confidence] * 2, 1)
  seen.body = NumPyPoseBody(12.5, data, confidence)
  both = pose.read_keypoints(saved(seen, tmp_path / "b.pose"))
  np.testing.assert_array_equal(both.frames, alone.frames)


def header(components: list[tuple[str, str, int]], version: float = 0.2):
  made = struct.pack("<fHHHH", version, 512, 512, 0, len(components))
  for name, form, points in components:
    for text in (name, form):
      made += struct.pack("<H", len(text)) + text.encode()
    made += struct.pack("<HHH", points, 0, 0)
    made += b"".join(struct.pack("<Hc", 1, b"x") for _ in range(points))
  return made


FAULTS = r"a\.pose: (not a whole|points of form|version \S+ of .pose)"


def hostile() -> dict[str, bytes]:
  few = header([("a", "XYC", 2)])
  return {
    "frames that are not there": few + struct.pack("<fIH", 25, 2**32 - 1, 1),
    "people that are not there": few + struct.pack("<fIH", 25, 1, 65535),
    "nobody": few + struct.pack("<fIH", 25, 1, 0),
    "no points": header([]) + struct.pack("<fIH", 25, 1, 1),
    "no dimensions": header([("a", "", 2)]) + struct.pack("<fIH", 25, 1, 1),
    "confidence only": header([("a", "C", 1)])
    + struct.pack("<fIHf", 25, 1, 1, 1),
    "two forms": header([("a", "XYC", 1), ("b", "XYZC", 1)]),
    "frames 0 a second": few + struct.pack("<fIH", 0, 0, 1),
    "frames NaN a second": few + struct.pack("<fIH", np.nan, 0, 1),
    "more behind": few + struct.pack("<fIH6f", 25, 0, 1, *[0] * 6),
    "not a number of frames": header([("a", "XYC", 2)], 0.1)
    + struct.pack("<HHHf", 25, 1, 1, 0),
    "components that are not there": struct.pack("<f4H", 0.2, 1, 1, 1, 65535),
    "many points without names": struct.pack("<f4H", 0.2, 1, 1, 1, 65535)
    + (struct.pack("<HHHHH", 0, 0, 65535, 0, 0) + bytes(2 * 65535)) * 40,
    "many limbs": struct.pack("<f4H", 0.2, 1, 1, 1, 65535)
    + (struct.pack("<HHHHH", 0, 0, 0, 65535, 0) + bytes(4 * 65535)) * 20,
    "names not UTF-8": few.replace(b"a", b"\xff"),
    **{f"version {v}": header([], v) for v in (0.0, 0.3, 1.0, np.nan, np.inf)},
  }  # fmt: skip


@pytest.mark.parametrize("kind", hostile())
def test_hostile_file(tmp_path, kind):
  path = tmp_path / "a.pose"
  path.write_bytes(hostile()[kind])
  start = time.process_time()
  for read in (pose.read, pose.read_keypoints):
    with pytest.raises(errors.DataError, match=FAULTS):
      read(path)
  assert time.process_time() - start < 4  # of two readers


def test_hostile_numbers(tmp_path, holistic):
  at = holistic.header.get_point_index("LEFT_HAND_LANDMARKS", "WRIST")
  for value in (np.nan, np.inf, 1e30):
    made = pose_format.Pose(holistic.header, holistic.body.copy())
    made.body.data[2, 0, at, 0] = value
    made.body.confidence[2, 0, at] = 1
    path = saved(made, tmp_path / "a.pose")
    with pytest.raises(errors.DataError, match="frame 3: left_hand_wrist at"):
      pose.read_keypoints(path)
    made.body.confidence[2, 0, at] = 0
    assert not pose.read_keypoints(saved(made, path)).valid[2, 8]
    made.body.confidence[2, 0, at] = np.nan
    with pytest.raises(errors.DataError, match="frame 3: a confidence"):
      pose.read_keypoints(saved(made, path))


def test_neither_layout(tmp_path, holistic):
  hand = holistic.get_components(["LEFT_HAND_LANDMARKS"])
  with pytest.raises(errors.DataError, match="or MediaPipe Holistic's"):
    pose.read_keypoints(saved(hand, tmp_path / "a.pose"))
  with pytest.raises(errors.DataError, match="expected OpenPose's"):
    pose.read(saved(holistic, tmp_path / "a.pose"))


def test_header_of_another_file_is_not_used(tmp_path, holistic):
  """pose-format hands out its last header again, changed or not."""
  path = saved(holistic, tmp_path / "a.pose")
  width = holistic.header.dimensions.width
  theirs = pose_format.Pose.read(path.read_bytes())
  theirs.header.dimensions = pose_header.PoseHeaderDimensions(1, 1)
  assert pose.read_keypoints(path).size[0] == width
  theirs.header.dimensions.width = width
  pose_header.PoseHeaderCache.clear_cache()

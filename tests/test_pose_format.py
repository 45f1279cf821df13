import numpy as np
import pose_format
import pytest

from signllm_jax import clips, errors, skeleton
from signllm_jax.formats import pose
from signllm_jax.formats.pose import openpose


def signer(t: int = 5) -> clips.Clip:
  rng = np.random.default_rng(0)
  frames = rng.uniform(-0.5, 0.5, (t, 50, 3)).astype(np.float32)
  frames[:, skeleton.NECK] = 0
  valid = np.ones((t, 50), bool)
  valid[1, skeleton.LEFT_HAND :][:21] = False
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
    clip.frames[0, skeleton.RIGHT_HAND] * 384 + [256, 192, 0],
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

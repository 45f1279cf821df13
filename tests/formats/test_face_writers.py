"""Writers of clips with a face, and conversion to smaller skeletons."""

import numpy as np
import pytest
from helpers.paths import DATA

from data_pipeline import convert
from data_pipeline.cli import parser
from data_pipeline.keypoints import find_clips
from signllm_jax.core import clips, errors, reduction
from signllm_jax.core.skeleton import DWPOSE128, HOLISTIC178, PROMPT2SIGN50
from signllm_jax.formats import (
  bvh,
  dwpose,
  dwpose_npz,
  h5,
  npz,
  openpose,
  pose,
  pose_file,
)
from signllm_jax.inference import clip_files

DGS = DATA / "dgs_sentences"
BOTH = pytest.mark.parametrize("skeleton", [DWPOSE128, HOLISTIC178], ids=str)


def made(skeleton, name: str = "a", seed: int = 0) -> clips.Clip:
  """A canonical clip with missing joints."""
  random = np.random.default_rng(seed)
  frames = random.uniform(-0.4, 0.4, (5, *skeleton.shape)).astype(np.float32)
  frames[:, list(skeleton.origin)] = 0
  for joint, sign in zip(skeleton.shoulders, (-1, 1), strict=True):
    frames[:, joint] = 0
    frames[:, joint, 0] = sign / 6
  valid = random.random(frames.shape[:2]) < 0.9
  valid[:, [*skeleton.shoulders, *skeleton.origin]] = True
  frames[~valid] = 0
  clip = clips.Clip(
    frames, valid, 25.0, name, "hello", "HELLO", skeleton=skeleton
  )
  return clips.canonical(clip)


def assert_same(found: clips.Clip, true: clips.Clip, error: float) -> None:
  np.testing.assert_array_equal(found.valid, true.valid)
  found = clips.canonical(found)
  np.testing.assert_allclose(found.frames, true.frames, atol=error)


@BOTH
def test_pose(skeleton, tmp_path):
  true = made(skeleton)
  clip_files.save(tmp_path / "a.pose", [true])
  seen = pose.read_keypoints(tmp_path / "a.pose", skeleton)
  assert_same(seen.as_clip(), true, 1e-6)
  # The 50 joints of the same file, the neck and nose made of others.
  old = pose.read_keypoints(tmp_path / "a.pose")
  for name in set(PROMPT2SIGN50.joints) & set(skeleton.joints):
    np.testing.assert_array_equal(
      old.frames[:, PROMPT2SIGN50.joint(name)],
      seen.frames[:, skeleton.joint(name)],
    )


def test_pose_has_the_middle_of_the_hips(tmp_path):
  true = made(DWPOSE128)
  pose.write(tmp_path / "a.pose", true)
  content = pose_file.load(tmp_path / "a.pose")
  at = content.points.index(("pose_keypoints_2d", "MidHip"))
  hips = [DWPOSE128.joint(f"{side}_hip") for side in ("left", "right")]
  seen = true.valid[:, hips].all(1)
  np.testing.assert_array_equal(content.confidence[:, 0, at] > 0, seen)
  middle = pose.to_pixels(true.frames[:, hips].mean(1))
  np.testing.assert_allclose(content.data[seen, 0, at], middle[seen], rtol=1e-5)


@pytest.mark.skipif(not DGS.exists(), reason="no such real data")
def test_all_real_sentences_round_trip_through_pose(tmp_path):
  paths = sorted(DGS.glob("*_original.pose"))
  assert len(paths) == 16
  for path in paths:
    seen = pose.read_keypoints(path, HOLISTIC178)
    true = clips.canonical(seen.as_clip())
    pose.write(tmp_path / path.name, true)
    again = pose.read_keypoints(tmp_path / path.name, HOLISTIC178).as_clip()
    assert_same(again, true, 1e-3 * clips.SHOULDER_WIDTH)


@BOTH
def test_h5(skeleton, tmp_path):
  true = [made(skeleton, name, seed) for seed, name in enumerate("ab")]
  clip_files.save(tmp_path / "a.h5", true)
  for found, clip in zip(h5.read(tmp_path / "a.h5"), true, strict=True):
    assert found.skeleton is skeleton
    assert_same(found.as_clip(), clip, 1e-6)
  (first, _) = find_clips.find(tmp_path / "a.h5", skeleton=skeleton.name)
  assert_same(first.read().as_clip(), true[0], 1e-6)
  with pytest.raises(errors.DataError, match=rf"{skeleton.name}[\s\S]*50"):
    find_clips.find(tmp_path / "a.h5")[0].read()


@BOTH
def test_bvh_has_the_points_of_the_face(skeleton, tmp_path):
  true = made(skeleton)
  convert_to = tmp_path / "a.bvh"
  clip_files.save(convert_to, [true])
  found = bvh.read(convert_to)
  assert found.skeleton is skeleton and found.valid.all()
  places = np.abs(found.frames - true.frames)[true.valid]
  assert places.max() < 2e-5
  text = convert_to.read_text()
  assert text.count("ROOT") == 1
  assert text.count("JOINT") == skeleton.num_joints - 1
  # A missing joint keeps its last offset from its parent: no jumps to 0.
  joints = [j for j in skeleton.face if not true.valid[:, j].all()]
  assert joints and found.frames[:, joints].any(-1).all()
  small = convert.convert(convert_to, tmp_path / "a.npz")
  assert small == 1 and npz.read(tmp_path / "a.npz")[0].skeleton is skeleton


def test_a_bvh_lacking_a_joint_of_the_face_is_of_the_50(tmp_path):
  bvh.write(tmp_path / "a.bvh", made(DWPOSE128))
  text = (tmp_path / "a.bvh").read_text().replace("JOINT ibug_5\n", "JOINT x\n")
  (tmp_path / "b.bvh").write_text(text)
  assert bvh.read(tmp_path / "b.bvh").skeleton is PROMPT2SIGN50


def test_frames_of_dwpose_as_npz(tmp_path):
  true = made(DWPOSE128)
  clip_files.save(tmp_path / "a", [true], form="dwpose_npz")
  clip_files.save(tmp_path / "b", [true], form="dwpose")
  clip_files.save(tmp_path / "c", [true], form="openpose")
  (files,) = dwpose_npz.find(tmp_path / "a")
  seen = dwpose_npz.read(files, size=(512, 512), skeleton=DWPOSE128)
  assert_same(seen.as_clip(), true, 1e-6)
  text = dwpose.read(tmp_path / "b", size=(512, 512), skeleton=DWPOSE128)
  np.testing.assert_allclose(text.frames, seen.frames, rtol=1e-6)
  other = openpose.read(tmp_path / "c", skeleton=DWPOSE128)
  np.testing.assert_allclose(other.frames, seen.frames, rtol=1e-6)
  small = dwpose_npz.read(files, size=(512, 512))
  assert small.skeleton is PROMPT2SIGN50
  (source,) = find_clips.find(tmp_path / "a", size=(512, 512))
  np.testing.assert_array_equal(source.read().frames, small.frames)


def test_178_becomes_50_with_depth(tmp_path):
  true = made(HOLISTIC178)
  npz.write(tmp_path / "a.npz", [true])
  command = ["convert", f"--input={tmp_path / 'a.npz'}"]
  output = f"--output={tmp_path / 'b.npz'}"
  assert parser.main([*command, output, "--skeleton=prompt2sign50"]) == 0
  (found,) = npz.read(tmp_path / "b.npz")
  assert found.skeleton is PROMPT2SIGN50 and found.text == "hello"
  for joint, name in enumerate(PROMPT2SIGN50.joints):
    if HOLISTIC178.find(name) is not None:
      at = HOLISTIC178.joint(name)
      np.testing.assert_array_equal(found.frames[:, joint], true.frames[:, at])
  np.testing.assert_allclose(found.frames[:, 1], 0, atol=1e-7)  # the neck
  eyes = [HOLISTIC178.joint(f"mesh_{n}") for n in (133, 362, 0)]
  seen = true.valid[:, eyes].all(1)
  np.testing.assert_array_equal(found.valid[:, 0], seen)
  weights = np.array([0.225, 0.225, 0.55])[:, None]
  nose = (true.frames[:, eyes] * weights).sum(1)
  np.testing.assert_allclose(found.frames[seen, 0], nose[seen], atol=1e-6)


def test_128_becomes_50_to_be_lifted(tmp_path, capsys):
  true = made(DWPOSE128)
  npz.write(tmp_path / "a.npz", [true])
  for target in ("a.h5", "a"):
    convert.convert(
      tmp_path / "a.npz",
      tmp_path / target,
      form="openpose",
      skeleton="prompt2sign50",
    )
    (source,) = find_clips.find(tmp_path / target)
    seen = source.read()
    at = [DWPOSE128.joint(name) for name in PROMPT2SIGN50.joints]
    pixels = pose.to_pixels(true.frames[:, at])[true.valid[:, at]]
    np.testing.assert_allclose(seen.frames[seen.valid][:, :2], pixels, 1e-5)
  command = ["convert", f"--input={tmp_path / 'a.npz'}"]
  output = f"--output={tmp_path / 'b.npz'}"
  assert parser.main([*command, output, "--skeleton=prompt2sign50"]) == 1
  assert "Lift them first" in capsys.readouterr().err


@pytest.mark.parametrize(
  ("source", "target"),
  [
    (PROMPT2SIGN50, DWPOSE128),
    (PROMPT2SIGN50, HOLISTIC178),
    (DWPOSE128, HOLISTIC178),
    (HOLISTIC178, DWPOSE128),
  ],
)
def test_upwards_is_refused_with_both_names(tmp_path, source, target, capsys):
  npz.write(tmp_path / "a.npz", [made(source)])
  command = ["convert", f"--input={tmp_path / 'a.npz'}"]
  command += [f"--output={tmp_path / 'b.npz'}", f"--skeleton={target.name}"]
  assert parser.main(command) == 65
  said = capsys.readouterr().err
  assert source.name in said and target.name in said
  assert not (tmp_path / "b.npz").exists()


def test_keypoints_lose_and_derive_joints_with_their_confidence():
  random = np.random.default_rng(0)
  frames = random.uniform(0.2, 1, (2, 178, 3)).astype(np.float32)
  left = HOLISTIC178.joint("left_shoulder")
  right = HOLISTIC178.joint("right_shoulder")
  frames[1, left] = 0
  keypoints = clips.Keypoints(
    frames, skeleton=HOLISTIC178, depth=frames[..., 0] * 2
  )
  found = reduction.reduce(keypoints, PROMPT2SIGN50)
  neck = found.frames[:, PROMPT2SIGN50.joint("neck")]
  np.testing.assert_allclose(neck[0, :2], frames[0, [left, right], :2].mean(0))
  assert neck[0, 2] == frames[0, [left, right], 2].min()
  np.testing.assert_array_equal(neck[1], 0)
  assert reduction.reduce(found, PROMPT2SIGN50) is found
  np.testing.assert_allclose(found.depth, found.frames[..., 0] * 2, rtol=1e-6)


@BOTH
def test_keypoints_of_a_face_become_clips(skeleton, tmp_path):
  true = made(skeleton)
  pose.write(tmp_path / "a.pose", true)
  convert.convert(
    tmp_path / "a.pose", tmp_path / "b.npz", skeleton=skeleton.name
  )
  (found,) = npz.read(tmp_path / "b.npz")
  assert_same(found, true, 1e-6)

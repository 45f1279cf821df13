"""dwpose128 with lifted body and hands, and a face that hangs on the nose."""

import shutil

import numpy as np
import pytest
from helpers.paths import DATA

from data_pipeline.cli import parser
from data_pipeline.lifting import lifted_folder
from signllm_jax import config
from signllm_jax.core import bones, clips
from signllm_jax.core.skeleton import DWPOSE128_LIFTED, PROMPT2SIGN50
from signllm_jax.data import datasets
from signllm_jax.formats import bvh, dwpose, pose

JSON = DATA / "prompt2sign_2025/dwpose/human_signer_480/json"
BODY = [DWPOSE128_LIFTED.joint(name) for name in PROMPT2SIGN50.joints]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
  """The same real clip, lifted as 50 and as 128 joints."""
  if not JSON.exists():
    pytest.skip("no such real data")
  folder = tmp_path_factory.mktemp("hanging")
  shutil.copytree(JSON, folder / "in" / "human")
  for kind in ("files", "text"):
    (folder / "in" / f"clips.{kind}").write_text("human\n")
  for skeleton in ("prompt2sign50", "dwpose128_lifted"):
    command = ["lift", f"--input={folder / 'in'}", "--size=480x270"]
    command += [f"--output={folder / skeleton}", f"--skeleton={skeleton}"]
    assert parser.main(command) == 0
  return folder


def test_body_and_hands_are_lifted_as_ever(folders):
  body = lifted_folder.read(folders / "prompt2sign50", "human")
  whole = lifted_folder.read(folders / "dwpose128_lifted", "human")
  assert whole.skeleton is DWPOSE128_LIFTED
  np.testing.assert_array_equal(whole.frames[:, BODY], body.frames)
  np.testing.assert_array_equal(whole.valid[:, BODY], body.valid)


def test_the_face_hangs_on_the_nose(folders):
  clip = lifted_folder.read(folders / "dwpose128_lifted", "human")
  face, nose = list(clip.skeleton.face), clip.skeleton.joint("nose")
  seen = clip.valid[:, nose] & clip.valid[:, face].all(1)
  assert seen.mean() > 0.9
  depth = clip.frames[seen][:, [nose, *face], 2]
  np.testing.assert_array_equal(depth, np.repeat(depth[:, :1], 69, 1))
  flat = dwpose.read(JSON, size=(480, 270), skeleton=clip.skeleton.detected)
  offsets = flat.frames[..., :2] - flat.frames[:, nose, None, :2]
  found = clip.frames[..., :2] - clip.frames[:, nose, None, :2]
  scale = np.median(
    np.linalg.norm(found[seen][:, face], axis=-1)
    / np.linalg.norm(offsets[seen][:, face], axis=-1)
  )
  np.testing.assert_allclose(
    found[seen][:, face], offsets[seen][:, face] * scale, atol=1e-4
  )


def test_it_builds_and_is_written_with_its_depth(folders, tmp_path):
  options = ["--file_format=array_record", f"--output={tmp_path / 'data'}"]
  command = ["build", "--dataset=prompt2sign/asl", *options]
  source = f"--input={folders / 'dwpose128_lifted'}"
  assert parser.main([*command, source, "--skeleton=dwpose128_lifted"]) == 0
  folder = tmp_path / "data/prompt2sign/asl_dwpose128_lifted/1.0.0"
  settings = config.Data(str(folder), "ASL", skeleton="dwpose128_lifted")
  clip = datasets.open_clips(settings, "train")[0]
  assert clip.frames.shape == (97, 128, 3)
  lengths = bones.limb_lengths(clip.frames, clip.skeleton)
  arms = [i for i, limb in enumerate(clip.skeleton.limbs) if limb[2] in (2, 3)]
  whole = bones.limbs_visible(clip.valid, clip.skeleton)[:, arms].all(1)
  assert whole.sum() > 50
  assert np.ptp(lengths[whole][:, arms], axis=0).max() < 1e-3  # constant
  bvh.write(tmp_path / "a.bvh", clip)
  found = bvh.read(tmp_path / "a.bvh")
  assert found.skeleton is DWPOSE128_LIFTED
  np.testing.assert_allclose(
    found.frames[clip.valid], clip.frames[clip.valid], atol=2e-5
  )
  pose.write(tmp_path / "a.pose", clip)
  again = pose.read(tmp_path / "a.pose")  # its 50 joints
  np.testing.assert_allclose(
    clips.canonical(again).frames, clip.frames[:, BODY], atol=1e-5
  )

"""The table of skeletons; a fourth one is one more entry."""

import dataclasses

import numpy as np
import pytest

from signllm_jax import config
from signllm_jax.core import bones, clips, errors, skeleton
from signllm_jax.core.skeleton import (
  DWPOSE128,
  HOLISTIC178,
  PROMPT2SIGN50,
  SKELETONS,
  Skeleton,
)
from signllm_jax.data import corpus_info, loader, records
from signllm_jax.evaluation.metrics import catalogue
from signllm_jax.formats import npz
from signllm_jax.runs import config_check, stored_config
from signllm_jax.visualization import render

ALL = pytest.mark.parametrize("each", SKELETONS.values(), ids=list(SKELETONS))


@pytest.fixture
def fourth():
  """The arms and hands without a head, in 2-D."""
  joints = tuple(f"{s}_{j}" for s in skeleton.SIDES for j in _ARM)
  found = skeleton.register(
    Skeleton(
      name="arms48",
      joints=(*joints, *skeleton.hand_joints()),
      parts={"body": tuple(range(6)), **skeleton.hand_parts(6)},
      limbs=(
        (0, 3, 0),
        *((i, i + 1, 1 + i % 3) for i in (0, 1, 3, 4)),
        (2, 6, 3),
        (5, 27, 3),
        *skeleton.hand_limbs(6, 4),
        *skeleton.hand_limbs(27, 4),
      ),
      origin=(0, 3),
      dims=2,
    )
  )
  yield found
  del SKELETONS[found.name]


_ARM = ("shoulder", "elbow", "wrist")


def make_clip(of: Skeleton, frames: int = 6, seed: int = 0) -> clips.Clip:
  """A moving clip with upright shoulders; a few joints are missing."""
  rng = np.random.default_rng(seed)
  values = rng.normal(size=(1, *of.shape)) + np.cumsum(
    0.05 * rng.normal(size=(frames, *of.shape)), 0
  )
  right, left = of.shoulders
  values[:, right, 0], values[:, left, 0] = -0.5, 0.5
  valid = rng.random(values.shape[:2]) < 0.9
  valid[:, [*of.origin, right, left]] = True
  values[~valid] = 0
  return clips.Clip(
    values.astype(np.float32), valid, text="one two", name="a", skeleton=of
  )


@ALL
def test_entries_are_consistent(each):
  assert skeleton.get(each.name) is each
  assert sorted(sum(each.parts.values(), ())) == list(range(each.num_joints))
  assert len(set(each.joints)) == each.num_joints
  swapped = each.swap_sides
  np.testing.assert_array_equal(swapped[swapped], range(each.num_joints))
  for joint, other in enumerate(swapped):
    side, _, rest = each.joints[joint].partition("_")
    if side in skeleton.SIDES:
      assert each.joints[other].endswith(rest) and other != joint
  known = {each.limbs[0][0]}
  for parent, child, _ in each.limbs:
    assert parent in known and child not in known
    known.add(child)
  assert not known & set(each.face)
  assert set(range(each.num_joints)) - known == set(each.face)
  drawn = {j for name in each.features for j in each.feature(name)}
  assert drawn == set(each.face)


def test_sizes_are_those_of_the_published_forms():
  sizes = {name: each.shape for name, each in SKELETONS.items()}
  assert sizes == {
    "prompt2sign50": (50, 3),
    "dwpose128": (128, 2),
    "dwpose128_lifted": (128, 3),
    "holistic178": (178, 3),
  }
  assert (PROMPT2SIGN50.num_values, PROMPT2SIGN50.num_bones) == (150, 25)
  assert len(DWPOSE128.face) == 68 and len(HOLISTIC178.face) == 128
  # Smaller skeletons are found in larger ones by the names of the joints.
  assert set(PROMPT2SIGN50.joints) <= set(DWPOSE128.joints)
  lacking = set(PROMPT2SIGN50.joints) - set(HOLISTIC178.joints)
  assert lacking == set(HOLISTIC178.derived)


@ALL
def test_canonical_clips_have_their_origin_and_shoulders(each):
  clip = clips.canonical(make_clip(each))
  np.testing.assert_allclose(each.origin_of(clip.frames), 0, atol=1e-6)
  right, left = each.shoulders
  gap = np.linalg.norm(clip.frames[:, right] - clip.frames[:, left], axis=-1)
  flat = clip.frames[..., :2]
  gap = np.linalg.norm(flat[:, right] - flat[:, left], axis=-1)
  assert np.median(gap) == pytest.approx(1 / 3, abs=1e-5)
  twice = clips.swap_sides(clips.swap_sides(clip))
  np.testing.assert_array_equal(twice.frames, clip.frames)


@pytest.mark.parametrize("hold", [bones.hold, bones.nearest])
@ALL
def test_held_bones_keep_the_origin_and_carry_the_face(each, hold):
  poses = np.random.default_rng(2).normal(size=(5, *each.shape))
  poses = poses.astype(np.float32)
  visible = np.ones(poses.shape[:2], bool)
  lengths = np.full(len(each.limbs), 0.2, np.float32)
  made = np.asarray(hold(poses, lengths, visible, each))
  np.testing.assert_allclose(bones.limb_lengths(made, each), 0.2, rtol=1e-4)
  np.testing.assert_allclose(
    each.origin_of(made), each.origin_of(poses), atol=1e-5
  )
  if each.face:
    nose, face = each.find("nose"), list(each.face)
    before, after = poses[:, face], made[:, face]
    if nose is not None:
      before, after = before - poses[:, [nose]], after - made[:, [nose]]
    np.testing.assert_allclose(after, before, atol=1e-5)


def test_a_fourth_skeleton_is_one_more_entry(fourth, tmp_path):
  clip = clips.canonical(make_clip(fourth))
  assert records.to_clip(records.from_clip(clip, language="ASL")) is not clip
  assert records.features(fourth)["frames"].shape == (None, 96)
  record = records.from_clip(clip, language="ASL")
  again = records.to_clip(record)
  np.testing.assert_array_equal(again.frames, clip.frames)
  assert again.skeleton is fourth
  npz.write(tmp_path / "a.npz", [clip])
  assert npz.read(tmp_path / "a.npz")[0].skeleton is fourth
  settings = config.Data(folder="x", skeleton="arms48")
  summary = corpus_info.summarise([clip, clip], settings)
  assert summary.mean.shape == (96,) and summary.bones.shape == (24,)
  batch = loader.pad_batch([clip], [np.array([1])], 2, 8, 4, fourth)
  assert batch["frames"].shape == (2, 8, 96)
  for metric in catalogue.pose_metrics(fourth):
    assert not metric.score([clip], [clip]) > 1
  render.save(tmp_path / "a.png", {"": clip}, size=80, columns=1)
  render.save(tmp_path / "a.svg", {"": clip}, size=80, columns=1)
  config_check.check(config.Experiment(data=settings))


def test_names_are_checked():
  with pytest.raises(errors.UsageError, match="one of prompt2sign50, dwpose"):
    skeleton.get("arms48")
  with pytest.raises(errors.UsageError, match="two skeletons named"):
    skeleton.register(PROMPT2SIGN50)
  settings = config.Experiment(data=config.Data("x", skeleton="arms48"))
  with pytest.raises(errors.UsageError, match=r"data\.skeleton='arms48'"):
    config_check.check(settings)


def test_clips_of_another_skeleton_are_refused_with_both_names(tmp_path):
  mixed = [make_clip(DWPOSE128), make_clip(PROMPT2SIGN50)]
  with pytest.raises(errors.DataError, match=r"prompt2sign50[\s\S]*dwpose128"):
    npz.write(tmp_path / "a.npz", mixed)
  with pytest.raises(errors.DataError, match=r"\(T, 128, 2\) of dwpose128"):
    dataclasses.replace(mixed[1], skeleton=DWPOSE128)


def test_what_names_no_skeleton_is_prompt2sign50(tmp_path):
  record = records.from_clip(make_clip(PROMPT2SIGN50), language="ASL")
  assert "skeleton" not in record and "skeleton" not in records.features()
  assert records.to_clip(record).skeleton is PROMPT2SIGN50
  npz.write(tmp_path / "a.npz", [make_clip(PROMPT2SIGN50)])
  with np.load(tmp_path / "a.npz") as archive:
    assert "skeleton" not in archive
  assert npz.read(tmp_path / "a.npz")[0].skeleton is PROMPT2SIGN50
  stored = stored_config.from_json('{"data": {"folder": "x"}}')
  assert stored.data.skeleton == "prompt2sign50"

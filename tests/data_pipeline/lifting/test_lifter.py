"""Lifting: the published tool's stages and result, and our faster descent."""

import operator
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers.real_data import GOLDEN_LIFT, golden_lift

from data_pipeline.keypoints import cleaning
from data_pipeline.lifting import gradient_descent, lifter, stage_files
from signllm_jax.core import clips, errors, skeleton
from signllm_jax.core.skeleton import PROMPT2SIGN50
from signllm_jax.formats import skels

LEFT = slice(
  PROMPT2SIGN50.hand("left"), PROMPT2SIGN50.hand("left") + skeleton.HAND_JOINTS
)
RIGHT = slice(
  PROMPT2SIGN50.hand("right"),
  PROMPT2SIGN50.hand("right") + skeleton.HAND_JOINTS,
)


@pytest.fixture(scope="module", autouse=True)
def one_bucket():
  """All clips in one padded length: compiling takes most of the time here."""
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(lifter, "BUCKET", 160)
    yield


@pytest.fixture(scope="module")
def golden() -> list[dict[str, np.ndarray]]:
  """Real clips of How2Sign with the published tool's stages."""
  return golden_lift()


@pytest.fixture(scope="module")
def seen(golden) -> list[np.ndarray]:
  return [clip["keypoints"].astype(np.float32) for clip in golden]


@pytest.fixture(scope="module")
def by_mode(seen) -> dict[str, list[lifter.Lifted]]:
  return {
    mode: lifter.lift(seen, mode=mode, batch=2, keep_stages=True)
    for mode in ("fast", "reference")
  }


def limb_lengths(frames: np.ndarray) -> np.ndarray:
  ends = frames[:, PROMPT2SIGN50.children] - frames[:, PROMPT2SIGN50.parents]
  return np.linalg.norm(ends, axis=-1)  # [T, N]


def test_stages_are_the_published_ones(golden, by_mode):
  """To the last bit; the published texts have seven digits."""
  for clip, lifted in zip(golden, by_mode["reference"], strict=True):
    assert lifted.stages is not None
    names = "normalised", "pruned", "interpolated", "initial_3d"
    for name, stage in zip(names, lifted.stages, strict=False):
      assert stage.dtype == np.float32
      text = [f"{value:e}" for value in stage.ravel().tolist()]
      published = [f"{value:e}" for value in clip[name].ravel().tolist()]
      same = [a == b for a, b in zip(text, published, strict=True)]
      # Where the C library rounds powers otherwise, a few ties turn out so.
      assert np.mean(same) > (0.999 if name == "initial_3d" else 1 - 1e-6), name


def test_texts_are_the_published_ones_line_by_line(golden, by_mode, tmp_path):
  """The stages before the descent, of clips that hold confidences above 1."""
  form = "\t".join(["%e"] * PROMPT2SIGN50.num_values) + "\t\n"
  different = 0
  for clip, lifted in zip(golden, by_mode["reference"], strict=True):
    assert (clip["keypoints"][..., 2] > 1).any()
    stage_files.write(tmp_path, lifted.stages)
    names = "normalised", "pruned", "interpolated", "initial_3d"
    for text, name in zip(stage_files.NAMES, names, strict=False):
      lines = (tmp_path / text).read_text().splitlines(True)
      rows = clip[name].reshape(len(lines), -1).tolist()
      published = [form % tuple(row) for row in rows]
      different += sum(map(operator.ne, lines, published))
  # Where the C library rounds powers otherwise, a few ties turn out so.
  assert different <= 4


def test_reference_is_the_published_result(golden, by_mode):
  for clip, lifted in zip(golden, by_mode["reference"], strict=True):
    difference = np.abs(lifted.stages[4] - clip["lifted_3d"])
    assert difference.max() < 2e-3
    assert difference.mean() < 2e-6


def test_reference_is_the_published_export(by_mode, tmp_path):
  """Prompt2Sign's: the normalised unit by 9, five decimals."""
  path = GOLDEN_LIFT / "clips.skels"
  exported = [
    clips.Clip(lifted.stages[4] / np.float32(9), np.ones_like(lifted.valid))
    for lifted in by_mode["reference"]
  ]
  skels.write(tmp_path / "ours.skels", exported)
  ours = (tmp_path / "ours.skels").read_text().splitlines()
  published = path.read_text().splitlines()
  for our_line, line in zip(ours, published, strict=True):
    found, expected = (
      np.array(each.split(), np.float64).reshape(
        -1, PROMPT2SIGN50.num_values + 1
      )
      for each in (our_line, line)
    )
    np.testing.assert_array_equal(found[:, -1], expected[:, -1])
    assert np.mean(np.abs(found - expected) > 1e-4) < 0.01


def test_stages_lead_to_the_result(by_mode, seen):
  """Of both modes, in the unit of the keypoints again."""
  for results in by_mode.values():
    for points, lifted in zip(seen, results, strict=True):
      assert len(lifted.stages) == 5
      xy = points[..., :2].astype(np.float64)
      expected = lifted.stages[4] * xy.std()
      expected[..., :2] += xy.mean((0, 1))
      np.testing.assert_allclose(lifted.frames, expected, atol=0.02)
  assert lifter.lift([seen[2]], batch=2)[0].stages is None


def test_wide_windows_are_the_published_ones(seen):
  """A hand seen in one frame alone is copied to all; as frame by frame."""
  points = seen[2].copy()
  points[..., :2] /= 1000
  points[:, LEFT] = 0
  points[7, LEFT] = seen[2][7, LEFT]
  points[50:, RIGHT, 2] *= 0.1
  found = cleaning.interpolate(points)
  t, weight = len(points), points[..., 2].astype(np.float64)
  for frame in (0, 7, 33, t - 1):
    for joint in (LEFT.start, LEFT.start + 4, RIGHT.start, RIGHT.start + 9, 2):
      for radius in range(t):
        window = slice(max(frame - radius, 0), frame + radius + 1)
        if weight[window, joint].sum() >= 0.99:
          break
      w = weight[window, joint]
      expected = w @ points[window, joint, :2] / max(w.sum(), 1e-10)
      np.testing.assert_allclose(
        found[frame, joint, :2], expected, rtol=1e-5, atol=1e-6
      )
  np.testing.assert_array_equal(found[..., 2], points[..., 2])


def test_a_long_clip_without_a_hand_takes_no_time():
  random = np.random.default_rng(0)
  points = random.uniform(0.5, 1, (8000, PROMPT2SIGN50.num_joints, 3)).astype(
    np.float32
  )
  points[:-1, LEFT] = 0
  began = time.perf_counter()
  found = cleaning.interpolate(points)
  assert time.perf_counter() - began < 10  # frame by frame: a minute
  np.testing.assert_allclose(
    found[0, LEFT, :2], points[-1, LEFT, :2], rtol=1e-5
  )


def test_fast_finds_a_better_optimum(by_mode):
  for fast, reference in zip(*by_mode.values(), strict=True):
    assert fast.objective[1] < 0.9 * reference.objective[1]
    assert reference.objective[1] < reference.objective[0]


def test_gradient_is_that_of_the_objective(seen):
  points = (seen[0][:8] / 1000).astype(np.float32)
  random = np.random.default_rng(0)
  parameters = gradient_descent.Parameters(
    lengths=jnp.asarray(random.normal(-2, 1, PROMPT2SIGN50.num_bones)),
    root=jnp.asarray(random.normal(size=(3, 8))),
    directions=jnp.asarray(
      random.normal(size=(len(PROMPT2SIGN50.limbs), 3, 8))
    ),
  )
  goal = jax.jit(gradient_descent.target)(points, 6)  # two frames of padding
  by_hand = jax.jit(gradient_descent.gradient)(parameters, goal)
  by_jax = jax.jit(jax.grad(gradient_descent.objective))(parameters, goal)
  for ours, expected in zip(by_hand, by_jax, strict=True):
    np.testing.assert_allclose(ours, expected, atol=1e-6)
  assert np.all(by_hand.directions[..., 6:] == 0)


def test_objective_is_formula_3(seen):
  """Against float64, term by term."""
  t, length = 6, 4
  points = seen[1][:t].astype(np.float64) / 1000
  random = np.random.default_rng(1)
  parameters = gradient_descent.Parameters(
    *(
      jnp.asarray(random.normal(-1, 1, shape), jnp.float32)
      for shape in (
        (PROMPT2SIGN50.num_bones,),
        (3, t),
        (len(PROMPT2SIGN50.limbs), 3, t),
      )
    )
  )
  bones, root, directions = (np.float64(each) for each in parameters)
  joints = np.zeros((PROMPT2SIGN50.num_joints, 3, t))
  joints[0] = root
  for limb, (parent, child, bone) in enumerate(PROMPT2SIGN50.limbs):
    unit = directions[limb] / np.linalg.norm(directions[limb], axis=0)
    joints[child] = joints[parent] + np.exp(bones[bone]) * unit
  joints = joints.transpose(2, 0, 1)[:length]
  gap = np.sum((joints[..., :2] - points[:length, :, :2]) ** 2, -1)
  expected = (
    np.sum(points[:length, :, 2] * gap) / (PROMPT2SIGN50.num_joints * length)
    + 0.001 * np.sum(np.exp(bones))
    + 0.1
    * np.sum(np.diff(joints, axis=0) ** 2)
    / (PROMPT2SIGN50.num_joints * (length - 1))
  )
  goal = jax.jit(gradient_descent.target)(points.astype(np.float32), length)
  found = jax.jit(gradient_descent.objective)(parameters, goal)
  assert float(found) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("mode", ["fast", "reference"])
def test_batches_equal_single_clips(seen, by_mode, mode):
  """Of unequal lengths; in another batch, order and company."""
  again = lifter.lift([seen[2], seen[0]], mode=mode, batch=2)
  for lifted, index in zip(again, (2, 0), strict=True):
    np.testing.assert_array_equal(lifted.frames, by_mode[mode][index].frames)
    assert lifted.objective == by_mode[mode][index].objective
    assert lifted.frames.shape == seen[index].shape


def test_padding_changes_nothing(seen, by_mode, monkeypatch):
  monkeypatch.setattr(lifter, "BUCKET", 32)
  (lifted,) = lifter.lift([seen[2]], batch=2)
  np.testing.assert_allclose(
    lifted.frames, by_mode["fast"][2].frames, atol=0.1
  )  # pixels of 1,280


def test_bones_keep_their_length(seen, by_mode):
  for lifted in by_mode["fast"]:
    expected = np.broadcast_to(
      lifted.bone_lengths[PROMPT2SIGN50.limb_bones], (len(lifted.frames), 49)
    )
    np.testing.assert_allclose(
      limb_lengths(lifted.frames), expected, rtol=1e-3, atol=1e-3
    )


def test_known_lengths_are_kept(seen, by_mode):
  known = 1.1 * by_mode["fast"][0].bone_lengths
  for lifted in lifter.lift(seen[:2], bone_lengths=known, batch=2):
    np.testing.assert_allclose(lifted.bone_lengths, known, rtol=1e-5)
    np.testing.assert_allclose(
      limb_lengths(lifted.frames).mean(0),
      known[PROMPT2SIGN50.limb_bones],
      rtol=1e-3,
    )
    assert lifted.objective[1] < lifted.objective[0]


def test_missing_hand(seen, by_mode):
  """It stays marked as missing and disturbs nothing else."""
  points = seen[0].copy()
  points[:, LEFT] = 0
  (lifted,) = lifter.lift([points], batch=2)
  whole = by_mode["fast"][0]
  assert not lifted.valid[:, LEFT].any()
  np.testing.assert_array_equal(lifted.valid[:, RIGHT], whole.valid[:, RIGHT])
  assert np.isfinite(lifted.frames).all()
  shown = lifted.valid & whole.valid
  gap = np.linalg.norm(lifted.frames[..., :2] - points[..., :2], axis=-1)
  shoulders = points[
    :,
    [
      PROMPT2SIGN50.joint("right_shoulder"),
      PROMPT2SIGN50.joint("left_shoulder"),
    ],
    :2,
  ]
  width = np.linalg.norm(shoulders[:, 0] - shoulders[:, 1], axis=-1).mean()
  assert gap[shown].mean() < 0.1 * width
  # The right hand alone now tells how long fingers are, not the zeros.
  fingers = lifted.bone_lengths[5:] / whole.bone_lengths[5:]
  assert 0.5 < np.median(fingers) < 2


def test_nothing_seen_at_all():
  (lifted,) = lifter.lift(
    [np.zeros((3, PROMPT2SIGN50.num_joints, 3), np.float32)], batch=2
  )
  assert np.isfinite(lifted.frames).all()
  assert not lifted.valid.any()


def test_one_frame(seen):
  (lifted,) = lifter.lift([seen[0][:1]], batch=2)
  assert lifted.frames.shape == (1, PROMPT2SIGN50.num_joints, 3)
  assert np.isfinite(lifted.frames).all()
  assert lifter.lift([]) == []


@pytest.mark.parametrize("shape", [(0, 50, 3), (4, 49, 3), (4, 50, 2), (4, 50)])
def test_wrong_shapes(shape):
  good = np.ones((2, PROMPT2SIGN50.num_joints, 3), np.float32)
  with pytest.raises(errors.DataError, match="clip 1 has keypoints of shape"):
    lifter.lift([good, np.ones(shape, np.float32)])


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_not_finite(value):
  clip = np.ones((4, PROMPT2SIGN50.num_joints, 3), np.float32)
  clip[2, 7, 1] = value
  with pytest.raises(errors.DataError, match="clip 0 is not finite") as caught:
    lifter.lift([clip])
  assert caught.value.frame == 3


def test_out_of_range():
  clip = np.ones((4, PROMPT2SIGN50.num_joints, 3), np.float32)
  clip[2, 7, 1] = -1e9
  with pytest.raises(errors.DataError, match="clip 0 has a coordinate of 1e"):
    lifter.lift([clip])

"""Quality of real clips, and of the same clips damaged on purpose."""

import dataclasses
import json

import numpy as np
import pytest
from helpers.paths import DATA
from helpers.real_data import golden_lift

from data_pipeline.keypoints import cleaning
from data_pipeline.lifting import bones, lifter, quality
from signllm_jax.core import clips, errors
from signllm_jax.core.skeleton import PROMPT2SIGN50
from signllm_jax.formats import splits

FPS = 24.0
T = 62  # frames of the clip used most
HANDS = [*PROMPT2SIGN50.parts["left_hand"], *PROMPT2SIGN50.parts["right_hand"]]


@pytest.fixture(scope="module")
def golden() -> dict[str, np.ndarray]:
  """The shortest How2Sign clip and the published tool's lifting of it."""
  return min(golden_lift(), key=lambda clip: len(clip["keypoints"]))


@pytest.fixture
def seen(golden) -> clips.Keypoints:
  return clips.Keypoints(
    golden["keypoints"].astype(np.float32), FPS, name="clip", text="text"
  )


@pytest.fixture
def lifted(golden) -> lifter.Lifted:
  return lifter.Lifted(
    frames=golden["lifted_3d"].astype(np.float32),
    valid=golden["keypoints"][..., 2] > 0,
    bone_lengths=np.ones(PROMPT2SIGN50.num_bones, np.float32),
    objective=(0.016, 0.014),
  )


@pytest.fixture
def clip(lifted) -> clips.Clip:
  return clips.canonical(clips.Clip(lifted.frames, lifted.valid, FPS, "clip"))


def hide(frames: np.ndarray, *where) -> None:
  frames[where] = 0


def test_good_clips_are_good(seen, lifted, clip):
  for measured in (
    quality.measure(seen),
    quality.with_lifted(quality.measure(seen), lifted),
    quality.measure(clip),
  ):
    assert (measured.name, measured.frames) == ("clip", T)
    assert measured.seconds == pytest.approx(T / FPS)
    assert measured.missing == dict.fromkeys(
      PROMPT2SIGN50.parts, quality.Missing(0.0, 0, 0)
    )
    assert measured.pruned == 0
    assert measured.flipped == {"shoulders": 0, "hands": 0}
    assert 100 < measured.jitter < 1000
    assert quality.faults(measured) == {}


def test_3d_needs_a_lifting(seen, lifted, clip):
  flat = quality.measure(seen)
  assert flat.objective is flat.bone_ratios is flat.bone_change is None
  deep = quality.with_lifted(quality.measure(seen), lifted)
  assert deep.objective == (0.016, 0.014)
  assert set(deep.bone_ratios) == set(bones.RATIOS) and deep.strange == ()
  assert deep.bone_change < 1e-4  # the lifting has one length a bone
  whole = quality.measure(clip)
  assert whole.bone_ratios == pytest.approx(deep.bone_ratios, rel=1e-4)
  assert quality.faults(deep, quality.Limits(objective=0.01)) == {
    "objective": "0.014 > 0.01"
  }


def test_lifting_of_fewer_frames(seen, lifted):
  """What policy and condensing left of the clip."""
  part = dataclasses.replace(
    lifted, frames=lifted.frames[::5], valid=lifted.valid[::5]
  )
  measured = quality.with_lifted(quality.measure(seen), part)
  assert measured.frames == T and measured.bone_change < 1e-4


def test_fits_in_json(seen, lifted):
  measured = quality.with_lifted(quality.measure(seen), lifted)
  read = json.loads(json.dumps(dataclasses.asdict(measured), allow_nan=False))
  assert read["missing"]["left_hand"] == {
    "share": 0.0,
    "frames": 0,
    "longest": 0,
  }
  assert read["objective"] == [0.016, 0.014]


def test_missing(seen):
  left = PROMPT2SIGN50.parts["left_hand"]
  hide(seen.frames, slice(3, 8), list(left))
  hide(seen.frames, slice(20, 22), list(left))
  hide(seen.frames, slice(0, 31), PROMPT2SIGN50.joint("nose"))
  missing = quality.measure(seen).missing
  assert missing["left_hand"] == quality.Missing(
    pytest.approx(7 / T), frames=7, longest=5
  )
  assert missing["body"] == quality.Missing(pytest.approx(1 / 16), 0, 0)
  assert missing["right_hand"] == quality.Missing(0.0, 0, 0)


def test_real_missing_hand():
  """OpenPose JSON of a video in which the left hand is often not found."""
  folder = DATA / "openpose_variants" / "posefmt_openpose"
  paths = sorted(folder.glob("**/*.json"))
  if not paths:
    pytest.skip("needs ../shared/data/openpose_variants")
  frames = np.zeros((len(paths), PROMPT2SIGN50.num_joints, 3), np.float32)
  for t, path in enumerate(paths):
    person = json.loads(path.read_text())["people"][0]
    points = [
      np.reshape(person[f"{part}_keypoints_2d"], (-1, 3))
      for part in ("pose", "hand_left", "hand_right")
    ]
    frames[t] = np.concatenate([points[0][:8], *points[1:]])
  measured = quality.measure(clips.Keypoints(frames))
  assert measured.missing["left_hand"].share == pytest.approx(0.47, abs=0.005)
  assert measured.missing["left_hand"].longest > 1
  assert quality.faults(measured) == {}


def test_pruned(seen, clip):
  seen.frames[:4, :8, 2] = 0.29
  assert quality.measure(seen).pruned == 4
  seen.frames[:4, :8, 2] = 0.31
  assert quality.measure(seen).pruned == 0
  clip.valid[10, :6] = False  # 2 of 8 left
  clip.valid[11, :5] = False  # 3 of 8 left
  assert quality.measure(clip).pruned == 1


def test_pruned_are_those_of_the_lifting(seen):
  seen.frames[::3, :8, 2] *= np.linspace(0.2, 0.6, len(seen.frames[::3]))[
    :, None
  ]
  pruned = cleaning.prune(seen.frames)
  empty = (np.asarray(pruned) == 0).all((1, 2))
  assert 0 < empty.sum() < len(seen)
  np.testing.assert_array_equal(quality.unusable(seen), empty)


def test_flipped_shoulders(seen):
  order = PROMPT2SIGN50.swap_sides[:8]
  seen.frames[5:9, :8] = seen.frames[5:9, order]
  found = quality.flipped(seen)
  assert np.flatnonzero(found["shoulders"]).tolist() == [5, 6, 7, 8]
  assert quality.measure(seen).flipped["shoulders"] == 4


def test_sides_of_most_frames_are_right(seen):
  """A clip with PT's labels throughout is no flip."""
  frames = seen.frames[:, PROMPT2SIGN50.swap_sides]
  other = dataclasses.replace(seen, frames=frames)
  assert quality.measure(other).flipped == {"shoulders": 0, "hands": 0}


def test_flipped_hands(seen):
  wrists = [
    PROMPT2SIGN50.joint("left_wrist"),
    PROMPT2SIGN50.joint("right_wrist"),
  ]
  apart = seen.frames[:, wrists, :2]
  apart = np.linalg.norm(apart[:, 0] - apart[:, 1], axis=-1)
  at = int(apart.argmax())
  assert apart[at] > 0.5 * quality.shoulder_width(seen)
  swapped = PROMPT2SIGN50.swap_sides[HANDS]
  seen.frames[at, HANDS] = seen.frames[at, swapped]
  found = quality.flipped(seen)
  assert np.flatnonzero(found["hands"]).tolist() == [at]
  assert not found["shoulders"].any()


def test_jitter_is_the_jerk(seen):
  """Of x = 7 t^3 pixels: 42 pixels / s^3, whatever the frame rate."""
  for fps in (10.0, 25.0):
    frames = np.tile(seen.frames[:1], (20, 1, 1))
    x = 7 * (np.arange(20) / fps) ** 3
    frames[:, PROMPT2SIGN50.joint("right_wrist"), 0] += x
    frames[:, PROMPT2SIGN50.joint("left_wrist"), 0] += x
    still = clips.Keypoints(frames, fps)
    expected = 42 / quality.shoulder_width(still)
    assert quality.measure(still).jitter == pytest.approx(expected, rel=0.02)


def test_jitter_of_seen_frames_only(seen):
  calm = quality.measure(seen).jitter
  noisy = seen.frames.copy()
  noise = np.random.default_rng(0).normal(0, 5, (*noisy.shape[:2], 2))
  noisy[..., :2] += noise.astype(np.float32)
  assert quality.measure(clips.Keypoints(noisy, FPS)).jitter > 2 * calm
  hide(seen.frames, slice(None, None, 4), PROMPT2SIGN50.joint("left_wrist"))
  one = quality.measure(seen).jitter  # a jump to (0, 0) would be huge
  assert one == pytest.approx(calm, rel=0.8)
  hide(seen.frames, slice(None, None, 3), PROMPT2SIGN50.joint("right_wrist"))
  assert quality.measure(seen).jitter is None


def test_strange_bones(clip):
  elbow, wrist = (
    PROMPT2SIGN50.joint("right_elbow"),
    PROMPT2SIGN50.joint("right_wrist"),
  )
  reach = clip.frames[:, wrist] - clip.frames[:, elbow]
  for joint in (wrist, *PROMPT2SIGN50.parts["right_hand"]):
    clip.frames[:, joint] += 9 * reach
  measured = quality.measure(clip)
  assert measured.strange == (
    "forearm / upper arm",
    "hand / forearm",
  )


def test_changing_bones(clip):
  clip.frames[30:, PROMPT2SIGN50.joint("nose")] *= 1.5
  assert quality.measure(clip).bone_change == pytest.approx(0.5, abs=0.2)


def test_bone_lengths_are_the_liftings(lifted):
  limbs = bones.limb_lengths(lifted.frames, lifted.valid)
  lengths = bones.bone_lengths(limbs)
  np.testing.assert_allclose(
    lengths[PROMPT2SIGN50.limb_bones], np.median(limbs, 0), rtol=1e-4
  )
  lifted.valid[:, HANDS] = False
  lengths = bones.bone_lengths(bones.limb_lengths(lifted.frames, lifted.valid))
  assert np.isnan(lengths[4:]).all() and not np.isnan(lengths[:4]).any()
  assert list(bones.ratios(lengths)) == list(bones.RATIOS)[:3]


def test_phoenix_is_good():
  folder = DATA / "phoenix14t_mini"
  if not folder.exists():
    pytest.skip("needs ../shared/data/phoenix14t_mini")
  for each in splits.read_split(folder, "train"):
    measured = quality.measure(clips.canonical(each))
    assert quality.faults(measured) == {}
    assert measured.strange == () and 0 < measured.bone_change < 0.2


@pytest.mark.parametrize("frames", [0, 1, 3])
def test_nothing_to_measure(frames):
  empty = np.zeros((frames, PROMPT2SIGN50.num_joints, 3), np.float32)
  valid = np.zeros((frames, PROMPT2SIGN50.num_joints), bool)
  for each in (clips.Keypoints(empty), clips.Clip(empty, valid)):
    measured = quality.measure(each)
    assert measured.pruned == measured.frames == frames
    assert measured.jitter is None and measured.bone_change is None
    assert measured.missing["body"].share == 1.0
    wrong = quality.faults(measured)
    assert wrong["min_frames"] == f"{frames} < 5"
    assert wrong["body_missing"] == "1 > 0.3"
    assert quality.apply("drop", each, measured) is None
    assert quality.apply("trim", each, measured) is None
    assert quality.apply("keep", each, measured) is each


def test_trim(seen, clip):
  for start, end in ((0, 5), (20, 25), (58, 62)):
    hide(seen.frames, slice(start, end))
    hide(clip.frames, slice(start, end))
    clip.valid[start:end] = False
  for each in (seen, clip):
    cut = quality.apply("trim", each, quality.measure(each))
    np.testing.assert_array_equal(cut.frames, each.frames[5:58])
    np.testing.assert_array_equal(cut.valid, each.valid[5:58])
    assert not cut.valid[15:20].any()  # the gap in the middle stays
    assert (cut.fps, cut.name, cut.text) == (each.fps, each.name, each.text)
    again = quality.apply("trim", cut, quality.measure(cut))
    np.testing.assert_array_equal(again.frames, cut.frames)


def test_drop(seen):
  measured = quality.measure(seen)
  assert quality.apply("drop", seen, measured) is seen
  strict = quality.Limits(min_frames=T + 1)
  assert quality.apply("drop", seen, measured, strict) is None
  hide(seen.frames, slice(0, 25))
  measured = quality.measure(seen)
  assert quality.apply("drop", seen, measured) is None
  assert list(quality.faults(measured)) == ["body_missing", "pruned"]
  assert quality.apply("keep", seen, measured) is seen


def test_one_hand_is_enough(seen):
  hide(seen.frames, slice(None), list(PROMPT2SIGN50.parts["left_hand"]))
  assert quality.faults(quality.measure(seen)) == {}
  hide(seen.frames, slice(None), list(PROMPT2SIGN50.parts["right_hand"]))
  assert quality.faults(quality.measure(seen)) == {"hands_missing": "1 > 0.7"}


def test_unknown_policy(seen):
  with pytest.raises(errors.UsageError, match="drop, trim or keep"):
    quality.apply("median", seen, quality.measure(seen))


def test_every_fifth_frame(seen, clip):
  hide(seen.frames, 10, PROMPT2SIGN50.joint("nose"))
  clip.valid[10, PROMPT2SIGN50.joint("nose")] = False
  for each in (seen, clip):
    fewer = quality.condense(each, "1/5")
    np.testing.assert_array_equal(fewer.frames, each.frames[::5])
    np.testing.assert_array_equal(fewer.valid, each.valid[::5])
    assert fewer.fps == FPS / 5 and type(fewer) is type(each)
    assert not fewer.valid[2, PROMPT2SIGN50.joint("nose")]


def test_resampled(seen, clip):
  hide(seen.frames, 10, PROMPT2SIGN50.joint("nose"))
  clip.valid[10, PROMPT2SIGN50.joint("nose")] = False
  for each in (seen, clip):
    fewer = quality.condense(each, "12.5fps")
    expected = clips.resample(clips.Clip(each.frames, each.valid, FPS), 12.5)
    np.testing.assert_array_equal(fewer.frames, expected.frames)
    np.testing.assert_array_equal(fewer.valid, expected.valid)
    assert fewer.fps == 12.5 and type(fewer) is type(each)
    # Both new frames that frame 10 would be a part of lack it.
    lacking = np.flatnonzero(~fewer.valid[:, PROMPT2SIGN50.joint("nose")])
    at = lacking * (T - 1) / (len(fewer) - 1)
    assert len(lacking) and (np.abs(at - 10) < 1).all()
    assert (fewer.frames[lacking, PROMPT2SIGN50.joint("nose")] == 0).all()


@pytest.mark.parametrize(
  "by", ["", "0", "1/0", "1/-5", "2/5", "5", "0fps", "x"]
)
def test_condense_by_nonsense(seen, by):
  with pytest.raises(errors.UsageError, match=r"1/N .* 12\.5fps"):
    quality.condense(seen, by)


def test_nothing_is_changed_in_place(seen, lifted, clip):
  before = [each.frames.copy() for each in (seen, lifted, clip)]
  for each in (seen, clip):
    measured = quality.with_lifted(quality.measure(each), lifted)
    for policy in ("drop", "trim", "keep"):
      quality.apply(policy, each, measured)
    quality.condense(each, "1/2")
    quality.condense(each, "10fps")
  for each, frames in zip((seen, lifted, clip), before, strict=True):
    np.testing.assert_array_equal(each.frames, frames)

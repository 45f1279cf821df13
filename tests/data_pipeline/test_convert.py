"""Clips from each form into each other, as exact as both forms can be."""

import dataclasses
import pathlib

import numpy as np
import pytest
from helpers.paths import DATA

from data_pipeline import convert
from data_pipeline.cli import parser
from data_pipeline.keypoints import find_clips
from signllm_jax.core import clips, errors
from signllm_jax.core.skeleton import PROMPT2SIGN50
from signllm_jax.formats import dwpose, npz, openpose, pose, registry, splits

# Of canonical values: five decimals; 384 pixels a unit in float32.
HALF_DECIMAL, PIXEL = 5.1e-6, 1e-6
FOLDERS = ("openpose", "dwpose")


def canonical_clips(count: int) -> list[clips.Clip]:
  """Numbers in the shape of canonical clips, some joints missing."""
  made = []
  for seed in range(count):
    rng = np.random.default_rng(seed)
    frames = rng.uniform(-0.4, 0.4, (6 + seed, PROMPT2SIGN50.num_joints, 3))
    frames[:, PROMPT2SIGN50.joint("right_shoulder")] = -1 / 6, 0.01, 0.02
    frames[:, PROMPT2SIGN50.joint("left_shoulder")] = 1 / 6, 0.01, 0.03
    valid = rng.random(frames.shape[:2]) < 0.9
    valid[:, :6] = True
    frames[~valid] = frames[:, PROMPT2SIGN50.joint("neck")] = 0
    clip = clips.Clip(
      frames.astype(np.float32),
      valid,
      25.0,
      f"train/{seed:06d}",
      f"sentence {seed}",
      "A B" if seed else "",
    )
    made.append(clips.canonical(clip))
  return made


@pytest.fixture(scope="module")
def true() -> list[clips.Clip]:
  return canonical_clips(3)


@pytest.fixture(scope="module")
def made(tmp_path_factory, true) -> dict[str, pathlib.Path]:
  """The same clips in every form, each written from the .npz."""
  folder = tmp_path_factory.mktemp("forms")
  paths = {"npz": folder / "clips.npz"}
  npz.write(paths["npz"], true)
  for form in ("skels", "h5"):
    paths[form] = folder / f"clips.{form}"
    assert convert.convert(paths["npz"], paths[form]) == 3
  paths["pt"] = folder / "pt.skels"
  assert convert.convert(paths["npz"], paths["pt"], convention="pt") == 3
  for form in ("pose", *FOLDERS):
    paths[form] = folder / form
    assert convert.convert(paths["npz"], paths[form], form=form) == 3
  return paths


def read_keypoints(path: pathlib.Path) -> dict[str, clips.Keypoints]:
  return {
    source.name: source.read()
    for source in find_clips.find(path, fps=25.0, size=(pose.SIZE, pose.SIZE))
  }


def from_the_front(clip: clips.Clip) -> np.ndarray:
  return registry.to_keypoints(clip).frames


def test_npz_to_skels(made, true):
  for path, pt in ((made["skels"], False), (made["pt"], True)):
    found = list(splits.read_split(path.parent, path.stem))
    for one, other in zip(found, true, strict=True):
      assert (one.name, one.text, one.gloss) == (
        other.name,
        other.text,
        other.gloss,
      )
      np.testing.assert_allclose(
        one.frames, other.frames, rtol=0, atol=HALF_DECIMAL
      )
      # pt has no mark for what is missing
      assert (one.valid == (other.valid | pt)).all()


def test_skels_to_npz(made, true, tmp_path):
  assert convert.convert(made["skels"], tmp_path / "back.npz", fps=50) == 3
  for one, other in zip(npz.read(tmp_path / "back.npz"), true, strict=True):
    assert (one.name, one.text, one.fps) == (other.name, other.text, 50)
    np.testing.assert_array_equal(one.valid, other.valid)
    np.testing.assert_allclose(
      one.frames, other.frames, rtol=0, atol=HALF_DECIMAL
    )
  made["skels"].with_suffix(".text").rename(tmp_path / "clips.text")
  try:
    convert.convert(made["skels"], tmp_path / "bare.npz")
  finally:
    (tmp_path / "clips.text").rename(made["skels"].with_suffix(".text"))
  names = [clip.name for clip in npz.read(tmp_path / "bare.npz")]
  assert names == ["clips/000001", "clips/000002", "clips/000003"]


def test_npz_to_npz_and_to_skels_and_back_is_the_same(made, true, tmp_path):
  assert convert.convert(made["npz"], tmp_path / "again.npz") == 3
  for one, other in zip(npz.read(tmp_path / "again.npz"), true, strict=True):
    np.testing.assert_array_equal(one.frames, other.frames)
  convert.convert(made["skels"], tmp_path / "a.npz")
  convert.convert(tmp_path / "a.npz", tmp_path / "a.skels")
  assert (tmp_path / "a.skels").read_bytes() == made["skels"].read_bytes()


def test_npz_to_pose_and_back(made, true, tmp_path):
  for other in true:
    name = other.name.replace("/", "-")
    assert (
      convert.convert(made["pose"] / f"{name}.pose", tmp_path / "one.npz") == 1
    )
    (one,) = npz.read(tmp_path / "one.npz")
    (tmp_path / "one.npz").unlink()
    assert one.name == name and one.fps == 25
    np.testing.assert_array_equal(one.valid, other.valid)
    np.testing.assert_allclose(one.frames, other.frames, rtol=0, atol=PIXEL)


def test_poses_to_keypoints(made, true):
  """As they look from the front: x and y in pixels, the depth left out."""
  for form in ("h5", *FOLDERS, "pose"):
    found = read_keypoints(made[form])
    assert sorted(found) == [clip.name.replace("/", "-") for clip in true]
    for clip in true:
      seen = found[clip.name.replace("/", "-")]
      expected = from_the_front(clip)
      np.testing.assert_array_equal(seen.valid, clip.valid)
      np.testing.assert_allclose(seen.frames, expected, rtol=0, atol=1e-4)
      assert (seen.fps, seen.size) == (25, (pose.SIZE, pose.SIZE))


@pytest.mark.parametrize("source", ["h5", "openpose", "dwpose"])
@pytest.mark.parametrize("target", ["h5", "openpose", "dwpose"])
def test_keypoints_to_keypoints(made, source, target, tmp_path):
  path = tmp_path / ("out.h5" if target == "h5" else "out")
  options = {} if target == "h5" else {"form": target}
  size = (pose.SIZE, pose.SIZE)
  assert convert.convert(made[source], path, size=size, **options) == 3
  found, expected = read_keypoints(path), read_keypoints(made[source])
  assert found.keys() == expected.keys()
  for name, seen in found.items():
    if target != "dwpose":  # which says of the body only whether it was seen
      np.testing.assert_array_equal(
        seen.frames[..., 2], expected[name].frames[..., 2]
      )
    np.testing.assert_array_equal(seen.valid, expected[name].valid)
    np.testing.assert_allclose(
      seen.frames[..., :2], expected[name].frames[..., :2], rtol=0, atol=1e-4
    )


def test_one_clip_takes_the_name_it_is_given(true, tmp_path):
  npz.write(tmp_path / "one.npz", true[:1])
  for target, form in (("a.pose", ""), ("b", "openpose"), ("c", "dwpose")):
    assert (
      convert.convert(tmp_path / "one.npz", tmp_path / target, form=form) == 1
    )
  assert len(pose.read(tmp_path / "a.pose")) == len(true[0])
  assert len(openpose.read(tmp_path / "b")) == len(true[0])
  assert len(dwpose.read(tmp_path / "c")) == len(true[0])
  # Several have no place in one file.
  npz.write(tmp_path / "two.npz", true[:2])
  convert.convert(tmp_path / "two.npz", tmp_path / "two.pose")
  assert len(list((tmp_path / "two.pose").glob("*.pose"))) == 2


def test_keypoints_are_no_poses(made, tmp_path):
  for source in ("h5", *FOLDERS):
    for target in ("a.npz", "a.skels", "a.pose"):
      with pytest.raises(errors.UsageError, match="Lift them first"):
        convert.convert(made[source], tmp_path / target)
  assert not list(tmp_path.iterdir())


def test_real_sentences_through_all_forms(tmp_path):
  source = DATA / "phoenix14t_mini"
  if not source.exists():
    pytest.skip("needs ../shared/data/phoenix14t_mini")
  assert convert.convert(source / "dev.skels", tmp_path / "a.npz") == 5
  assert (
    convert.convert(tmp_path / "a.npz", tmp_path / "dev.skels", convention="pt")
    == 5
  )
  for kind in ("files", "gloss", "text"):
    one, other = (
      [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
      for path in (tmp_path / f"dev.{kind}", source / f"dev.{kind}")
    )
    assert one == other
  one, other = (
    [
      np.array(line.split(), float)
      for line in (folder / "dev.skels").read_text().splitlines()
    ]
    for folder in (tmp_path, source)
  )
  for a, b in zip(one, other, strict=True):
    assert np.abs(a - b).max() < 1e-4  # scaled once more, by five decimals


def test_real_keypoints_of_openpose(tmp_path):
  source = DATA / "how2sign_mini" / "openpose"
  if not source.exists():
    pytest.skip("needs ../shared/data/how2sign_mini")
  size = (1280, 720)
  assert (
    convert.convert(
      source, tmp_path / "dwpose", form="dwpose", fps=24, size=size
    )
    == 3
  )
  expected = {
    clip.name: clip.read() for clip in find_clips.find(source, size=size)
  }
  for found in find_clips.find(tmp_path / "dwpose", size=size):
    seen, clip = found.read(), expected[found.name]
    np.testing.assert_array_equal(seen.valid, clip.valid)
    assert np.abs(seen.frames - clip.frames)[..., :2].max() < 1e-3


@pytest.mark.parametrize(
  "name", ["..", ".hidden", "a\nb", "x" * 300, "lift", " a", ""]
)
def test_names_that_cannot_be_files(true, tmp_path, name):
  npz.write(
    tmp_path / "in.npz", [true[1], dataclasses.replace(true[0], name=name)]
  )
  for target, form in (("out.h5", ""), ("out", "pose"), ("out", "openpose")):
    with pytest.raises(errors.DataError, match="cannot name a file"):
      convert.convert(tmp_path / "in.npz", tmp_path / target, form=form)
  assert [path.name for path in tmp_path.iterdir()] == ["in.npz"]


def test_names_that_are_there_twice(true, tmp_path):
  twice = [true[0], dataclasses.replace(true[1], name=true[0].name)]
  npz.write(tmp_path / "in.npz", twice)
  targets = (("a.h5", ""), ("a.skels", ""), ("a", "pose"), ("a", "dwpose"))
  for target, form in targets:
    with pytest.raises(errors.DataError, match=r"train[/-]000000"):
      convert.convert(tmp_path / "in.npz", tmp_path / target, form=form)
  assert [path.name for path in tmp_path.iterdir()] == ["in.npz"]


def test_refused_requests(made, tmp_path, capsys):
  def refused(source, target, **options) -> str:
    words = [f"--{key}={value}" for key, value in options.items()]
    code = parser.main(
      ["convert", f"--input={source}", f"--output={target}", *words]
    )
    assert code == errors.UsageError.exit_code
    return capsys.readouterr().err

  assert "exists already" in refused(made["npz"], made["skels"])
  assert "cannot write the form" in refused(made["npz"], tmp_path / "x")
  assert "'.fbx'" in refused(made["npz"], tmp_path / "x.fbx")
  assert "--form" in refused(made["npz"], tmp_path / "x", form="fbx")
  assert "--fps" in refused(made["npz"], tmp_path / "x.h5", fps="nan")
  (tmp_path / "y.text").write_text("mine\n")
  assert "y.text: exists" in refused(made["npz"], tmp_path / "y.skels")
  assert (tmp_path / "y.text").read_text() == "mine\n"
  assert not (tmp_path / "y.skels").exists()

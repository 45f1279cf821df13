"""BVH: places come back, other tools see them, hostile files are refused."""

import pathlib
import re
import time
import warnings

import numpy as np
import pytest
from helpers.paths import DATA

from data_pipeline import convert
from signllm_jax.core import clips, errors, limits
from signllm_jax.core.skeleton import PROMPT2SIGN50
from signllm_jax.formats import bvh, bvh_rig, npz, splits
from signllm_jax.inference import clip_files

with warnings.catch_warnings():
  # Its library of vectors is about to get another name.
  warnings.simplefilter("ignore")
  import bvhio

EXACT = 1e-3 * clips.SHOULDER_WIDTH


def random_clip(t: int = 40, seed: int = 0, fps: float = 25.0) -> clips.Clip:
  """Joints anywhere: bones that change length and turn any way."""
  rng = np.random.default_rng(seed)
  frames = rng.normal(0, 0.3, (t, PROMPT2SIGN50.num_joints, 3)).astype(
    np.float32
  )
  return clips.Clip(
    frames, np.ones((t, PROMPT2SIGN50.num_joints), bool), fps, "a"
  )


def back(clip: clips.Clip, path: pathlib.Path) -> clips.Clip:
  bvh.write(path, clip)
  return bvh.read(path)


def of_bvhio(path: pathlib.Path, frame: int) -> np.ndarray:
  """[J, 3] in a clip's axes, as the other tool places the joints."""
  root = bvhio.readAsHierarchy(str(path))
  root.loadPose(frame)
  places = {joint.Name: joint.PositionWorld for joint, _, _ in root.layout()}
  ours = [list(places[name]) for name in PROMPT2SIGN50.joints]
  return np.array(ours) * [1, -1, -1]


def by_hand(
  rows: list[str], channels: dict[str, str] | None = None, extra: str = ""
) -> str:
  """A file with all joints on the neck, which alone has channels."""
  channels = channels or {"neck": "Zrotation Xrotation Yrotation"}
  text = f"HIERARCHY\nROOT {extra or 'neck'} {{\nOFFSET 0 0 0\n"
  text += _channels(channels, extra or "neck")
  if extra:
    text += "JOINT neck {\nOFFSET 0 1 0\n" + _channels(channels, "neck")
  for name in reversed(PROMPT2SIGN50.joints):
    if name != "neck":
      text += f"JOINT {name} {{\nOFFSET 1 2 3\n{_channels(channels, name)}"
      text += "End Site {\nOFFSET 0 0 0 }\n}\n"
  text += "}\n" * (2 if extra else 1)
  text += f"MOTION\nFrames: {len(rows)}\nFrame Time: 0.033333\n"
  return text + "".join(row + "\n" for row in rows)


def _channels(channels: dict[str, str], name: str) -> str:
  given = channels.get(name, "")
  return f"CHANNELS {len(given.split())} {given}\n"


def refused(path: pathlib.Path, content: str | bytes) -> str:
  path.write_bytes(content.encode() if isinstance(content, str) else content)
  began = time.perf_counter()
  with pytest.raises(errors.DataError) as caught:
    bvh.read(path)
  assert time.perf_counter() - began < 5
  assert str(path) in str(caught.value)
  return str(caught.value)


@pytest.mark.parametrize("fps", [25.0, 24.0, 29.97, 30.0, 49.0, 120.0])
def test_round_trip(tmp_path, fps):
  clip = random_clip(seed=int(fps), fps=fps)
  found = back(clip, tmp_path / "b.bvh")
  assert np.abs(found.frames - clip.frames).max() < 0.1 * EXACT
  assert found.frames.dtype == np.float32 and found.valid.all()
  assert found.fps == pytest.approx(fps, abs=1e-9) and found.name == "b"
  if fps.is_integer():
    assert found.fps == fps


def test_bones_of_a_sentence(tmp_path):
  source = DATA / "phoenix14t_mini"
  if not source.exists():
    pytest.skip("needs ../shared/data/phoenix14t_mini")
  for number, clip in enumerate(splits.read_split(source, "dev")):
    clip = clips.canonical(clip)
    found = back(clip, tmp_path / "a.bvh")
    error = np.abs(found.frames - clip.frames)[clip.valid]
    assert error.max() < 0.1 * EXACT
    if not number:
      other = of_bvhio(tmp_path / "a.bvh", 9)[clip.valid[9]]
      assert np.abs(other - clip.frames[9][clip.valid[9]]).max() < EXACT


def test_another_tool_reads_the_same_places(tmp_path):
  clip = random_clip(12)
  bvh.write(tmp_path / "a.bvh", clip)
  for frame in (0, 11):
    places = of_bvhio(tmp_path / "a.bvh", frame)
    assert np.abs(places - clip.frames[frame]).max() < EXACT
  seen = bvhio.readAsBvh(str(tmp_path / "a.bvh"))
  assert (seen.FrameCount, seen.FrameTime) == (12, 0.04)
  assert seen.Root.Name == "nose"
  assert all(len(joint.Channels) == 6 for joint, _, _ in seen.Root.layout())


def test_turns_point_bones_along_their_children(tmp_path):
  """Positions left out, every bone with one child still shows the way."""
  clip = random_clip(9)
  directions = bvh_rig.rest_directions(PROMPT2SIGN50)
  assert np.allclose(np.linalg.norm(directions[1:], axis=-1), 1)
  values = bvh_rig.solve(
    clip.frames.astype(float) * bvh_rig.AXES, directions, PROMPT2SIGN50
  )
  order = list(bvh_rig.walk(PROMPT2SIGN50))
  joints = [
    bvh_rig.Joint(
      PROMPT2SIGN50.joints[joint],
      order.index(
        int(PROMPT2SIGN50.parents[PROMPT2SIGN50.children.tolist().index(joint)])
      )
      if joint
      else -1,
      directions[joint].tolist(),
      ["Zrotation", "Xrotation", "Yrotation"],
    )
    for joint in order
  ]
  turned = (
    bvh_rig.forward(joints, values[..., 3:].reshape(9, -1)) * bvh_rig.AXES
  )
  checked = 0
  for parent, child, _ in PROMPT2SIGN50.limbs:
    if len(bvh_rig.children(PROMPT2SIGN50, parent)) == 1:
      way = clip.frames[:, child] - clip.frames[:, parent]
      way = way / np.linalg.norm(way, axis=-1, keepdims=True)
      bone = turned[:, order.index(child)] - turned[:, order.index(parent)]
      assert np.abs(bone - way).max() < 1e-4
      checked += 1
  assert checked == 49 - 2 - 10


def test_a_still_rest_pose_has_no_turns():
  directions = bvh_rig.rest_directions(PROMPT2SIGN50)
  places = bvh_rig.fill(
    clips.Clip(np.zeros((3, 50, 3), np.float32), np.zeros((3, 50), bool)),
    directions,
  )
  values = bvh_rig.solve(places, directions, PROMPT2SIGN50)
  assert np.abs(values[..., 3:]).max() < 1e-4
  assert np.allclose(places[:, PROMPT2SIGN50.joint("neck")], 0)


def test_angles_do_not_jump():
  """An arm that circles twice turns by 720 degrees, not from 180 to -180."""
  angle = np.linspace(0, 4 * np.pi, 100)
  frames = np.zeros((100, 50, 3), np.float32)
  frames[:, PROMPT2SIGN50.joint("left_elbow") :, 0] = np.cos(angle)[:, None]
  frames[:, PROMPT2SIGN50.joint("left_elbow") :, 1] = np.sin(angle)[:, None]
  values = bvh_rig.solve(
    frames * bvh_rig.AXES, bvh_rig.rest_directions(PROMPT2SIGN50), PROMPT2SIGN50
  )
  assert np.abs(np.diff(values[..., 3:], axis=0)).max() < 180


def test_missing_joints_keep_their_way_from_their_parent(tmp_path):
  clip = random_clip(6)
  frames, valid = clip.frames.copy(), clip.valid.copy()
  wrist, hand = PROMPT2SIGN50.joint("left_wrist"), PROMPT2SIGN50.hand("left")
  valid[[0, 3, 4], hand] = False
  valid[:, PROMPT2SIGN50.hand("right") :] = (
    False  # never seen: rests like the other
  )
  valid[2, PROMPT2SIGN50.joint("nose")] = False
  frames[~valid] = 0
  found = back(clips.Clip(frames, valid), tmp_path / "a.bvh").frames
  assert np.abs(found - frames)[valid].max() < EXACT
  way = found[:, hand] - found[:, wrist]
  for missing, seen in ((0, 1), (3, 2), (4, 2)):
    assert np.abs(way[missing] - way[seen]).max() < EXACT
  assert np.abs(found[2, 0] - frames[1, 0]).max() < EXACT
  index = PROMPT2SIGN50.hand("right") + 5
  way = found[:, index + 1] - found[:, index]
  assert (way[:, 0] < -0.1).all() and np.abs(way[:, 1:]).max() < EXACT
  nothing = clips.Clip(
    np.zeros((2, 50, 3), np.float32), np.zeros((2, 50), bool)
  )
  assert (back(nothing, tmp_path / "n.bvh").frames == 0).all()


def test_up_in_a_clip_is_up_in_the_file(tmp_path):
  clip = random_clip(2)
  clip.frames[:, PROMPT2SIGN50.joint("right_wrist")] = (
    0.2,
    -0.9,
    -0.4,
  )  # up, to the viewer
  bvh.write(tmp_path / "a.bvh", clip)
  root = bvhio.readAsHierarchy(str(tmp_path / "a.bvh"))
  root.loadPose(0)
  (wrist,) = [j for j, _, _ in root.layout() if j.Name == "right_wrist"]
  assert np.allclose(list(wrist.PositionWorld), [0.2, 0.9, 0.4], atol=1e-4)
  assert np.prod(bvh_rig.AXES) == 1  # a turn, no mirror


def test_any_order_of_channels(tmp_path):
  path = tmp_path / "a.bvh"
  # z by 90 degrees takes (1, 2, 3) to (-2, 1, 3), then x of the neck's own.
  for channels, row, place in (
    ("Zrotation Xrotation Yrotation", "90 0 0", (-2, 1, 3)),
    ("Zrotation Xrotation Yrotation", "90 90 0", (3, 1, 2)),
    ("Xrotation Yrotation Zrotation", "90 0 90", (-2, -3, 1)),
    ("Yrotation Zrotation", "90 0", (3, 2, -1)),
    ("Xrotation Zposition Xposition Yposition", "0 7 5 6", (6, 8, 10)),
    ("Yposition", "1", (1, 3, 3)),
    ("", "", None),
  ):
    text = by_hand([row, row], {"neck": channels})
    if place is None:
      assert "0 numbers" in refused(path, text)
      continue
    path.write_text(text, newline="\r\n")
    clip = bvh.read(path)
    assert clip.fps == 30 and len(clip) == 2
    assert np.allclose(clip.frames[:, 0] * [1, -1, -1], place, atol=1e-6)


def test_joints_of_others_move_ours(tmp_path):
  path = tmp_path / "a.bvh"
  path.write_text(by_hand(["180"], {"hips": "Zrotation"}, extra="hips"))
  clip = bvh.read(path)
  assert np.allclose(
    clip.frames[0, PROMPT2SIGN50.joint("neck")], [0, 1, 0], atol=1e-6
  )
  assert np.allclose(clip.frames[0, 0], [-1, 3, -3], atol=1e-6)


def test_hostile_files_are_refused_at_once(tmp_path):
  path = tmp_path / "a.bvh"
  whole = by_hand(["10 2 3", "4 5 6"])
  last = whole.count("\n")

  def changed(old: str, new: str) -> str:
    assert old in whole
    return refused(path, whole.replace(old, new, 1))

  assert "expected a number" in changed("OFFSET 0 0 0", "OFFSET 0 nan 0")
  assert "a.bvh:3" in changed("OFFSET 0 0 0", "OFFSET 0 1e30 0")
  assert "number 2 is 'nan'" in changed("4 5 6", "4 nan 6")
  assert f"a.bvh:{last}" in changed("4 5 6", "4 inf 6")
  assert f"a.bvh:{last}" in changed("4 5 6", "4 x 6")
  assert f"a.bvh:{last}" in changed("4 5 6", "4 5")
  assert f"a.bvh:{last - 1}: 4 numbers" in changed("10 2 3", "10 2 3 4")
  assert f"a.bvh:{last - 1}: 0 numbers" in changed("10 2 3\n", "\n10 2 3\n")
  assert "one line more" in changed("4 5 6\n", "4 5 6\n7 8 9\n")
  assert f"a.bvh:{last}: 0 numbers" in changed("4 5 6\n", "\n4 5 6\n")
  assert "3 in each of 3 frames" in changed("Frames: 2", "Frames: 3")
  assert "at most 100000" in changed("Frames: 2", "Frames: 99999999")
  assert "whole number" in changed("Frames: 2", "Frames: " + "9" * 5000)
  assert "0 frames" in changed("Frames: 2", "Frames: 0")
  assert "of 0 seconds" in changed("0.033333", "0")
  assert "end of the line" in changed("0.033333", "0.03 1 2 3")
  assert "'neck' is there 0 times" in changed("ROOT neck", "ROOT Neck")
  assert "'neck' is there 2 times" in refused(path, by_hand([""], extra="neck"))
  assert "each channel once" in changed("Yrotation", "Zrotation")
  assert "expected Xposition or" in changed("Yrotation", "Wrotation")
  assert "at most 6" in changed("CHANNELS 3", "CHANNELS 99")
  assert "UTF-8" in refused(path, whole.encode("utf-16"))
  assert "HIERARCHY" in refused(path, bytes(range(256)) * 9)
  assert "the file ends" in refused(path, "")
  assert "a line of" in refused(path, "HIERARCHY " * 50_000)
  assert "empty lines" in refused(path, "\n" * 1_000_000)
  joint = "JOINT a {\nOFFSET 0 0 0\nCHANNELS 0\n"
  deep = "HIERARCHY\n" + joint.replace("JOINT", "ROOT") + joint * 100_000
  assert "at most 256" in refused(path, deep)
  end = "End Site {\nOFFSET 0 0 0\n}\n"
  many = "HIERARCHY\n" + joint.replace("JOINT", "ROOT") + end * 100_000
  assert "at most 256" in refused(path, many)
  for cut in range(0, len(whole) - 7, 97):
    refused(path, whole[:cut])
  with pytest.raises(errors.DataError, match="no such file"):
    bvh.read(tmp_path / "b.bvh")
  with pytest.raises(errors.DataError, match=r"not a file|expected at most"):
    bvh.read(tmp_path)
  with path.open("wb") as file:
    file.truncate(limits.MAX_CLIP_FILE + 1)
  with pytest.raises(errors.DataError, match=r"not a file|expected at most"):
    bvh.read(path)


def test_mutated_files_are_read_or_refused(tmp_path):
  path = tmp_path / "a.bvh"
  bvh.write(path, random_clip(2))
  whole, rng = path.read_bytes(), np.random.default_rng(0)
  for _ in range(60):
    data = bytearray(whole)
    for at in rng.integers(0, len(data), 3):
      data[at] = rng.integers(256)
    path.write_bytes(data)
    try:
      assert np.isfinite(bvh.read(path).frames).all()
    except errors.DataError as error:
      assert re.match(rf"{re.escape(str(path))}:\d+: ", str(error))


def test_clips_that_cannot_be_written(tmp_path):
  path = tmp_path / "a.bvh"
  clip = random_clip(3)
  clip.frames[1, 4, 2] = np.nan
  with pytest.raises(errors.DataError, match=r"a\.bvh frame 2: .*NaN"):
    bvh.write(path, clip)
  with pytest.raises(errors.DataError, match="has 0 frames"):
    bvh.write(path, random_clip(0))
  with pytest.raises(errors.StorageError, match="folder does not exist"):
    bvh.write(tmp_path / "no" / "a.bvh", random_clip(1))
  assert not list(tmp_path.iterdir())


def test_produced_clips_get_a_file_each(tmp_path):
  made = [random_clip(3, seed) for seed in range(2)]
  one = clip_files.save(clip_files.prepare(tmp_path / "one.bvh"), made[:1])
  two = clip_files.save(clip_files.prepare(tmp_path / "Two.BVH"), made)
  names = [path.name for path in (*one, *two)]
  assert names == ["one.bvh", "Two-001.BVH", "Two-002.BVH"]
  for path, clip in zip((*one, *two), (made[0], *made), strict=True):
    assert np.abs(bvh.read(path).frames - clip.frames).max() < EXACT


def test_convert_to_bvh_and_back(tmp_path):
  made = [clips.canonical(random_clip(3, seed)) for seed in range(2)]
  npz.write(tmp_path / "one.npz", made[:1])
  assert convert.convert(tmp_path / "one.npz", tmp_path / "a.bvh") == 1
  assert convert.convert(tmp_path / "a.bvh", tmp_path / "b.npz") == 1
  (found,) = npz.read(tmp_path / "b.npz")
  assert np.abs(found.frames - made[0].frames).max() < EXACT
  named = [
    clips.Clip(clip.frames, clip.valid, name=f"dev/{number}")
    for number, clip in enumerate(made)
  ]
  npz.write(tmp_path / "two.npz", named)
  convert.convert(tmp_path / "two.npz", tmp_path / "two", form="bvh")
  files = sorted(path.name for path in (tmp_path / "two").iterdir())
  assert files == ["dev-0.bvh", "dev-1.bvh"]

"""`.pt` of SLRTP: its order of points, its forms, hostile files."""

import io
import itertools
import pickle
import sys
import zipfile

import numpy as np
import pytest
from helpers.paths import DATA

from data_pipeline import convert
from data_pipeline.cli import parser
from data_pipeline.keypoints import find_clips
from signllm_jax.core import clips, errors, faces
from signllm_jax.core.skeleton import HOLISTIC178
from signllm_jax.data import records
from signllm_jax.formats import npz, pose, slrtp

DGS = DATA / "dgs_sentences"
# Closed lines of the face that the challenge draws, as points of its files.
OUTLINE = (
  *(126, 127, 96, 97, 150, 151, 169, 114, 115, 116, 171, 133, 88, 89, 93, 94),
  *(67, 68, 132, 117, 118, 177, 145, 134, 135, 137, 75, 76, 139, 98, 99, 136),
  *(109, 110, 154, 174),
)
BROWS = (
  (147, 77, 78, 152, 153, 122, 121, 144, 143, 161),
  (70, 69, 146, 57, 56, 158, 111, 112, 155, 176),
)
LIPS = (
  (
    *(82, 81, 125, 124, 106, 105, 164, 173, 141, 142, 128, 129, 168, 113, 79),
    *(80, 87, 86, 163, 162),
  ),
  (
    *(95, 130, 55, 54, 84, 51, 50, 62, 61, 167, 166, 172, 175, 140, 58, 59),
    *(123, 165, 91, 92),
  ),
)


def _person(frames: int = 3, seed: int = 0) -> clips.Clip:
  random = np.random.default_rng(seed)
  values = random.uniform(-0.3, 0.3, (frames, 178, 3)).astype(np.float32)
  for side, sign in (("right", -1), ("left", 1)):
    values[:, HOLISTIC178.joint(f"{side}_shoulder")] = sign / 6, 0, 0.01
    values[:, HOLISTIC178.joint(f"{side}_hip"), 1] = 0.9
  valid = np.ones((frames, 178), bool)
  return clips.canonical(
    clips.Clip(values, valid, 25.0, "a", "text", "GLOSS", "", HOLISTIC178)
  )


def test_the_order_of_the_face_has_the_published_lines():
  assert sorted(slrtp.FACE_ORDER) == sorted(faces.MEDIAPIPE.numbers)
  lines = faces.MEDIAPIPE.lines
  edges = {
    frozenset(pair)
    for feature in lines.values()
    for line in feature
    for pair in itertools.pairwise(line)
  }
  found = 0
  for ring in (OUTLINE, *BROWS, *LIPS):
    numbers = [slrtp.FACE_ORDER[point - 50] for point in ring]
    pairs = zip(numbers, numbers[1:] + numbers[:1], strict=True)
    found += sum(frozenset(pair) in edges for pair in pairs)
  # All but the two short sides of each brow, which are no contours.
  assert found == len(OUTLINE) + 2 * 8 + 2 * 20


def test_without_torch_the_error_says_so(tmp_path, monkeypatch):
  monkeypatch.setitem(sys.modules, "torch", None)
  slrtp._entries.cache_clear()
  (tmp_path / "a.pt").write_bytes(b"PK")
  for call in (
    lambda: slrtp.entries(tmp_path / "a.pt"),
    lambda: slrtp.write(tmp_path / "b.pt", [_person()]),
    lambda: find_clips.find(tmp_path),
  ):
    with pytest.raises(errors.UsageError, match=r"torch.*\[torch\]"):
      call()


@pytest.fixture
def torch():
  return pytest.importorskip("torch")


def test_clips_round_trip_with_their_texts(tmp_path, torch):
  made = _person()
  valid = made.valid.copy()
  valid[1, 30:60] = False
  frames = np.where(valid[..., None], made.frames, 0)
  made = clips.Clip(
    frames, valid, 25.0, "a", "text", "GLOSS", skeleton=HOLISTIC178
  )
  slrtp.write(tmp_path / "a.pt", [made])
  slrtp.write(tmp_path / "b.pt", [made])
  assert (tmp_path / "a.pt").read_bytes() == (tmp_path / "b.pt").read_bytes()
  (again,) = slrtp.read(tmp_path / "a.pt")
  np.testing.assert_array_equal(again.frames, made.frames)
  np.testing.assert_array_equal(again.valid, valid)
  assert (again.name, again.text, again.gloss) == ("a", "text", "GLOSS")
  stored = torch.load(tmp_path / "a.pt", weights_only=True)["a"]["poses_3d"]
  for point, name in (
    (0, "right_shoulder"),
    (7, "left_hip"),
    (8, "right_hand_wrist"),
    (29, "left_hand_wrist"),
    (50, "mesh_82"),
  ):
    expected = made.frames[:, HOLISTIC178.joint(name)]
    np.testing.assert_array_equal(stored[:, point].numpy(), expected)


def test_productions_are_tensors_alone_and_may_have_y_up(tmp_path, torch):
  slrtp.write(tmp_path / "a.pt", [_person()])
  poses = torch.load(tmp_path / "a.pt", weights_only=True)["a"]["poses_3d"]
  turned = poses.double() * torch.tensor([1, -1, -1])
  torch.save({"a": turned, "b": poses.half()}, tmp_path / "b.pt")
  found = list(slrtp.read(tmp_path / "b.pt"))
  assert [(clip.name, clip.text) for clip in found] == [("a", ""), ("b", "")]
  for clip in found:
    np.testing.assert_allclose(clip.frames, _person().frames, atol=1e-3)


def _expanded(torch):
  return {"a": torch.zeros(1, 178, 3).expand(90_000, 178, 3)}


@pytest.mark.parametrize(
  ("stored", "problem"),
  [
    (lambda torch: [1], "a list in it"),
    (lambda torch: {}, "no clips"),
    (lambda torch: {1: torch.zeros(2, 178, 3)}, "no string"),
    (lambda torch: {"a": {"text": "b"}}, "NoneType"),
    (lambda torch: {"a": torch.zeros(2, 177, 3)}, r"\(2, 177, 3\)"),
    (lambda torch: {"a": torch.zeros(2, 178, 3).long()}, "floats"),
    (lambda torch: {"a": torch.zeros(2, 178, 3).to_sparse()}, "sparse|floats"),
    (lambda torch: {"a": torch.full((2, 178, 3), np.nan)}, "frame 1: NaN"),
    (_expanded, "does not hold"),
  ],
)
def test_other_contents_are_refused(tmp_path, torch, stored, problem):
  torch.save(stored(torch), tmp_path / "a.pt")
  with pytest.raises(errors.DataError, match=problem):
    list(slrtp.read(tmp_path / "a.pt"))


class _Runs:
  def __reduce__(self):
    return open, ("/tmp/never", "w")


def _zipped(pickled: bytes, compression: int) -> bytes:
  buffer = io.BytesIO()
  with zipfile.ZipFile(buffer, "w", compression) as archive:
    archive.writestr("archive/data.pkl", pickled)
    archive.writestr("archive/version", b"3\n")
    archive.writestr("archive/byteorder", b"little")
  return buffer.getvalue()


@pytest.mark.parametrize(
  ("data", "problem"),
  [
    (b"", "whole .pt file"),
    (b"PK" * 40, "whole .pt file"),
    (pickle.dumps({"a": 1}), "whole .pt file"),
    (_zipped(pickle.dumps({"a": _Runs()}), zipfile.ZIP_STORED), "weights"),
    (_zipped(pickle.dumps({"a": 1}), zipfile.ZIP_DEFLATED), "is packed"),
  ],
)
def test_hostile_files_run_nothing(tmp_path, torch, data, problem):
  (tmp_path / "a.pt").write_bytes(data)
  with pytest.raises(errors.DataError, match=problem):
    list(slrtp.read(tmp_path / "a.pt"))
  (source,) = find_clips.find(tmp_path, skeleton="holistic178")
  with pytest.raises(errors.DataError, match=problem):
    source.read()


@pytest.mark.skipif(not DGS.exists(), reason="no such real data")
def test_a_real_sentence_goes_through_pt_to_records(tmp_path, torch):
  seen = pose.read_keypoints(DGS / "train_1_original.pose", HOLISTIC178)
  clip = clips.canonical(seen.as_clip())
  made = clips.Clip(
    clip.frames, clip.valid, 25.0, "a", "Hallo", "HALLO", "", HOLISTIC178
  )
  npz.write(tmp_path / "a.npz", [made])
  source = tmp_path / "in"
  source.mkdir()
  assert convert.convert(tmp_path / "a.npz", source / "train.pt") == 1
  (found,) = find_clips.find(source, skeleton="holistic178")
  read = clips.canonical(found.read().as_clip())
  np.testing.assert_allclose(read.frames, clip.frames, atol=1e-5)
  with pytest.raises(errors.DataError, match=r"holistic178[\s\S]*prompt2sign"):
    find_clips.find(source)[0].read()
  options = ["--skeleton=holistic178", "--file_format=array_record"]
  command = ["build", "--dataset=prompt2sign/gsl", f"--input={source}"]
  command += [f"--output={tmp_path / 'data'}", *options]
  assert parser.main(command) == 0
  folder = tmp_path / "data/prompt2sign/gsl_holistic178/1.0.0"
  assert records.skeleton_of_build(folder) is HOLISTIC178

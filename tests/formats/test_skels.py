import dataclasses
import pathlib
import unicodedata

import numpy as np
import pytest
from helpers.paths import DATA
from helpers.real_data import real
from hypothesis import given, settings
from hypothesis import strategies as st

from signllm_jax.core import clips, errors, limits
from signllm_jax.core.skeleton import PROMPT2SIGN50
from signllm_jax.formats import skels, splits

PHOENIX = DATA / "phoenix14t_mini"
GOLDEN = DATA / "golden" / "lift"


def person(t: int = 3, seed: int = 0) -> clips.Clip:
  """A clip in OpenPose's labels with five decimals, nothing exactly 0."""
  frames = np.random.default_rng(seed).uniform(0.02, 0.9, (t, 50, 3))
  frames[:, PROMPT2SIGN50.joint("right_shoulder"), 0] = -0.2
  frames = np.round(frames, 5).astype(np.float32)
  return clips.Clip(frames, np.ones((t, 50), bool))


def line(t: int = 2, **changes: str) -> str:
  """One line as Prompt2Sign writes it; keyword f1n2 sets frame 1, number 2."""
  tokens = [
    [*(["0.10000", "0.20000", "0.30000"] * 50), f"{(i + 1) / t:.5f}"]
    for i in range(t)
  ]
  for place, value in changes.items():
    at, number = map(int, place[1:].split("n"))
    tokens[at - 1][number - 1] = value
  return " ".join(token for frame in tokens for token in frame) + "\n"


def error_of(tmp_path, text: str | bytes) -> errors.DataError:
  path = tmp_path / "bad.skels"
  path.write_bytes(text.encode() if isinstance(text, str) else text)
  with pytest.raises(errors.DataError) as caught:
    list(skels.read(path))
  assert str(path) in str(caught.value)
  return caught.value


@pytest.mark.parametrize(
  "token",
  ["nan", "NaN", "inf", "-Infinity", "1_000", "١", "0x1", "1e", "-", "", "a\t"],
)
def test_not_a_number(tmp_path, token):
  error = error_of(tmp_path, line() + line(3, f2n7=token))
  assert (error.line, error.frame) == (2, 2)
  assert "bad.skels:2 frame 2: number 7 is" in str(error)


@pytest.mark.parametrize("token", ["1e999", "-1e999", "1e39"])
def test_overflow(tmp_path, token):
  error = error_of(tmp_path, line(2, f2n150=token))
  assert (error.line, error.frame) == (1, 2)
  assert f"'{token}', out of range" in str(error)


def test_count_of_numbers(tmp_path):
  error = error_of(tmp_path, line(3).rsplit(" ", 1)[0] + "\n")
  assert (error.line, error.frame) == (1, 3)
  assert "452 numbers; expected a multiple of 151" in str(error)


@pytest.mark.parametrize(
  ("counter", "frame"), [("0.50000", 2), ("-0.1", 2), ("1.1", 2), ("0.2", 2)]
)
def test_counter(tmp_path, counter, frame):
  error = error_of(tmp_path, line(2, f2n151=counter))
  assert (error.line, error.frame) == (1, frame)
  assert "expected counters that increase" in str(error)


@pytest.mark.parametrize("end", ["\n", " \n", "\r\n", ""])
def test_line_ends(tmp_path, end):
  path = tmp_path / "a.skels"
  path.write_bytes((line() + line()[:-1] + end).encode())
  assert [len(clip) for clip in skels.read(path)] == [2, 2]


def test_empty_line_and_spaces(tmp_path):
  error = error_of(tmp_path, line() + "\n" + line())
  assert error.line == 2
  assert "an empty line" in str(error)
  assert error_of(tmp_path, " " + line()).frame == 1
  assert error_of(tmp_path, line().replace(" ", "  ", 1)).frame == 1


def test_long_line_is_not_read_whole(tmp_path, monkeypatch):
  monkeypatch.setattr(limits, "MAX_LINE", 3000)
  error = error_of(tmp_path, line() + "1 " * 100_000)
  assert error.line == 2
  assert "more than 3000 bytes" in str(error)
  with pytest.raises(
    errors.DataError, match=r"out.skels:1: a clip of 3 frames"
  ):
    skels.write(tmp_path / "out.skels", [person()])


def test_missing_file(tmp_path):
  with pytest.raises(errors.DataError, match=r"none.skels: no such file"):
    list(skels.read(tmp_path / "none.skels"))


@pytest.mark.parametrize("convention", ["prompt2sign", "pt"])
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_round_trip_property(tmp_path_factory, convention, data):
  t = data.draw(st.integers(1, 4))
  clip = person(t, data.draw(st.integers(0, 99)))
  shift = data.draw(st.integers(-5, 5))
  valid = np.ones((t, 50), bool)
  if convention == "prompt2sign":
    for joint in data.draw(st.sets(st.integers(8, 49))):
      valid[data.draw(st.integers(0, t - 1)), joint] = False
  clip = dataclasses.replace(
    clip, frames=(clip.frames + shift) * valid[..., None], valid=valid
  )
  path = tmp_path_factory.mktemp("skels") / "a.skels"
  skels.write(path, [clip, clip], convention)
  for back in skels.read(path):
    np.testing.assert_array_equal(back.valid, valid)
    np.testing.assert_array_equal(
      np.round(back.frames.astype(float), 5),
      np.round(clip.frames.astype(float), 5),
    )


def test_forms_of_zero_and_missing(tmp_path):
  clip = person(4)
  clip.frames[:, 3, 2] = 0
  clip.frames[1, 20], clip.valid[1, 20] = 0, False
  skels.write(tmp_path / "a.skels", [clip])
  values = np.loadtxt(tmp_path / "a.skels").reshape(4, 151)
  assert (values[:, 11] == 0.016).all()
  assert (values[1, 60:63] == 0.016).all()
  assert values[:, -1].tolist() == [0.25, 0.5, 0.75, 1]
  skels.write(tmp_path / "a.skels", [clip], "pt")
  values = np.loadtxt(tmp_path / "a.skels").reshape(4, 151)
  assert (values[:, 20] == 0).all()  # right elbow's place is 6 in PT's labels
  assert values[:, -1].tolist() == [0, 0.25, 0.5, 0.75]
  assert (tmp_path / "a.skels").read_bytes().count(b"\n") == 1


def test_write_keeps_the_old_file_on_error(tmp_path):
  path = tmp_path / "a.skels"
  skels.write(path, [person()])
  before = path.read_bytes()
  broken = person()
  broken.frames[1, 4, 0] = np.nan
  with pytest.raises(errors.DataError, match=r"a.skels:2 frame 2: .*NaN"):
    skels.write(path, [person(), broken])
  empty = clips.Clip(np.zeros((0, 50, 3), np.float32), np.zeros((0, 50), bool))
  with pytest.raises(errors.DataError, match="no frames"):
    skels.write(path, [empty])
  with pytest.raises(errors.UsageError, match="prompt2sign or pt"):
    skels.write(path, [person()], "openpose")
  with pytest.raises(errors.StorageError, match="folder does not exist"):
    skels.write(tmp_path / "no" / "a.skels", [person()])
  assert path.read_bytes() == before
  assert [p.name for p in tmp_path.iterdir()] == ["a.skels"]


def test_canonical_clip_keeps_its_neck(tmp_path):
  sequence = list(skels.read(real(PHOENIX / "dev.skels")))
  for convention in ("prompt2sign", "pt"):
    path = tmp_path / f"{convention}.skels"
    skels.write(path, map(clips.canonical, sequence), convention)
    for back, clip in zip(skels.read(path), sequence, strict=True):
      assert back.valid[:, PROMPT2SIGN50.joint("neck")].all()
      assert (back.frames[:, PROMPT2SIGN50.joint("neck")] == 0).all()
      expected = clips.canonical(clip).frames
      kept = expected != 0  # prompt2sign has no zero
      np.testing.assert_allclose(
        back.frames[kept], expected[kept], rtol=0, atol=5.1e-6
      )


def test_real_pt_file_comes_in_openpose_labels(tmp_path):
  sequence = list(skels.read(real(PHOENIX / "dev.skels")))
  assert [len(clip) for clip in sequence] == [42, 111, 148, 142, 93]
  for clip in sequence:
    right, left = (
      clip.frames[:, PROMPT2SIGN50.joint("right_shoulder")],
      clip.frames[:, 5],
    )
    assert (right[:, 0] < left[:, 0]).all()
    assert clip.valid.all()
  raw = np.array(
    (PHOENIX / "dev.skels").read_text().split("\n")[0].split(), np.float32
  ).reshape(-1, 151)
  np.testing.assert_array_equal(sequence[0].frames[:, 5], raw[:, 6:9])
  np.testing.assert_array_equal(sequence[0].frames[:, 8], raw[:, 87:90])
  skels.write(tmp_path / "a.skels", sequence, "pt")
  for back, clip in zip(
    skels.read(tmp_path / "a.skels"), sequence, strict=True
  ):
    np.testing.assert_array_equal(back.frames, clip.frames)


def test_real_prompt2sign_file(tmp_path):
  path = real(GOLDEN / "clips.skels")
  sequence = list(skels.read(path, fps=24))
  assert [len(clip) for clip in sequence] == [157, 109, 62]
  assert sequence[0].fps == 24
  for clip, stage in zip(sequence, sorted(GOLDEN.glob("*.npz")), strict=True):
    lifted = np.load(stage)["lifted_3d"] / 9
    np.testing.assert_allclose(clip.frames, lifted, rtol=0, atol=5.1e-6)
  skels.write(tmp_path / "a.skels", sequence)
  theirs = path.read_text().split("\n")[1].split()
  ours = (tmp_path / "a.skels").read_text().split("\n")[1].split()
  assert len(ours) == len(theirs)
  different = [
    (a, b) for a, b in zip(ours, theirs, strict=True) if float(a) != float(b)
  ]
  # A number that only rounds to 0 is 0.00000 in their file and 0 once read.
  assert all(float(b) == 0 and a == "0.01600" for a, b in different)


def split_of(tmp_path, count: int = 2, **files: str) -> pathlib.Path:
  skels.write(tmp_path / "dev.skels", [person(seed=i) for i in range(count)])
  for kind, text in files.items():
    (tmp_path / f"dev.{kind}").write_bytes(text.encode())
  return tmp_path


def test_read_split(tmp_path):
  text = unicodedata.normalize("NFD", "schön wärmer")
  folder = split_of(tmp_path, text=f" {text} \nzwei\n", gloss="A B\n\n")
  first, second = splits.read_split(folder, "dev", fps=50)
  assert first.text == unicodedata.normalize("NFC", text)
  assert (first.gloss, first.name, first.fps) == ("A B", "dev/000001", 50)
  assert (second.gloss, second.name) == ("", "dev/000002")
  split_of(folder, files="x\ny")
  assert [c.name for c in splits.read_split(folder, "dev")] == ["x", "y"]


@pytest.mark.parametrize(
  ("files", "message"),
  [
    ({}, "dev.text: no such file"),
    ({"text": "a\n\n"}, "dev.text:2: an empty line"),
    ({"text": "a\nb\nc\n"}, "dev.skels: 2 lines; expected 3"),
    ({"text": "a\n"}, "dev.skels: 2 lines; expected 1"),
    ({"text": "a\nb\n", "gloss": "A\n"}, "dev.gloss: 1 lines; expected 2"),
    ({"text": "a\nb\n", "files": "x\n"}, "dev.files: 1 lines; expected 2"),
    ({"text": "a\nb\n", "files": "x\nx\n"}, "dev.files:2: name 'x' again"),
    ({"text": "a\nb\n", "files": "\nx\n"}, "dev.files:1: an empty line"),
  ],
)
def test_read_split_errors(tmp_path, files, message):
  folder = split_of(tmp_path, **files)
  with pytest.raises(errors.DataError, match=message):
    list(splits.read_split(folder, "dev"))


def test_read_split_refuses_other_encodings(tmp_path):
  folder = split_of(tmp_path)
  (folder / "dev.text").write_bytes(b"gut\nsch\xf6n\n")
  with pytest.raises(
    errors.DataError, match=r"dev.text:2: byte 4 is not UTF-8"
  ):
    list(splits.read_split(folder, "dev"))


def test_read_split_of_real_files():
  sequence = list(splits.read_split(real(PHOENIX), "train"))
  assert len(sequence) == 5
  assert len({clip.name for clip in sequence}) == 5
  assert all(clip.text and clip.gloss.isupper() for clip in sequence)

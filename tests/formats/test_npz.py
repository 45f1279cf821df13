import io
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from signllm_jax.core import clips, errors, limits
from signllm_jax.formats import npz


def some(t: int, seed: int = 0, **fields) -> clips.Clip:
  rng = np.random.default_rng(seed)
  valid = rng.random((t, 50)) > 0.2
  frames = rng.normal(size=(t, 50, 3)).astype(np.float32) * valid[..., None]
  return clips.Clip(frames, valid, **fields)


def repack(path, **changes) -> None:
  """Replaces members of an archive by other arrays or raw bytes."""
  with np.load(path) as archive:
    members = dict(archive) | changes
  with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
    for key, value in members.items():
      if not isinstance(value, bytes):
        buffer = io.BytesIO()
        np.save(buffer, value)
        value = buffer.getvalue()
      archive.writestr(f"{key}.npy", value)


texts = st.text(
  st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=9
)


@settings(max_examples=30, deadline=None)
@given(
  st.lists(
    st.tuples(st.integers(0, 4), st.floats(1, 120), texts, texts, texts),
    max_size=4,
  )
)
def test_round_trip_property(tmp_path_factory, rows):
  path = tmp_path_factory.mktemp("npz") / "a.npz"
  sequence = [
    some(t, i, fps=fps, name=name, text=text, gloss=gloss)
    for i, (t, fps, name, text, gloss) in enumerate(rows)
  ]
  npz.write(path, sequence)
  back = npz.read(path)
  assert len(back) == len(sequence)
  for a, b in zip(back, sequence, strict=True):
    np.testing.assert_array_equal(a.frames, b.frames)
    np.testing.assert_array_equal(a.valid, b.valid)
    assert a.frames.dtype == np.float32
    assert (a.fps, a.name, a.text, a.gloss) == (b.fps, b.name, b.text, b.gloss)


@pytest.mark.parametrize(
  ("changes", "message"),
  [
    ({"frames": np.zeros((3, 50, 3))}, "frames.npy is <f8"),
    ({"frames": np.zeros((3, 150), "f4")}, r"of shape \(3, 150\)"),
    ({"text": np.array([b"a"])}, r"text.npy: an array of type '\|S1'"),
    ({"extra": np.zeros(3)}, "members extra.npy"),
    ({"offsets": np.array([0, 2])}, "do not agree"),
    ({"offsets": np.array([0, 5, 3])}, "do not agree"),
    ({"fps": np.zeros(2)}, "do not agree"),
    ({"frames": np.full((3, 50, 3), np.nan, "f4")}, "frame 1: NaN or infinity"),
    ({"frames": b"junk"}, r"frames.npy: not a whole \.npy file"),
  ],
)
def test_other_content(tmp_path, changes, message):
  path = tmp_path / "a.npz"
  npz.write(path, [some(3)])
  repack(path, **changes)
  with pytest.raises(errors.DataError, match=message) as caught:
    npz.read(path)
  assert str(path) in str(caught.value)


def test_pickles_are_refused(tmp_path):
  path = tmp_path / "a.npz"
  npz.write(path, [some(3)])
  buffer = io.BytesIO()
  np.save(buffer, np.array([{"a": 1}]), allow_pickle=True)
  repack(path, text=buffer.getvalue())
  with pytest.raises(errors.DataError, match=r"text.npy: pickled Python"):
    npz.read(path)


def test_zip_bomb(tmp_path, monkeypatch):
  path = tmp_path / "a.npz"
  npz.write(path, [some(3)])
  repack(path, text=np.zeros(2, "<U250000"))
  assert path.stat().st_size < 20_000
  monkeypatch.setattr(limits, "MAX_PACKED", 1_000_000)
  with pytest.raises(
    errors.DataError, match="bytes unpacked; expected at most"
  ):
    npz.read(path)


def test_header_claims_more_than_there_is(tmp_path):
  path = tmp_path / "a.npz"
  npz.write(path, [some(3)])
  buffer = io.BytesIO()
  np.lib.format.write_array_header_1_0(
    buffer, {"descr": "<f4", "fortran_order": False, "shape": (1 << 40, 50, 3)}
  )
  repack(path, frames=buffer.getvalue())
  with pytest.raises(errors.DataError, match=r"bytes for <f4 of shape \("):
    npz.read(path)


def test_broken_files(tmp_path):
  path = tmp_path / "a.npz"
  with pytest.raises(errors.DataError, match="no such file"):
    npz.read(path)
  npz.write(path, [some(3)])
  data = path.read_bytes()
  path.write_bytes(data[: len(data) // 2])
  with pytest.raises(errors.DataError, match=r"not a whole \.npz"):
    npz.read(path)
  flipped = bytearray(data)
  flipped[300] ^= 255  # inside the frames: the archive's checksum sees it
  path.write_bytes(flipped)
  with pytest.raises(errors.DataError, match="Bad CRC"):
    npz.read(path)


def test_write_refuses_nan(tmp_path):
  clip = some(3)
  clip.frames[1, 0, 0] = np.inf
  with pytest.raises(errors.DataError, match="frame 2: NaN or infinity"):
    npz.write(tmp_path / "a.npz", [clip])
  assert not list(tmp_path.iterdir())

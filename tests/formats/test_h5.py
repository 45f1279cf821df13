"""HDF5 of keypoints: exact round trips, and nothing from outside the file."""

import zlib

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from signllm_jax.core import clips, errors
from signllm_jax.core.skeleton import PROMPT2SIGN50
from signllm_jax.formats import h5

SECRET = np.full((4, PROMPT2SIGN50.num_values), 0.5, np.float32)


def clip(t: int = 5, name: str = "a", seed: int = 0, **more) -> clips.Keypoints:
  random = np.random.default_rng(seed)
  frames = random.uniform(0, 1, (t, PROMPT2SIGN50.num_joints, 3)).astype(
    np.float32
  )
  frames[random.random((t, PROMPT2SIGN50.num_joints)) < 0.3] = 0
  return clips.Keypoints(frames, name=name, **more)


@settings(max_examples=20, deadline=None)
@given(
  sizes=st.lists(st.integers(0, 5), max_size=3),
  fps=st.floats(1, 240),
  size=st.sampled_from([None, (1280, 720)]),
)
def test_round_trip_is_exact(tmp_path_factory, sizes, fps, size):
  path = tmp_path_factory.mktemp("h5") / "a.h5"
  written = [
    clip(t, f"clip {i} é", i, fps=fps, size=size) for i, t in enumerate(sizes)
  ]
  h5.write(path, written)
  back = list(h5.read(path))
  assert h5.names(path) == [one.name for one in written]
  for ours, theirs in zip(back, written, strict=True):
    np.testing.assert_array_equal(ours.frames, theirs.frames)
    assert (ours.name, ours.fps, ours.size) == (theirs.name, fps, size)


def test_same_clips_same_bytes(tmp_path):
  for name in ("a.h5", "b.h5"):
    h5.write(tmp_path / name, [clip(), clip(name="b")])
  first, second = (tmp_path / n for n in ("a.h5", "b.h5"))
  assert first.read_bytes() == second.read_bytes()


def test_foreign_files_get_the_callers_fps(tmp_path):
  expected = clip(20)
  with h5py.File(tmp_path / "a.h5", "w") as file:
    rows = expected.frames.reshape(-1, PROMPT2SIGN50.num_values)
    file.create_dataset("plain", data=rows)
    file.create_dataset("big endian", data=rows.astype(">f4"))
    file.create_dataset(
      "packed", data=rows, compression="gzip", shuffle=True, chunks=(8, 150)
    )
  for found in h5.read(tmp_path / "a.h5", fps=30):
    np.testing.assert_array_equal(found.frames, expected.frames)
    assert (found.fps, found.size) == (30, None)


def test_confidence_is_clipped(tmp_path):
  rows = np.full((1, PROMPT2SIGN50.num_values), 1.07, np.float32)
  rows[0, 5] = 0
  with h5py.File(tmp_path / "a.h5", "w") as file:
    file["a"] = rows
  frames = h5.read_clip(tmp_path / "a.h5", "a").frames[0]
  assert frames[0, 2] == 1
  np.testing.assert_array_equal(frames[1], 0)


def external_link(file, other):
  file["a"] = h5py.ExternalLink(other, "secret")


def external_link_to_itself(file, other):
  file["b"] = SECRET
  file["a"] = h5py.ExternalLink(file.filename, "b")


def soft_link(file, other):
  file["b"] = SECRET
  file["a"] = h5py.SoftLink("/b")


def soft_link_through_another_file(file, other):
  file["out"] = h5py.ExternalLink(other, "/")
  file["a"] = h5py.SoftLink("/out/secret")


def dangling_link(file, other):
  file["a"] = h5py.SoftLink("/nowhere")


def virtual(file, other):
  layout = h5py.VirtualLayout((4, PROMPT2SIGN50.num_values), np.float32)
  layout[:] = h5py.VirtualSource(other, "secret", (4, PROMPT2SIGN50.num_values))
  file.create_virtual_dataset("a", layout)


def virtual_of_any_length(file, other):
  layout = h5py.VirtualLayout(
    (4, PROMPT2SIGN50.num_values), np.float32, (None, PROMPT2SIGN50.num_values)
  )
  source = h5py.VirtualSource(
    other,
    "secret",
    (4, PROMPT2SIGN50.num_values),
    np.float32,
    (None, PROMPT2SIGN50.num_values),
  )
  layout[: h5py.h5s.UNLIMITED, :] = source[: h5py.h5s.UNLIMITED, :]
  file.create_virtual_dataset("a", layout)


def external_storage(file, other):
  file.create_dataset(
    "a", (4, PROMPT2SIGN50.num_values), np.float32, external=[(other, 0, 2400)]
  )


def group(file, other):
  file["a/b"] = SECRET


def loop(file, other):
  file["a"] = file["/"]


def named_type(file, other):
  file["a"] = np.dtype(np.float32)


def objects(file, other):
  file.create_dataset("a", (4, PROMPT2SIGN50.num_values), h5py.ref_dtype)


def strings(file, other):
  file.create_dataset("a", (4, PROMPT2SIGN50.num_values), h5py.string_dtype())


def ragged(file, other):
  file.create_dataset("a", (4,), h5py.vlen_dtype(np.float32))


def compound(file, other):
  file.create_dataset(
    "a", (4, PROMPT2SIGN50.num_values), [("x", "f4"), ("y", "f4")]
  )


def doubles(file, other):
  file["a"] = SECRET.astype(np.float64)


def scalar(file, other):
  file["a"] = np.float32(1)


def empty(file, other):
  file["a"] = h5py.Empty("f4")


def wrong_width(file, other):
  file["a"] = SECRET[:, :-1]


def three_dimensions(file, other):
  file["a"] = SECRET.reshape(-1, PROMPT2SIGN50.num_joints, 3)


def claims_much(file, other):
  file.create_dataset(
    "a", (10**12, PROMPT2SIGN50.num_values), np.float32, chunks=(1, 150)
  )


def huge_chunks(file, other):
  file.create_dataset(
    "a",
    (4, PROMPT2SIGN50.num_values),
    "f4",
    chunks=(5 * 10**6, 150),
    maxshape=(None, 150),
  )


def bomb(file, other):
  """A chunk, to be 600 bytes, that unpacks to a thousand times as much."""
  made = file.create_dataset(
    "a",
    (1, PROMPT2SIGN50.num_values),
    "f4",
    chunks=(1, PROMPT2SIGN50.num_values),
    compression="gzip",
  )
  packed = zlib.compress(bytes(64 << 20), 9)[:1600]
  made.id.write_direct_chunk((0, 0), packed)


def damaged_chunk(file, other):
  made = file.create_dataset(
    "a",
    (1, PROMPT2SIGN50.num_values),
    "f4",
    chunks=(1, PROMPT2SIGN50.num_values),
    compression="gzip",
  )
  made.id.write_direct_chunk((0, 0), b"junk" * 20)


def packed_twice(file, other):
  plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
  plan.set_chunk((4, PROMPT2SIGN50.num_values))
  plan.set_deflate(9)
  plan.set_deflate(9)
  space = h5py.h5s.create_simple(SECRET.shape)
  h5py.h5d.create(file.id, b"a", h5py.h5t.IEEE_F32LE, space, plan)


def other_filter(file, other):
  file.create_dataset("a", data=SECRET, compression="lzf")


def not_finite(file, other):
  file["a"] = np.full_like(SECRET, np.nan)


def negative_confidence(file, other):
  file["a"] = -SECRET


def wrong_fps(file, other):
  file["a"] = SECRET
  file["a"].attrs["fps"] = "25"


def no_fps(file, other):
  file["a"] = SECRET
  file["a"].attrs["fps"] = np.nan


def wrong_size(file, other):
  file["a"] = SECRET
  file["a"].attrs["size"] = np.zeros(10**4)


HOSTILE = [
  external_link,
  external_link_to_itself,
  soft_link,
  soft_link_through_another_file,
  dangling_link,
  virtual,
  virtual_of_any_length,
  external_storage,
  group,
  loop,
  named_type,
  objects,
  strings,
  ragged,
  compound,
  doubles,
  scalar,
  empty,
  wrong_width,
  three_dimensions,
  claims_much,
  huge_chunks,
  bomb,
  damaged_chunk,
  packed_twice,
  other_filter,
  not_finite,
  negative_confidence,
  wrong_fps,
  no_fps,
  wrong_size,
]


@pytest.mark.parametrize("make", HOSTILE, ids=lambda make: make.__name__)
def test_hostile_file(tmp_path, make):
  other, path = tmp_path / "other.h5", tmp_path / "a.h5"
  with h5py.File(other, "w") as file:
    file.create_dataset(
      "secret", data=SECRET, maxshape=(None, PROMPT2SIGN50.num_values)
    )
  with h5py.File(path, "w", libver="latest") as file:
    make(file, str(other))
  before = other.stat().st_atime_ns
  assert "a" in h5.names(path)
  with pytest.raises(errors.DataError) as caught:
    h5.read_clip(path, "a")
  assert str(path) in str(caught.value)
  assert "'a'" in str(caught.value)
  assert other.stat().st_atime_ns == before


def test_good_clips_beside_a_bad_one(tmp_path):
  path = tmp_path / "a.h5"
  with h5py.File(path, "w") as file:
    file["a"] = SECRET[:, 1:]
    file["b"] = SECRET
  assert len(h5.read_clip(path, "b")) == 4
  with pytest.raises(errors.DataError, match="'a' has shape"):
    h5.read_clip(path, "a")
  for name in ("c", "", "/", ".", "../a", "b/"):
    with pytest.raises(errors.DataError):
      h5.read_clip(path, name)


def test_damaged_files(tmp_path):
  path = tmp_path / "a.h5"
  h5.write(path, [clip()])
  data = path.read_bytes()
  for junk in (b"", b"junk", data[:40], data[:-600], bytes(1000)):
    path.write_bytes(junk)
    with pytest.raises(errors.DataError, match=r"a\.h5: "):
      list(h5.read(path))
  for nothing in (tmp_path, tmp_path / "no.h5"):
    with pytest.raises(errors.DataError, match=r"no such file|not a file"):
      h5.names(nothing)


def test_what_cannot_be_written(tmp_path):
  path = tmp_path / "a.h5"
  h5.write(path, [clip()])
  strange = clip()
  strange.frames[1, 0, 2] = np.inf
  for bad in ([clip(), clip()], [clip(name="a/b")], [clip(name="")], [strange]):
    with pytest.raises(errors.DataError):
      h5.write(path, bad)
  assert h5.names(path) == ["a"]
  assert [file.name for file in tmp_path.iterdir()] == ["a.h5"]

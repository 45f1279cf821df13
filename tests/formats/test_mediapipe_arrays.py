"""Landmark recordings of MediaPipe as NumPy arrays: layout, damage, attacks."""

import os
import pathlib
import pickle
import struct
import zipfile

import numpy as np
import pytest
from helpers.landmarks import frames_258, write_recording
from helpers.paths import DATA
from helpers.real_data import real

from signllm_jax.core import errors, limits
from signllm_jax.core.skeleton import PROMPT2SIGN50
from signllm_jax.formats import mediapipe_arrays

SIZE = (640, 480)
REAL = DATA / "whole_signs"


def read(folder: pathlib.Path):
  names = os.listdir(folder) if folder.exists() else []
  recording = mediapipe_arrays.group(
    os.fspath(folder), names
  ) or mediapipe_arrays.Recording(os.fspath(folder), ())
  return mediapipe_arrays.read(recording, fps=15, size=SIZE)


def fault(folder: pathlib.Path) -> str:
  with pytest.raises(errors.DataError) as caught:
    read(folder)
  return str(caught.value)


def test_points_go_to_the_joints_of_their_names(tmp_path):
  frames = np.zeros((1, 258))
  pose = frames[0, :132].reshape(33, 4)
  pose[:, 0], pose[:, 1] = np.arange(33) / 100, 0.5
  pose[:, 3] = 1 - np.arange(33) / 100
  left = frames[0, 132:195].reshape(21, 3)
  left[:, 0], left[:, 1] = 0.5 + np.arange(21) / 100, 0.25
  write_recording(tmp_path / "tea" / "7", frames)
  clip = read(tmp_path / "tea" / "7")
  assert (clip.name, clip.fps, clip.size) == ("tea/7", 15, SIZE)
  body = {
    PROMPT2SIGN50.joint("nose"): 0,
    PROMPT2SIGN50.joint("left_shoulder"): 11,
    PROMPT2SIGN50.joint("right_shoulder"): 12,
    PROMPT2SIGN50.joint("left_elbow"): 13,
    PROMPT2SIGN50.joint("right_elbow"): 14,
    PROMPT2SIGN50.joint("left_wrist"): 15,
    PROMPT2SIGN50.joint("right_wrist"): 16,
  }
  for joint, point in body.items():
    np.testing.assert_allclose(
      clip.frames[0, joint],
      [6.4 * point, 240, 1 - point / 100],
      rtol=1e-5,
      atol=1e-5,
    )
  np.testing.assert_allclose(
    clip.frames[0, PROMPT2SIGN50.joint("neck")],
    [6.4 * 11.5, 240, 0.88],
    rtol=1e-5,
  )
  first = PROMPT2SIGN50.hand("left")
  np.testing.assert_allclose(
    clip.frames[0, first : first + 21],
    [[320 + 6.4 * i, 120, 1] for i in range(21)],
    rtol=1e-5,
  )
  assert not clip.frames[0, first + 21 :].any()  # the right hand is not seen


@pytest.mark.parametrize("kind", ["<f2", "<f4", "<f8", ">f4"])
def test_both_lengths_give_the_same_joints_in_order_of_number(tmp_path, kind):
  frames = frames_258(12)
  face = np.random.default_rng(1).uniform(0, 1, (12, 1404))
  write_recording(tmp_path / "a" / "0", frames.astype(kind))
  whole = np.concatenate([frames[:, :132], face, frames[:, 132:]], 1)
  write_recording(tmp_path / "a" / "1", whole.astype(kind), first=1)
  short, long = read(tmp_path / "a" / "0"), read(tmp_path / "a" / "1")
  np.testing.assert_array_equal(short.frames, long.frames)
  np.testing.assert_allclose(  # 10.npy after 9.npy
    short.frames[:, PROMPT2SIGN50.joint("nose"), 0],
    640 * frames[:, 0],
    rtol=2e-3,
  )


def test_a_part_of_zeros_is_not_seen(tmp_path):
  frames = frames_258(3)
  frames[1, :132] = 0
  frames[2, 195:] = 0
  write_recording(tmp_path / "a" / "0", frames)
  valid = read(tmp_path / "a" / "0").valid
  assert valid[0].all()
  assert not valid[1, : PROMPT2SIGN50.hand("left")].any()
  assert valid[1, PROMPT2SIGN50.hand("left") :].all()
  assert not valid[2, PROMPT2SIGN50.hand("right") :].any()


def test_damaged_frames_are_named(tmp_path):
  folder = tmp_path / "a" / "0"
  at = lambda n: folder / f"{n}.npy"  # noqa: E731
  assert fault(folder) == (
    f"{folder}: an empty recording; expected 0.npy, 1.npy, ..."
  )
  cases = (
    (np.ones(257), "an array of shape (257,); expected 258 or 1662 numbers"),
    (np.ones((1, 258)), "an array of shape (1, 258); expected 258 or 1662"),
    (np.ones(1662), "1662 numbers; expected 258 as in 0.npy"),
    (np.ones(258, int), "an array of type '<i8'; expected float16, float32"),
    (np.full(258, np.nan), "NaN or infinity; expected finite numbers"),
    (np.full(258, 1e300), "NaN or infinity; expected finite numbers"),
    (np.full(258, 2.0), "a visibility outside 0 to 1; expected pose 33 x"),
    (np.full(258, 1e5) * ([1, 1, 1, 0.0] * 33 + [1] * 126), "_HAND"),
  )
  for bad, message in cases:
    write_recording(folder, frames_258(3))
    np.save(at(1), bad)
    if message == "_HAND":
      assert f"{at(1)}: " in fault(folder)
      assert "expected shares of the picture" in fault(folder)
    else:
      assert fault(folder).startswith(f"{at(1)}: {message}")
  write_recording(folder, frames_258(3))
  at(1).rename(at("01"))
  assert len(read(folder)) == 3
  at(2).rename(at(3))
  assert fault(folder) == (
    f"{at(2)}: no such frame; expected numbers without a gap, from 0 or 1 on"
  )
  at(3).rename(at(1))
  assert fault(folder) == f"{at(1)}: frame 1 again; expected each number once"


def test_nothing_is_unpickled_or_allocated_for_a_header(tmp_path):
  folder = tmp_path / "a" / "0"
  write_recording(folder, frames_258(1))
  path = folder / "0.npy"
  good = path.read_bytes()

  class Attack:
    def __reduce__(self):
      return os.mkdir, (str(tmp_path / "attacked"),)

  np.save(path, np.array([Attack()], object), allow_pickle=True)
  expected = "pickled Python objects, which are never loaded"
  assert expected in fault(folder)
  path.write_bytes(pickle.dumps(Attack()))
  assert expected in fault(folder)
  bomb = b"{'descr': '<f8', 'fortran_order': False, 'shape': (%s,), }\n"
  for shape in (b"9" * 15, b"258, 999999999"):
    header = bomb % shape
    start = b"\x93NUMPY\1\0" + struct.pack("<H", len(header))
    path.write_bytes(start + header + good[128:])
    assert "2064 bytes of numbers; expected " in fault(folder)
  for damaged in (
    *(good[:n] for n in (0, 1, 7, 9, 20, 100)),
    good.replace(b"NUMPY\1", b"NUMPY\3"),
    good.replace(b"(258,)", b"(2-8,)"),
    good.replace(b"'<f8'", b"[1,2]"),
    b"[" * 60_000,
  ):
    path.write_bytes(damaged)
    assert "not a whole .npy file of a plain array" in fault(folder)
  for shape in (b"0, " + b"9" * 18, b"1, " * 70 + b"258"):
    header = bomb % shape
    start = b"\x93NUMPY\1\0" + struct.pack("<H", len(header))
    path.write_bytes(start + header + good[128:] * (b"258" in shape))
    assert "array" in fault(folder)
  path.write_bytes(good + b"\0")
  assert "2065 bytes of numbers; expected 2064 for shape (258,)" in fault(
    folder
  )
  path.write_bytes(b"\0" * (5 << 20))
  assert "expected at most 4194304" in fault(folder)
  path.unlink()
  os.mkfifo(path)
  assert fault(folder) == f"{path}: not a file"
  assert not (tmp_path / "attacked").exists()


def test_an_archive_with_a_bad_array(tmp_path):
  path = tmp_path / "landmarks.npz"
  good = np.stack([frames_258(4, seed) for seed in range(3)])
  np.savez_compressed(
    path,
    tea=good.astype(np.float16),
    flat=good[0],
    order=np.asfortranarray(good),
    objects=np.array([{}], object),
  )
  counts = mediapipe_arrays.archive_counts(path)
  assert (counts["tea"], counts["order"]) == (3, 3)
  assert str(counts["flat"]) == (
    f"{path}: flat.npy: an array of shape (4, 258); expected (recordings, "
    "frames, 258 or 1662)"
  )
  assert "pickled Python objects" in str(counts["objects"])
  both = [
    mediapipe_arrays.read_from_archive(path, sign, 2, fps=15, size=SIZE)
    for sign in ("tea", "order")
  ]
  assert [clip.name for clip in both] == ["tea/2", "order/2"]
  np.testing.assert_allclose(both[0].frames, both[1].frames, atol=0.5)
  with pytest.raises(errors.DataError, match="no recording 3 of tea"):
    mediapipe_arrays.read_from_archive(path, "tea", 3, fps=15, size=SIZE)
  assert mediapipe_arrays.is_archive(path)


def test_hostile_archives(tmp_path, monkeypatch):
  path = tmp_path / "landmarks.npz"
  header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (%d, 20, 258), }"
  start = b"\x93NUMPY\1\0" + struct.pack("<H", len(header % 10**9))
  for count, size in ((10**9, 1000), (2, 20 << 20)):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
      text = (header % count).ljust(len(header % 10**9))
      archive.writestr("tea.npy", start + text + b"\0" * size)
    assert "of shape" in str(mediapipe_arrays.archive_counts(path)["tea"])
    assert not mediapipe_arrays.is_archive(path)
  np.savez(path, tea=np.zeros((2, 20, 258), np.float32))
  monkeypatch.setattr(limits, "MAX_ARRAY", 1000)
  assert "at most 1000" in str(mediapipe_arrays.archive_counts(path)["tea"])
  whole = path.read_bytes()
  path.write_bytes(whole[:1000])
  with pytest.raises(errors.DataError, match=r"not a whole \.npz file"):
    mediapipe_arrays.archive_counts(path)
  path.write_bytes(b"PK\5\6" + bytes(18))
  with pytest.raises(errors.DataError, match="no arrays"):
    mediapipe_arrays.archive_counts(path)


def test_real_recordings_of_both_layouts():
  real(REAL)
  path = REAL / "landmarks.npz"
  counts = mediapipe_arrays.archive_counts(path)
  assert len(counts) == 14
  numbers = [count for count in counts.values() if isinstance(count, int)]
  assert sum(numbers) == 2209
  clip = mediapipe_arrays.read_from_archive(path, "i", 0, fps=15, size=SIZE)
  assert len(clip) == 20
  assert not clip.valid[
    :, PROMPT2SIGN50.hand("left") : PROMPT2SIGN50.hand("right")
  ].any()
  clip = read(REAL / "MP_Data" / "coffee" / "0")
  assert len(clip) == 20
  assert clip.valid[:, : PROMPT2SIGN50.hand("left")].all()
  # A wrist of the body and of the hand, found by two networks, agree.
  wrist, hand = clip.frames[
    :, [PROMPT2SIGN50.joint("left_wrist"), PROMPT2SIGN50.hand("left")], :2
  ][clip.valid[:, PROMPT2SIGN50.hand("left")]].swapaxes(0, 1)
  assert np.median(np.linalg.norm(wrist - hand, axis=-1)) < 30

"""Readers of keypoints against damaged bytes: typed errors, no hang.

Real files of each form with random bytes changed, cut out or doubled. HDF5's
own library crashes on some, so its files are read in a process of their own.
"""

import os
import pathlib
import subprocess
import sys
import time

import numpy as np
import pytest
from helpers.paths import ROOT

from signllm_jax.core import clips, errors, skeleton
from signllm_jax.formats import dwpose, h5, openpose, pose

SECONDS = 60


def keypoints() -> clips.Keypoints:
  random = np.random.default_rng(0)
  frames = random.uniform(0, 500, (1, skeleton.J, 3)).astype(np.float32)
  frames[..., 2] = random.random((1, skeleton.J))
  return clips.Keypoints(frames, size=(512, 512), name="a")


def mutated(data: bytes, random: np.random.Generator) -> bytes:
  """A few random changes; the tokens are what parsers stumble over."""
  tokens = [b"NaN", b"1e999", b"[", b"]", b"{", b'"', b",", b"\\u005f", b"-",
            b"\xff" * 4, b"\0" * 8, b"\x7f\xff\xff\xff"]  # fmt: skip
  data = bytearray(data)
  for _ in range(random.integers(1, 6)):
    at = int(random.integers(len(data) + 1))
    length = int(random.choice([0, 1, 4, 8, 40]))
    kind = random.integers(4)
    if kind == 0:
      data[at : at + length] = random.bytes(length)
    elif kind == 1:
      data[at:at] = tokens[random.integers(len(tokens))]
    elif kind == 2:
      del data[at : at + length]
    else:
      data[at:at] = data[at : at + 200]
  return bytes(data)


def fuzz(path: pathlib.Path, read, seed: int, seconds: float) -> int:
  """Reads changed files until the time is up; returns how many."""
  good = path.read_bytes()
  random = np.random.default_rng(seed)
  end = time.monotonic() + seconds
  count = 0
  while time.monotonic() < end:
    path.write_bytes(mutated(good, random))
    start = time.process_time()
    try:
      found = read()
      assert np.isfinite(found.frames).all(), (seed, count)
    except errors.DataError:
      pass
    assert time.process_time() - start < 1, (seed, count)
    count += 1
  return count


@pytest.mark.slow
@pytest.mark.parametrize("form", [openpose, dwpose])
def test_frame_files(tmp_path, form):
  """R22."""
  form.write(tmp_path / "a", keypoints())
  (path,) = (tmp_path / "a").iterdir()
  read = lambda: form.read(tmp_path / "a", size=(512, 512))  # noqa: E731
  assert fuzz(path, read, 0, SECONDS) > 1000


@pytest.mark.slow
def test_pose(tmp_path):
  """R22."""
  path = tmp_path / "a.pose"
  frames = np.full((2, skeleton.J, 3), 0.1, np.float32)
  pose.write(path, clips.Clip(frames, np.ones((2, skeleton.J), bool)))
  assert fuzz(path, lambda: pose.read_keypoints(path), 0, SECONDS) > 1000


@pytest.mark.slow
def test_h5(tmp_path):
  """R22: a crash of the library is not ours to mend; anything else is."""
  path = tmp_path / "a.h5"
  end = time.monotonic() + SECONDS
  seed = 0
  while (left := end - time.monotonic()) > 1:
    h5.write(path, [keypoints()])
    done = subprocess.run(
      [sys.executable, __file__, str(path), str(seed), str(left)],
      cwd=ROOT,
      env={"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}"},
      capture_output=True,
      text=True,
      timeout=SECONDS + 60,
    )
    assert done.returncode <= 0, done.stderr
    seed += 1
  assert seed


def _read_h5(path: pathlib.Path) -> clips.Keypoints:
  return next(h5.read(path), keypoints())


if __name__ == "__main__":
  target = pathlib.Path(sys.argv[1])
  fuzz(target, lambda: _read_h5(target), int(sys.argv[2]), float(sys.argv[3]))

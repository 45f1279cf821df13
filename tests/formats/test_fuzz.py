"""R22: parsers of foreign bytes against changed files: typed errors, no hang.

In the quick suite a few seeded changes each; in the slow one a minute each with
hypothesis and, where it is installed (`pip install ".[fuzz]"`), with atheris.
HDF5's own library crashes on some bytes, so its files are read in a process of
their own.
"""

import contextlib
import importlib.util
import os
import pathlib
import subprocess
import sys
import time

import hypothesis
import numpy as np
import pytest
from helpers import parsers
from helpers.paths import ROOT
from hypothesis import strategies as st

from signllm_jax.core import errors

SECONDS = 60
TOKENS = (b"NaN", b"1e999", b"[", b"]", b"{", b'"', b",", b"\\u005f", b"-",
          b"\xff" * 4, b"\0" * 8, b"\x7f\xff\xff\xff", b"1_0", b"PK\1\2",
          b"\n", b" ", "٢".encode(), b"null", b"99999999999")  # fmt: skip
ENVIRONMENT = {
  **os.environ,
  "PYTHONPATH": os.pathsep.join(
    [str(ROOT), str(ROOT / "tests"), os.environ.get("PYTHONPATH", "")]
  ),
  "PYTHONWARNINGS": "ignore",
  "JAX_PLATFORMS": "cpu",
}


def changed(data: bytes, changes: list[tuple[int, float, int, int]]) -> bytes:
  """A file with changes, each of a kind, a place, a length and a token."""
  found = bytearray(data)
  for kind, place, length, token in changes:
    at = int(place * len(found))
    if kind == 0:
      found[at : at + length] = bytes([token]) * length
    elif kind == 1:
      found[at:at] = TOKENS[token % len(TOKENS)]
    elif kind == 2:
      del found[at : at + length]
    elif kind == 3:
      found[at:at] = found[at : at + 200]
    else:
      found[at : at + 1] = bytes([token])
  return bytes(found)


def check(parser: parsers.Parser, path: pathlib.Path, data: bytes) -> None:
  """Reads the bytes: in time, and with no error but a typed one."""
  path.write_bytes(data)
  start = time.process_time()
  with contextlib.suppress(errors.SignLLMError):
    parser.read(path)
  assert time.process_time() - start < 1


def few(random: np.random.Generator) -> list[tuple[int, float, int, int]]:
  """A few random changes."""
  return [
    (
      int(random.integers(5)),
      float(random.random()),
      int(random.integers(41)),
      int(random.integers(256)),
    )
    for _ in range(random.integers(1, 6))
  ]


def prepare(parser: parsers.Parser, home: pathlib.Path):
  """Whole files of a parser, and the path that it reads."""
  for name in ("in", "whole"):
    (home / name).mkdir()
  return parsers.seeds(parser, home / "whole"), home / "in" / parser.file


CHANGES = st.lists(
  st.tuples(
    st.integers(0, 4),
    st.floats(0, 1),
    st.integers(0, 40),
    st.integers(0, 255),
  ),
  max_size=6,
)


@pytest.mark.parametrize("name", parsers.PARSERS)
def test_whole_files_are_read(tmp_path, name):
  parser = parsers.PARSERS[name]
  whole, path = prepare(parser, tmp_path)
  path.write_bytes(whole[0])
  parser.read(path)


@pytest.mark.parametrize("name", parsers.PARSERS)
def test_r22_few_changes(tmp_path, name):
  parser = parsers.PARSERS[name]
  whole, path = prepare(parser, tmp_path)
  random = np.random.default_rng(0)
  for number in range(40):
    data = whole[number % len(whole)]
    check(parser, path, changed(data, few(random)))


@pytest.mark.slow
@pytest.mark.parametrize("name", parsers.PARSERS)
def test_r22_hypothesis(tmp_path, name):
  parser = parsers.PARSERS[name]
  whole, path = prepare(parser, tmp_path)
  end = time.monotonic() + SECONDS
  tried = 0

  @hypothesis.settings(
    max_examples=500,
    deadline=None,
    database=None,
    suppress_health_check=list(hypothesis.HealthCheck),
  )
  @hypothesis.given(
    st.one_of(
      st.binary(max_size=4000),
      st.builds(changed, st.sampled_from(whole), CHANGES),
    )
  )
  def some(data: bytes) -> None:
    nonlocal tried
    tried += 1
    check(parser, path, data)

  seed = 0
  while time.monotonic() < end:
    hypothesis.seed(seed)(some)()
    seed += 1
  assert tried > 400


@pytest.mark.slow
@pytest.mark.parametrize("name", parsers.PARSERS)
def test_r22_atheris(tmp_path, name):
  if importlib.util.find_spec("atheris") is None:
    pytest.skip('needs atheris: pip install ".[fuzz]"')
  done = subprocess.run(
    [
      *(sys.executable, "-m", "helpers.fuzz_parser"),
      *(name, str(SECONDS), str(tmp_path)),
    ],
    env=ENVIRONMENT,
    capture_output=True,
    text=True,
    timeout=SECONDS + 120,
  )
  assert done.returncode == 0, done.stderr[-3000:]
  assert "Done " in done.stderr, done.stderr[-3000:]


@pytest.mark.slow
def test_r22_h5(tmp_path):
  """A crash of the library is not ours to mend; anything else is."""
  end = time.monotonic() + SECONDS
  seed = 0
  while (left := end - time.monotonic()) > 1:
    done = subprocess.run(
      [
        sys.executable,
        __file__,
        str(tmp_path / f"{seed}"),
        str(seed),
        str(left),
      ],
      cwd=ROOT,
      env=ENVIRONMENT,
      capture_output=True,
      text=True,
      timeout=SECONDS + 60,
    )
    assert done.returncode <= 0, done.stderr
    seed += 1
  assert seed


def _fuzz_h5(home: pathlib.Path, seed: int, seconds: float) -> None:
  home.mkdir()
  whole, path = prepare(parsers.HDF5, home)
  random = np.random.default_rng(seed)
  end = time.monotonic() + seconds
  while time.monotonic() < end:
    check(parsers.HDF5, path, changed(whole[0], few(random)))


if __name__ == "__main__":
  _fuzz_h5(pathlib.Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]))

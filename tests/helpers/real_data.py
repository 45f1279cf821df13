"""Real data, which is absent on other machines: its tests are then skipped."""

import pathlib

import pytest


def real(path: pathlib.Path) -> pathlib.Path:
  """The path of real data; skips the test if it is absent."""
  if not path.exists():
    pytest.skip(f"real data is absent: {path}")
  return path

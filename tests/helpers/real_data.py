"""Real data, which is absent on other machines: its tests are then skipped."""

import pathlib

import numpy as np
import pytest
from helpers.paths import DATA

GOLDEN_LIFT = DATA / "golden" / "lift"


def real(path: pathlib.Path) -> pathlib.Path:
  """The path of real data; skips the test if it is absent."""
  if not path.exists():
    pytest.skip(f"real data is absent: {path}")
  return path


def golden_lift() -> list[dict[str, np.ndarray]]:
  """Clips of How2Sign with the published tool's stages, in order of names."""
  files = sorted(real(GOLDEN_LIFT).glob("*.npz"))
  assert files
  return [dict(np.load(path)) for path in files]

"""Fewer of the simulated devices."""

import contextlib
from collections.abc import Iterator

import jax
import pytest


@contextlib.contextmanager
def only(count: int) -> Iterator[None]:
  """Meshes over all devices are made of the first `count`.

  Every simulated device costs time in every step.
  """
  devices = jax.devices()[:count]
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(jax, "devices", lambda *_: devices)
    yield

"""Verified copies on this machine of steps that lie in a bucket."""

import contextlib
import pathlib
import shutil
from collections.abc import Iterator
from typing import Any, NamedTuple

from signllm_jax.core import buckets


class Copy(NamedTuple):
  """A verified copy of a step."""

  folder: pathlib.Path
  manifest: dict[str, Any]


_kept: dict[str, Copy] | None = None  # by the path of the step


@contextlib.contextmanager
def keeping() -> Iterator[None]:
  """Within, a step is copied once, however often it is verified and loaded."""
  global _kept
  if _kept is not None:
    yield
    return
  _kept = {}
  try:
    yield
  finally:
    for copy in _kept.values():
      shutil.rmtree(copy.folder, ignore_errors=True)
    _kept = None


def known(step: buckets.BucketPath, manifest: dict[str, Any]) -> Copy | None:
  """The copy of a step with this manifest, if one is kept."""
  copy = (_kept or {}).get(str(step))
  return copy if copy and copy.manifest == manifest else None


def release(step: buckets.BucketPath, copy: Copy) -> None:
  """Removes a copy that is not needed any more, unless copies are kept."""
  if _kept is None:
    shutil.rmtree(copy.folder, ignore_errors=True)
  else:
    _kept[str(step)] = copy

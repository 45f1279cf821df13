"""Where the steps of a folder of checkpoints lie: on a disk or in a bucket."""

import pathlib
from collections.abc import Callable

from signllm_jax.core import buckets, paths
from signllm_jax.runs import step_folders, step_objects

Steps = step_folders.DiskSteps | step_objects.BucketSteps


def open_steps(
  folder: paths.AnyPath, may_commit: Callable[[], None] | None = None
) -> Steps:
  """The steps of a folder.

  Args:
    folder: of checkpoints alone; absolute.
    may_commit: raises where this process has lost a bucket to another.
  """
  if isinstance(folder, buckets.BucketPath):
    return step_objects.BucketSteps(folder, may_commit)
  return step_folders.DiskSteps(pathlib.Path(folder))


def by_preference(
  steps: list[int], scores: dict[int, float] | None
) -> list[int]:
  """Steps in the order in which they are tried.

  Args:
    steps: committed ones.
    scores: of those that have one: the lowest first, the earliest of equals,
      then steps without a score. None: the newest first.
  """
  newest = sorted(steps, reverse=True)
  if scores is None:
    return newest
  scored = sorted(scores.keys() & steps, key=lambda s: (scores[s], s))
  return scored + [step for step in newest if step not in scores]

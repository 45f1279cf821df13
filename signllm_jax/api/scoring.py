"""Scores produced clips against a reference."""

import os
from collections.abc import Sequence
from typing import overload

from signllm_jax.api import scored_files
from signllm_jax.core import clips, errors, skeleton
from signllm_jax.evaluation.metrics import catalogue
from signllm_jax.evaluation.report import bootstrap

Scores = dict[str, bootstrap.Interval]


@overload
def score(produced: clips.Clip, reference: clips.Clip) -> dict[str, float]: ...


@overload
def score(
  produced: Sequence[clips.Clip],
  reference: Sequence[clips.Clip],
  *,
  resamples: int = ...,
  seed: int = ...,
) -> Scores: ...


@overload
def score(
  produced: str | os.PathLike,
  reference: str | os.PathLike,
  *,
  split: str = ...,
  fps: float = ...,
  resamples: int = ...,
) -> Scores: ...


def score(
  produced: clips.Clip | Sequence[clips.Clip] | str | os.PathLike,
  reference: clips.Clip | Sequence[clips.Clip] | str | os.PathLike,
  *,
  split: str = "",
  fps: float = 25.0,
  resamples: int = bootstrap.RESAMPLES,
  seed: int = 0,
) -> dict[str, float] | Scores:
  """Scores clips against their references, by the metrics of the report.

  docs/evaluate.md defines them. Lower is better for dtw_mje and the other
  distances, in canonical units (shoulders 1/3 apart); motion_share, jerk_ratio
  and length_ratio are 1 for the reference itself.

  Args:
    produced: a clip, or several; or a file or folder of poses of any form,
      whose clips are matched by name (as `evaluate --produced`).
    reference: the true clip, or as many in the same order; or a file, a folder
      or a data set.
    split: of a data set with several.
    fps: frames a second, where the form of a file does not say.
    resamples: of the bootstrap, for several clips.
    seed: of the bootstrap.

  Returns:
    Metric -> value for a pair (NaN where undefined); for several clips, metric
    -> (value, low, high) with the 95 % interval over sequences.

  Raises:
    UsageError: unequal numbers of clips, none, or another frame rate; files
      whose clips do not match.
    DataError: a clip has no frames, or clips are of several skeletons.
  """
  paths = (str, os.PathLike)
  if isinstance(produced, paths) and isinstance(reference, paths):
    report = scored_files.evaluate_files(
      produced, reference, split, fps=fps, resamples=resamples
    )
    return dict(report.scores["produced"])
  if isinstance(produced, paths) or isinstance(reference, paths):
    raise errors.UsageError("a path and clips", expected="two of one kind")
  if isinstance(produced, clips.Clip) and isinstance(reference, clips.Clip):
    _check([produced], [reference])
    metrics = catalogue.pose_metrics(reference.skeleton)
    return {m.key: m.score([produced], [reference]) for m in metrics}
  if isinstance(produced, clips.Clip) or isinstance(reference, clips.Clip):
    raise errors.UsageError(
      "a clip and a list of clips", expected="two clips, or two lists"
    )
  _check(produced, reference)
  weights = bootstrap.resample(len(produced), resamples, seed)
  return {
    m.key: bootstrap.interval(m, m.sums(produced, reference), weights)
    for m in catalogue.pose_metrics(reference[0].skeleton)
  }


def _check(
  produced: Sequence[clips.Clip], reference: Sequence[clips.Clip]
) -> None:
  if len(produced) != len(reference):
    raise errors.UsageError(
      f"{len(produced)} produced clips and {len(reference)} references",
      expected="as many of each, in the same order",
    )
  if not produced:
    raise errors.UsageError("no clips", expected="at least one pair")
  skeleton.of_clips([*reference, *produced])
  for a, b in zip(produced, reference, strict=True):
    for clip in (a, b):
      if not len(clip):
        raise errors.DataError(f"clip {clip.name!r} has no frames")
    if abs(a.fps - b.fps) > 1e-3:
      raise errors.UsageError(
        f"clip {a.name!r} at {a.fps:g} fps against {b.fps:g} fps",
        expected="one frame rate",
        hint="Bring them to one with signllm_jax.core.clips.resample",
      )

"""Scores poses that anybody produced, from files of any form."""

import os
import pathlib
from collections.abc import Sequence

from signllm_jax.api import pose_files, reading
from signllm_jax.evaluation import evaluate_clips
from signllm_jax.evaluation.report import bootstrap, report


def evaluate_files(
  produced: str | os.PathLike | Sequence[str | os.PathLike],
  reference: str | os.PathLike,
  split: str = "",
  *,
  training: str | os.PathLike = "",
  fps: float = 25.0,
  size: tuple[int, int] | None = None,
  partial: bool = False,
  resamples: int = bootstrap.RESAMPLES,
  back_translation: str | os.PathLike = "",
) -> report.Report:
  """Scores produced poses against their references, matched by name.

  Args:
    produced: a file or folder of any form (`pose_files.read`), or several
      samples of the same clips.
    reference: the same, or a data set.
    split: of data sets with several: of the references, and of productions.
    training: poses that the system learnt from, or a data set, whose split
      train is read; empty if unknown.
    fps: frames a second, where a form does not say.
    size: width and height of the picture, where a form does not say.
    partial: score only references that have a production.
    resamples: of the bootstrap.
    back_translation: work directory of a model of pose to text.

  Raises:
    UsageError: clips and references do not match.
    DataError: a file is missing, empty or damaged.
  """
  single = isinstance(produced, str | os.PathLike)
  places = [produced] if single else list(produced)
  picture = {"fps": fps, "size": size}
  true = pose_files.read(reference, split, **picture)
  samples = [pose_files.read(path, split, **picture) for path in places]
  trained = pose_files.read(training, "train", **picture) if training else None
  name = pathlib.Path(places[0]).resolve().name
  place = pathlib.Path(reference).resolve().name
  known = reading.splits_of(pathlib.Path(reference))
  if known:
    place += f", {known[0] if len(known) == 1 else split}"
  return evaluate_clips.evaluate(
    samples,
    true,
    name=name,
    place=place,
    training=trained,
    partial=partial,
    resamples=resamples,
    back_translation=back_translation,
  )

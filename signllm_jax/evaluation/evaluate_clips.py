"""Evaluation of clips that anybody produced, against references."""

import dataclasses
import os
from collections.abc import Sequence

import numpy as np

from signllm_jax.core import clips, common_skeleton, errors
from signllm_jax.evaluation import (
  audit,
  baselines,
  matching,
  reading,
  same_text,
)
from signllm_jax.evaluation.metrics import catalogue, visibility
from signllm_jax.evaluation.report import bootstrap, report
from signllm_jax.inference import load, pose_reader
from signllm_jax.runs import restore, workdir


def evaluate(
  produced: Sequence[Sequence[clips.Clip]],
  reference: Sequence[clips.Clip],
  *,
  name: str,
  place: str,
  training: Sequence[clips.Clip] | None = None,
  partial: bool = False,
  resamples: int = bootstrap.RESAMPLES,
  back_translation: str | os.PathLike = "",
) -> report.Report:
  """Scores clips that anybody produced, with baselines and the audit.

  Args:
    produced: clips to score, matched with the references by name; of a model
      that signs differently each time, several samples.
    reference: the true clips.
    name: of the system, for the report.
    place: where the references were read, for the report.
    training: clips that the system learnt from, for the audit and a baseline.
    partial: score only references that have a production.
    resamples: of the bootstrap.
    back_translation: work directory of a model of pose to text; empty for none.

  Raises:
    UsageError: clips and references do not match, or the reader cannot read
      them.
    DataError: nothing to score.
  """
  samples, true, trained, lengths, notes = _aligned(
    produced, reference, training, partial
  )
  rows, draws, more = _rows(true, trained)
  skeleton = true[0].skeleton
  metrics = [*catalogue.pose_metrics(skeleton)]
  if trained:
    shown = visibility.parts_of_texts(trained)
    metrics.append(catalogue.hidden_parts(shown, skeleton))
  metrics += catalogue.of_repeated_texts(true)
  weights = bootstrap.resample(len(true), resamples)
  facts = {
    "name": name,
    "workdir": name,
    "checkpoint": None,
    "language": "",
    "split": place,
    "protocol": "files",
    "seeds": _say_samples(len(samples)),
    "bootstrap": bootstrap.facts(resamples),
  }
  all_rows = {"produced": samples[0], **rows}
  all_draws = {"produced": samples[1:], **draws}
  result = report.build(facts, metrics, true, all_rows, weights, all_draws)
  result = dataclasses.replace(result, notes=[*notes, *more])
  if back_translation:
    reader = load.load_reader(back_translation)
    result = add_columns(result, reader, back_translation, weights)
  return audit.add(result, lengths, trained if training else None, weights)


def _aligned(produced, reference, training, partial):
  """Samples, references and training clips in one skeleton, in one order.

  Returns:
    The samples, the references, the training clips, the lengths of the first
    sample as it came, and notes.
  """
  if not reference or not produced:
    raise errors.DataError("nothing to score")
  matched = [matching.match(sample, reference, partial) for sample in produced]
  names = [[clip.name for clip in each.true] for each in matched]
  if any(each != names[0] for each in names):
    raise errors.UsageError(
      "the samples are of different references",
      expected="a production of every reference in each",
    )
  groups, said = common_skeleton.share(
    matched[0].true,
    list(training or ()),
    *(each.produced for each in matched),
  )
  true, trained, *samples = groups
  notes = [note for each in matched for note in each.notes]
  notes = list(dict.fromkeys([*notes, *([said] if said else [])]))
  return samples, true, trained, matched[0].frames, notes


def _rows(true: list[clips.Clip], trained: list[clips.Clip]):
  """Truth and baselines, further draws of a row, and notes."""
  texts = [clip.text for clip in trained]
  rows, draws, notes = {"truth": true}, {}, []
  if all(clip.text for clip in true):
    others = same_text.find(true, trained, texts)
    notes += others.notes
    rows |= others.rows
    draws = others.draws
  known = trained or true
  if not trained:
    notes.append(
      "Without training clips (--training) the mean pose is that of the "
      "references, and there is no row of the nearest training text."
    )
  mean = baselines.mean_frame(known)
  rows |= baselines.of_clips(true, mean.astype(np.float32))
  if len(true) < 2:
    del rows["other_clip"]
  if trained and all(texts) and all(clip.text for clip in true):
    nearest = baselines.nearest([c.text for c in true], texts, "words")
    rows["nearest_train"] = [trained[int(i)] for i in nearest]
  return rows, draws, notes


def _say_samples(count: int) -> str:
  if count == 1:
    return "One sample of each clip."
  return (
    f"{count} samples of each clip: scores are means over them. The row "
    f"{report.ROW_NAMES['over_seeds']!r} has Student's 95 % intervals."
  )


def add_columns(
  result: report.Report,
  reader: pose_reader.Reader,
  path: str | os.PathLike,
  weights: np.ndarray,
) -> report.Report:
  """Adds the columns of a loaded reader of this work directory."""
  settings = workdir.read_config(path)
  details = {
    "name": settings.name,
    "workdir": os.fspath(path),
    "checkpoint": restore.identify(path),
  }
  read = reading.add_columns(result, reader, settings.data, details, weights)
  digest = details["checkpoint"]["digest"][:12]
  more = reading.reader_metrics(reader, settings.data, digest)
  return report.extend_poses(read, more, weights)

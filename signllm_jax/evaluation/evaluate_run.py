"""Evaluation of the best checkpoint of a run on a whole split."""

import os
import sys
import time
from collections.abc import Sequence

from signllm_jax.core import clips
from signllm_jax.evaluation import audit, evaluate_clips, signing
from signllm_jax.evaluation.report import bootstrap, report
from signllm_jax.inference import load, text_signer
from signllm_jax.inference import producer as producer_lib
from signllm_jax.runs import restore, step_copies

PROTOCOLS = ("free", "pt")


@step_copies.keeping()
def evaluate(
  path: str | os.PathLike,
  *,
  language: str = "",
  split: str = "test",
  protocol: str = "free",
  seeds: int = 1,
  resamples: int = bootstrap.RESAMPLES,
  back_translation: str | os.PathLike = "",
  metrics: Sequence[str] = (),
) -> report.Report:
  """Scores the best checkpoint of a work directory on a whole split.

  Args:
    path: work directory of a run.
    language: of the signs, where the model knows several.
    split: one of `datasets.SPLITS`.
    protocol: "free", or PT's leaky "pt" (section 7).
    seeds: passes of a model that samples; a deterministic one makes one.
    resamples: of the bootstrap.
    back_translation: work directory of a reader of every row, or empty.
    metrics: keys of the columns; all if empty.

  Raises:
    UsageError: not a work directory, or nothing was saved in it.
    DataError: a fault in the run's data.
    NonFiniteError: the model gives NaN or infinity.
    StorageError: the best checkpoint is damaged or cannot be read.
  """
  reader = load.load_reader(back_translation) if back_translation else None
  signer = text_signer.TextSigner(path)
  checkpoint = restore.identify(path)
  chosen = signer.choose(language)
  producer = signer.producer(chosen.code)
  data = signing.load_split(chosen.settings, producer.info, split)
  print("".join(f"note: {n}\n" for n in data.notes), end="", file=sys.stderr)
  began = time.perf_counter()
  passes = range(seeds if producer.stochastic else 1)
  produced = [_produce(producer, data, protocol, seed) for seed in passes]
  details = {
    "name": signer.config.name,
    "workdir": os.fspath(path),
    "checkpoint": checkpoint,
    "language": chosen.code,
    "split": split,
    "protocol": protocol,
    "seeds": _describe_seeds(seeds, producer.stochastic),
    "bootstrap": bootstrap.facts(resamples),
    "seconds": {"produce": round(time.perf_counter() - began, 3)},
  }
  weights = bootstrap.resample(len(data.true), resamples)
  columns = [m for m in data.metrics if not metrics or m.key in metrics]
  rows = {"produced": produced[0], **data.rows}
  draws = {"produced": produced[1:], **data.draws}
  result = report.build(details, columns, data.true, rows, weights, draws)
  if reader:
    result = evaluate_clips.add_columns(
      result, reader, back_translation, weights
    )
  return audit.add(result, None, data.train, weights, protocol == "free")


def _produce(
  producer: producer_lib.Producer,
  data: signing.EvaluationSplit,
  protocol: str,
  seed: int,
) -> list[clips.Clip]:
  """The clips of a split, with the names and texts of the true ones."""
  if protocol == "pt":
    produced = producer.produce_pt_protocol(data.sources, data.true)
  else:
    batches = producer.batches(data.sources, seed=seed)
    produced = [sequence.clip for batch in batches for sequence in batch]
  return signing.with_true_labels(produced, data.true)


def _describe_seeds(seeds: int, stochastic: bool) -> str:
  if stochastic and seeds > 1:
    return (
      f"The model samples: its scores are means over {seeds} seeds. The row "
      f"{report.ROW_NAMES['over_seeds']!r} has Student's 95 % intervals over "
      "them."
    )
  if stochastic:
    return "The model samples: these are the clips of one seed."
  sentence = "The model is deterministic: it samples nothing"
  if seeds > 1:
    return f"{sentence}, so one pass stands for all {seeds} seeds."
  return f"{sentence}."

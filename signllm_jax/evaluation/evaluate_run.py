"""Scores the best checkpoint of a run on a whole split."""

import os
import sys
import time

from signllm_jax.evaluation import reading, signing
from signllm_jax.evaluation.metrics import catalogue
from signllm_jax.evaluation.report import bootstrap, report
from signllm_jax.inference import load
from signllm_jax.runs import restore, workdir

PROTOCOLS = ("free", "pt")


def evaluate(
  path: str | os.PathLike,
  *,
  language: str = "",
  split: str = "test",
  protocol: str = "free",
  seeds: int = 1,
  resamples: int = bootstrap.RESAMPLES,
  back_translation: str | os.PathLike = "",
) -> report.Report:
  """Scores the best checkpoint of a work directory on a whole split.

  Args:
    path: work directory of a run.
    language: code of the sign language, where the model knows several.
    split: one of `datasets.SPLITS`.
    protocol: "free", or PT's leaky "pt" (section 7).
    seeds: passes of a stochastic model; ours are deterministic, so one pass
      stands for all of them and the report says so.
    resamples: of the bootstrap.
    back_translation: work directory of a model of pose to text, which reads
      every row; empty for none.

  Raises:
    UsageError: not a work directory, or nothing was saved in it.
    DataError: a fault in the run's data.
    NonFiniteError: the model gives NaN or infinity.
    StorageError: the best checkpoint is damaged or cannot be read.
  """
  described = restore.describe(path)
  checkpoint = restore.identify(path)
  chosen = load.choose(described, language)
  producer = load.load_producer(path, chosen.code)
  held = signing.hold(chosen.settings, producer.info, split)
  for note in held.notes:
    print(f"note: {note}", file=sys.stderr)
  began = time.perf_counter()
  if protocol == "pt":
    made = producer.produce_pt_protocol(held.sources, held.true)
  else:
    made = [
      signed.clip
      for batch in producer.batches(held.sources)
      for signed in batch
    ]
  seconds = time.perf_counter() - began
  made = signing.named(made, held.true)
  weights = bootstrap.resample(len(held.true), resamples)
  scored = report.build(
    {
      "name": described.config.name,
      "workdir": os.fspath(path),
      "checkpoint": checkpoint,
      "language": chosen.code,
      "split": split,
      "protocol": protocol,
      "seeds": _describe_seeds(seeds),
      "bootstrap": {
        "resamples": resamples,
        "seed": 0,
        "level": bootstrap.LEVEL,
      },
      "seconds": {"produce": round(seconds, 3)},
    },
    catalogue.POSE,
    held.true,
    {"produced": made, **held.rows},
    weights,
  )
  if not back_translation:
    return scored
  judge = workdir.read_config(back_translation)
  facts = {
    "name": judge.name,
    "workdir": os.fspath(back_translation),
    "checkpoint": restore.identify(back_translation),
  }
  model = load.load_reader(back_translation)
  return reading.add_columns(scored, model, judge.data, facts, weights)


def _describe_seeds(seeds: int) -> str:
  said = "The model is deterministic: it draws nothing when it signs"
  return (
    f"{said}, so one pass stands for all {seeds} seeds."
    if seeds > 1
    else f"{said}."
  )

"""Evaluation of the best checkpoint of a run on a whole split."""

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
  data = signing.load_split(chosen.settings, producer.info, split)
  for note in data.notes:
    print(f"note: {note}", file=sys.stderr)
  began = time.perf_counter()
  if protocol == "pt":
    produced = producer.produce_pt_protocol(data.sources, data.true)
  else:
    produced = [
      signed.clip
      for batch in producer.batches(data.sources)
      for signed in batch
    ]
  seconds = time.perf_counter() - began
  produced = signing.with_true_labels(produced, data.true)
  weights = bootstrap.resample(len(data.true), resamples)
  result = report.build(
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
    data.true,
    {"produced": produced, **data.rows},
    weights,
  )
  if not back_translation:
    return result
  reader = workdir.read_config(back_translation)
  facts = {
    "name": reader.name,
    "workdir": os.fspath(back_translation),
    "checkpoint": restore.identify(back_translation),
  }
  model = load.load_reader(back_translation)
  return reading.add_columns(result, model, reader.data, facts, weights)


def _describe_seeds(seeds: int) -> str:
  sentence = "The model is deterministic: it samples nothing"
  if seeds > 1:
    return f"{sentence}, so one pass stands for all {seeds} seeds."
  return f"{sentence}."

"""Opens the training data of a run."""

import dataclasses
import math

import jax

from signllm_jax import config as config_lib
from signllm_jax.data import pose_corpus, text_gloss_corpus

Corpus = pose_corpus.PoseCorpus | text_gloss_corpus.TextGlossCorpus


def open_corpora(
  config: config_lib.Experiment, mesh: jax.sharding.Mesh
) -> list[Corpus]:
  """Reads the training data: a corpus a language in MLSF, one otherwise.

  The rows of a batch are a multiple of what shares them: devices along data
  and fsdp, micro-batches, parts and candidates of the pool.
  """
  settings = config_lib.corpora(config)
  pool = config.plc.pool or 1  # candidates of each row
  devices = mesh.shape["data"] * mesh.shape["fsdp"]
  parts = math.lcm(devices, config.plc.parts)
  multiple = parts * config.optim.accumulate * pool
  rows = config.data.batch_size * pool
  noise = config.model.decoder == "flow"
  if config.task == "mlsf":
    return _open_stacked(settings, config.seed, rows, multiple, noise)
  if config.task == "text_to_gloss":
    return [
      text_gloss_corpus.TextGlossCorpus(
        settings, config.seed, rows=rows, multiple=multiple
      )
    ]
  return [
    pose_corpus.PoseCorpus(
      settings,
      config.seed,
      rows=rows,
      multiple=multiple,
      multilingual=config.task == "text2langgloss",
      noise=noise,
    )
  ]


def _open_stacked(
  settings: list[config_lib.Data],
  seed: int,
  rows: int,
  multiple: int,
  noise: bool,
) -> list[Corpus]:
  """Reads a corpus a language; all have batches of one size."""
  corpora = [
    pose_corpus.PoseCorpus(
      [language],
      seed,
      rows=rows // len(settings),
      multiple=multiple,
      align_lengths=True,
      noise=noise,
    )
    for language in settings
  ]
  rows = max(corpus.plan.batch_size for corpus in corpora)
  for corpus in corpora:
    corpus.plan = dataclasses.replace(corpus.plan, batch_size=rows)
  return [*corpora]

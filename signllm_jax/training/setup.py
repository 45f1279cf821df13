"""A run before its first step: data, mesh, shapes."""

import dataclasses
import math
import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from signllm_jax import config as config_lib
from signllm_jax import tasks
from signllm_jax.data import (
  corpus_info,
  datasets,
  loader,
  pose_corpus,
  text_gloss_corpus,
)
from signllm_jax.evaluation import glossing, reading, signing
from signllm_jax.inference import load
from signllm_jax.parallel import sharding as sharding_lib
from signllm_jax.runs import train_state
from signllm_jax.tasks.task import Evaluation
from signllm_jax.training import train_step

_MOST_DRAWN = 5  # examples named in a report


class Run:
  """A training run: its data, its compiled step and where its state goes."""

  def __init__(
    self, config: config_lib.Experiment, mesh: jax.sharding.Mesh | None = None
  ):
    """Reads the data.

    Args:
      config: the run.
      mesh: over all devices as configured, if not given.
    """
    self.config = config
    started = time.monotonic()
    self.mesh = sharding_lib.make_mesh(config.mesh) if mesh is None else mesh
    for name, size in (
      ("--config.data.batch_size", config.data.batch_size),
      ("--config.evaluate.batch_size", config.evaluate.batch_size),
    ):
      sharding_lib.check_batch(self.mesh, name, size)
    sharding_lib.check_model(self.mesh, config)
    self.stacked = config.task == "mlsf"
    corpora = config_lib.corpora(config)
    parts = self.mesh.shape["data"] * self.mesh.shape["fsdp"]
    pool = config.plc.pool or 1  # candidates of each row
    parts = math.lcm(parts, config.plc.parts)
    multiple = parts * config.optim.accumulate * pool
    rows = config.data.batch_size * pool
    self.corpora: list[
      pose_corpus.PoseCorpus | text_gloss_corpus.TextGlossCorpus
    ]
    if self.stacked:
      self.corpora = [
        pose_corpus.PoseCorpus(
          [settings],
          config.seed,
          rows=rows // len(corpora),
          multiple=multiple,
          align_lengths=True,
        )
        for settings in corpora
      ]
      # All groups take batches of one size.
      rows = max(corpus.plan.batch_size for corpus in self.corpora)
      for corpus in self.corpora:
        corpus.plan = dataclasses.replace(corpus.plan, batch_size=rows)
    elif config.task == "text_to_gloss":
      self.corpora = [
        text_gloss_corpus.TextGlossCorpus(
          corpora, config.seed, rows=rows, multiple=multiple
        )
      ]
    else:
      self.corpora = [
        pose_corpus.PoseCorpus(
          corpora,
          config.seed,
          rows=rows,
          multiple=multiple,
          multilingual=config.task == "text2langgloss",
        )
      ]
    self.codes = [c.code for c in self.corpora] if self.stacked else []
    self.sizes = train_state.sizes_of(self.infos)
    self.abstract = self._abstract()
    self.data_seconds = time.monotonic() - started

  def _abstract(self) -> train_state.TrainState:
    return train_state.abstract_state(
      self.config, self.sizes, self.mesh, self.codes
    )

  def spread(self, mesh: config_lib.Mesh) -> None:
    """Puts the run on another mesh of as many devices, before its start."""
    self.config.mesh, self.mesh = mesh, sharding_lib.make_mesh(mesh)
    self.abstract = self._abstract()

  @property
  def infos(self) -> dict[str, corpus_info.CorpusInfo]:
    """Info on each corpus, by the code of its language."""
    return {
      code: corpus.info for corpus in self.corpora for code in corpus.codes
    }

  @property
  def unit(self) -> str:
    """Of the lengths that batches are padded to: frames or tokens."""
    return tasks.get_task(self.config.task).LENGTH_UNIT

  @property
  def lengths(self) -> set[int]:
    """Padded lengths of the batches; each is compiled once."""
    return {t for corpus in self.corpora for t in corpus.plan.buckets}

  def describe(self) -> str:
    """What is trained, on what, in which shapes."""
    axes = ", ".join(f"{k} {v}" for k, v in self.mesh.shape.items())
    lines = [
      f"devices     {jax.device_count()} x {jax.default_backend()}: {axes}",
      f"parameters  {train_state.count_parameters(self.abstract):,}",
    ]
    for corpus in self.corpora:
      order = corpus.plan
      buckets = ", ".join(f"{t}: {n}" for t, n in order.buckets.items())
      lines += [
        corpus.describe(),
        f"shapes      {len(order.buckets)} compiled ({self.unit}: examples) "
        f"{buckets}; {order.padding:.0%} padding",
        f"epoch       {order.batches_per_epoch} batches of {order.batch_size}; "
        f"{self.config.steps} steps are "
        f"{self.config.steps / order.batches_per_epoch:.1f} epochs",
      ]
    return "\n".join(lines)

  def describe_parameters(self) -> str:
    """Shape and sharding of every parameter."""
    leaves = jax.tree_util.tree_leaves_with_path(self.abstract.params)
    return "\n".join(
      f"{jax.tree_util.keystr(path):70} {x.shape!s:16} {x.sharding.spec}"
      for path, x in leaves
    )

  def describe_memory(self) -> str:
    """`memory` in a line."""
    parts = self.memory()
    whole = sum(parts.values()) >> 20
    listed = ", ".join(f"{k} {v >> 20:,}" for k, v in parts.items())
    return f"memory      {whole:,} MiB a device: {listed}"

  def memory(self) -> dict[str, int]:
    """Bytes that the longest batch needs a device, compiled, not allocated.

    The backend's own sums: XLA plans temporary memory differently on CPU, GPU
    and TPU. Parameters, optimiser state and batch are the same everywhere.
    """
    batches, count = self.batches(), self.corpora[0].plan.batches_per_epoch
    lengths = [self.corpora[0].plan[i][0] for i in range(count)]
    sharding = sharding_lib.batch_sharding(self.mesh, self.stacked)
    batch = {
      name: jax.ShapeDtypeStruct(value.shape, value.dtype, sharding=sharding)
      for name, value in batches[int(np.argmax(lengths))].items()
    }
    with jax.set_mesh(self.mesh):
      compiled = self.make_step().lower(self.abstract, batch).compile()
    sizes = compiled.memory_analysis()
    kept = sizes.argument_size_in_bytes
    extra = sizes.output_size_in_bytes - sizes.alias_size_in_bytes
    return {
      "state and batch": kept,
      "temporary": sizes.temp_size_in_bytes,
      "results": extra,
    }

  def create_state(self) -> train_state.TrainState:
    """A fresh state on the mesh."""
    normalize = self.config.model.normalize
    measured = [
      train_state.measured(corpus.summary, normalize) for corpus in self.corpora
    ]
    if self.stacked:
      statistics = jax.tree.map(lambda *rows: np.stack(rows), *measured)
    else:
      (statistics,) = measured
    return train_state.create_state(
      self.config, statistics, self.abstract, self.sizes, self.codes
    )

  def make_step(self) -> Callable[..., tuple[Any, train_step.Metrics]]:
    """The compiled training step."""
    epochs = [corpus.plan.batches_per_epoch for corpus in self.corpora]
    trained = None
    if self.stacked:
      frozen = config_lib.listed(self.config.frozen)
      trained = np.array([code not in frozen for code in self.codes])
    return train_step.make_train_step(
      self.config,
      self.sizes,
      np.array(epochs) if self.stacked else epochs[0],
      train_state.shardings_of(self.abstract),
      trained,
    )

  @property
  def fed(self) -> np.ndarray:
    """[L, B] bool, rows of each corpus that this process reads."""
    rows = self.corpora[0].plan.batch_size
    if isinstance(
      self.corpora[0], text_gloss_corpus.TextGlossCorpus
    ):  # all texts are in memory
      return np.ones((1, rows), bool)
    shape = (len(self.corpora), rows) if self.stacked else (rows,)
    fed = sharding_lib.fed_rows(self.mesh, shape, self.stacked)
    return fed.reshape(-1, rows)

  def batches(self) -> loader.BatchSource:
    """All batches of the run, in order; what this process feeds of each."""
    parts = [
      corpus.batches(self.config.steps, fed)
      for corpus, fed in zip(self.corpora, self.fed, strict=True)
    ]
    return loader.StackedBatches(parts) if self.stacked else parts[0]

  def examples(self, step: int) -> list[str]:
    """Number and name of every example of a step, for messages."""
    return [
      f"{corpus.code} {i} ({corpus.train[int(i)].name})".strip()
      for corpus in self.corpora
      for i in corpus.plan[step][1]
    ]

  def describe_draws(
    self, state: train_state.TrainState
  ) -> dict[str, dict[str, Any]]:
    """Which training examples were drawn most, by language; {} without `plc`.

    All processes must call.
    """
    if state.table is None:
      return {}
    drawn = np.atleast_2d(sharding_lib.to_host(state.table.drawn))
    told = {}
    for corpus, counts in zip(self.corpora, drawn, strict=True):
      counts = counts[: len(corpus.train)]
      most = np.argsort(-counts, kind="stable")[:_MOST_DRAWN]
      told[corpus.code] = {
        "examples": len(counts),
        "never": int((counts == 0).sum()),
        "median": float(np.median(counts)),
        "most": {corpus.train[int(i)].name: int(counts[i]) for i in most},
      }
    return told

  @property
  def unscored(self) -> list[config_lib.Data]:
    """Settings of the languages without a dev split: trained, not scored."""
    name = self.config.evaluate.split
    return [
      part
      for corpus in self.corpora
      for part in corpus.parts
      # A split that was asked for by another name must be there.
      if name == "dev" and not datasets.has_split(part, name)
    ]

  def open_evaluations(self) -> dict[str, Evaluation]:
    """The split of `config.evaluate` of each corpus, with its baselines.

    Languages that are `unscored` have none.

    Raises:
      DataError: the split is empty or damaged, or not there although asked for.
    """
    unscored = self.unscored
    return {
      part.language: self._open_evaluation(corpus, part)
      for corpus in self.corpora
      for part in corpus.parts
      if part not in unscored
    }

  def _open_evaluation(
    self,
    corpus: pose_corpus.PoseCorpus | text_gloss_corpus.TextGlossCorpus,
    part: config_lib.Data,
  ) -> Evaluation:
    """The evaluation of a language."""
    settings = dataclasses.replace(self.config, data=part)
    if isinstance(corpus, text_gloss_corpus.TextGlossCorpus):
      return glossing.Evaluation(settings, corpus.train)
    split = datasets.open_clips(part, settings.evaluate.split)
    if settings.task == "pose_to_text":
      return reading.Evaluation(split, settings)
    mean = corpus.summary.mean
    if mean.ndim > 1:  # the baseline is the language's own mean pose
      mean = mean[corpus.codes.index(part.language)]
    return signing.Evaluation(split, settings, mean)

  def generator(self, state: train_state.TrainState, code: str) -> load.Model:
    """What signs, reads or glosses a language with a state's parameters."""
    return load.generator(self.config, self.infos, state, code, self.mesh)

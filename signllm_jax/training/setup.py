"""A run before its first step: data, mesh, shapes."""

import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from signllm_jax import config as config_lib
from signllm_jax import tasks
from signllm_jax.core import errors
from signllm_jax.data import (
  corpus_info,
  loader,
  pose_corpus,
  text_gloss_corpus,
)
from signllm_jax.data import sizes as sizes_lib
from signllm_jax.inference import load
from signllm_jax.parallel import sharding as sharding_lib
from signllm_jax.rl import recognition
from signllm_jax.runs import train_state
from signllm_jax.tasks.task import Evaluation
from signllm_jax.training import corpora as corpora_lib
from signllm_jax.training import evaluations, histograms, train_step

_MOST_DRAWN = 5  # samples named in the report


class Run:
  """Data, mesh, compiled step and abstract state of a training run.

  Attributes:
    config: the run.
    mesh: of the devices.
    stacked: whether states and batches have a leading axis of languages (MLSF).
    corpora: training data; of each language in MLSF, else one.
    codes: languages of the stacked groups; empty without them.
    sizes: of the data.
    abstract: shapes and shardings of the state.
    data_seconds: time that reading the data took.
  """

  def __init__(
    self, config: config_lib.Experiment, mesh: jax.sharding.Mesh | None = None
  ):
    """Reads the data.

    Args:
      config: the run.
      mesh: the mesh of the configuration over all devices, if not given.

    Raises:
      UsageError: the mesh cannot split the batches or the model.
      DataError: the data are not there or damaged.
      StorageError: every checkpoint of `rl.reader` is damaged.
    """
    self.config = config
    started = time.monotonic()
    self.mesh = sharding_lib.make_mesh(config.mesh) if mesh is None else mesh
    self.stacked = config.task == "mlsf"
    groups = len(config_lib.corpora(config)) if self.stacked else 1
    for name, size, share in (
      ("--config.data.batch_size", config.data.batch_size, groups),
      ("--config.evaluate.batch_size", config.evaluate.batch_size, 1),
    ):
      sharding_lib.check_batch(self.mesh, name, size, share)
    sharding_lib.check_model(self.mesh, config)
    self.corpora = corpora_lib.open_corpora(config, self.mesh)
    self.codes = [c.code for c in self.corpora] if self.stacked else []
    self.sizes = sizes_lib.sizes_of(config, self.infos)
    self._reader = self._open_reader() if config.rl.reader else None
    self.abstract = self._abstract()
    self.data_seconds = time.monotonic() - started

  def _open_reader(self) -> recognition.TextReader:
    """Opens the model whose reading is the reward of `rl.reader`."""
    path, (corpus,) = self.config.rl.reader, self.corpora
    assert isinstance(corpus, pose_corpus.PoseCorpus)
    reader, info = load.load_reader(path), corpus.info
    found = f"{reader.skeleton.name} at {reader.info.fps:g} frames a second"
    expected = f"{corpus.settings.skeleton} at {info.fps:g} frames a second"
    if found != expected:
      raise errors.UsageError(
        f"a reader of {found}", path=path, expected=expected
      )
    corpus.reader_texts = reader.texts()
    return reader.as_reward()

  def _abstract(self) -> train_state.TrainState:
    return train_state.abstract_state(
      self.config, self.sizes, self.mesh, self.codes
    )

  def set_mesh(self, mesh: config_lib.Mesh) -> None:
    """Moves the run to another mesh of as many devices, before its start."""
    self.config.mesh, self.mesh = mesh, sharding_lib.make_mesh(mesh)
    self.abstract = self._abstract()

  @property
  def infos(self) -> dict[str, corpus_info.CorpusInfo]:
    """Corpus info by the code of the language."""
    return {
      code: corpus.info for corpus in self.corpora for code in corpus.codes
    }

  @property
  def length_unit(self) -> str:
    """Unit of the lengths that batches are padded to: frames or tokens."""
    return tasks.get_task(self.config.task).LENGTH_UNIT

  @property
  def lengths(self) -> set[int]:
    """Padded lengths of the batches; the step is compiled once for each."""
    return {t for corpus in self.corpora for t in corpus.plan.buckets}

  def describe(self) -> str:
    """Devices, parameters, data and shapes, a line each."""
    axes = ", ".join(f"{k} {v}" for k, v in self.mesh.shape.items())
    lines = [
      f"devices     {jax.device_count()} x {jax.default_backend()}: {axes}",
      f"parameters  {train_state.count_parameters(self.abstract):,}",
    ]
    for corpus in self.corpora:
      plan = corpus.plan
      buckets = ", ".join(f"{t}: {n}" for t, n in plan.buckets.items())
      lines += [
        corpus.describe(),
        f"shapes      {len(plan.buckets)} compiled "
        f"({self.length_unit}: examples) {buckets}; {plan.padding:.0%} padding",
        f"epoch       {plan.batches_per_epoch} batches of {plan.batch_size}; "
        f"{self.config.steps} steps are "
        f"{self.config.steps / plan.batches_per_epoch:.1f} epochs",
      ]
    return "\n".join(lines)

  def describe_parameters(self) -> str:
    """Shape and sharding of every parameter, a line each."""
    leaves = jax.tree_util.tree_leaves_with_path(self.abstract.params)
    return "\n".join(
      f"{jax.tree_util.keystr(path):70} {x.shape!s:16} {x.sharding.spec}"
      for path, x in leaves
    )

  def create_state(self) -> train_state.TrainState:
    """Creates a fresh state on the mesh."""
    statistics = [
      train_state.measured(corpus.summary, self.config)
      for corpus in self.corpora
    ]
    return train_state.create_state(
      self.config,
      jax.tree.map(lambda *rows: np.stack(rows), *statistics)
      if self.stacked
      else statistics[0],
      self.abstract,
      self.sizes,
      self.codes,
    )

  def make_step(self) -> Callable[..., tuple[Any, train_step.Metrics]]:
    """Builds the training step."""
    epochs = [corpus.plan.batches_per_epoch for corpus in self.corpora]
    trainable = None
    if self.stacked:
      frozen = config_lib.listed(self.config.frozen)
      trainable = np.array([code not in frozen for code in self.codes])
    return train_step.make_train_step(
      self.config,
      self.sizes,
      np.array(epochs) if self.stacked else epochs[0],
      train_state.shardings_of(self.abstract),
      trainable,
      self._reader,
    )

  def make_histograms(self) -> histograms.Measure:
    """Builds the histograms of weights and gradients before a step."""
    return histograms.make(
      train_step.make_gradients(
        self.config, self.sizes, self.stacked, self._reader
      ),
      self.mesh,
    )

  @property
  def rows_of_process(self) -> np.ndarray:
    """[L, B] bool, rows of each corpus that this process reads."""
    rows = self.corpora[0].plan.batch_size
    if isinstance(self.corpora[0], text_gloss_corpus.TextGlossCorpus):
      return np.ones((1, rows), bool)  # all texts are in memory
    shape = (len(self.corpora), rows) if self.stacked else (rows,)
    return sharding_lib.rows_of_process(self.mesh, shape, self.stacked).reshape(
      -1, rows
    )

  def batches(self) -> loader.BatchSource:
    """All batches of the run, in order, with the rows of this process."""
    parts = [
      corpus.batches(self.config.steps, rows)
      for corpus, rows in zip(self.corpora, self.rows_of_process, strict=True)
    ]
    return loader.StackedBatches(parts) if self.stacked else parts[0]

  def sample_names(self, step: int) -> list[str]:
    """Number and name of every sample of a step, for messages."""
    return [
      f"{corpus.code} {i} ({corpus.train[int(i)].name})".strip()
      for corpus in self.corpora
      for i in corpus.examples(step)
    ]

  def sampling_summary(
    self, state: train_state.TrainState
  ) -> dict[str, dict[str, Any]]:
    """Draws of the training samples by PLC, by language; {} without `plc`.

    All processes must call it.
    """
    if state.table is None:
      return {}
    drawn = np.atleast_2d(sharding_lib.to_host(state.table.drawn))
    summary = {}
    for corpus, counts in zip(self.corpora, drawn, strict=True):
      counts = counts[: len(corpus.train)]
      most = np.argsort(-counts, kind="stable")[:_MOST_DRAWN]
      summary[corpus.code] = {
        "examples": len(counts),
        "never": int((counts == 0).sum()),
        "median": float(np.median(counts)),
        "most": {corpus.train[int(i)].name: int(counts[i]) for i in most},
      }
    return summary

  @property
  def unscored(self) -> list[config_lib.Data]:
    """Settings of the languages without a dev split: trained, not scored."""
    return evaluations.unscored(self.config, self.corpora)

  def open_evaluations(self) -> dict[str, Evaluation]:
    """Opens the evaluation of each language that is not `unscored`.

    Raises:
      DataError: as `evaluations.open_evaluations`.
    """
    return evaluations.open_evaluations(self.config, self.corpora)

  def generator(self, state: train_state.TrainState, code: str) -> load.Model:
    """Builds the model of a language, ready for inference, from a state."""
    return load.generator(self.config, self.infos, state, code, self.mesh)

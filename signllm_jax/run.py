"""A run before its first step: data, mesh, shapes; and a run that is done."""

import os
import pathlib
import time

import jax

from signllm_jax import (
  checkpoint,
  data,
  errors,
  evaluation,
  generate,
  partition,
  sources,
  workdir,
)
from signllm_jax import config as config_lib
from signllm_jax import state as state_lib


class Run:
  """A training run: its data, its compiled step and where its state goes."""

  def __init__(self, config: config_lib.Experiment):
    self.config = config
    started = time.monotonic()
    self.mesh = partition.make_mesh(config.mesh)
    for name, size in (
      ("--config.data.batch_size", config.data.batch_size),
      ("--config.evaluate.batch_size", config.evaluate.batch_size),
    ):
      partition.check_batch(self.mesh, name, size)
    self.train = sources.open_clips(config.data, "train")
    self.summary = data.summarise(self.train, config.data)
    self.facts = self.summary.facts
    # A data set smaller than a batch would be mostly empty rows.
    parts = self.mesh.shape["data"] * self.mesh.shape["fsdp"]
    rows = data.round_up(len(self.train), parts * config.optim.accumulate)
    self.plan = data.Plan(
      self.summary.lengths,
      min(config.data.batch_size, rows),
      config.data.bucket,
      config.seed,
    )
    self.vocabulary = len(self.facts.vocabulary)
    self.abstract = state_lib.abstract_state(config, self.vocabulary, self.mesh)
    self.data_seconds = time.monotonic() - started

  def describe(self) -> str:
    """What is trained, on what, in which shapes."""
    axes = ", ".join(f"{k} {v}" for k, v in self.mesh.shape.items())
    buckets = ", ".join(f"{t}: {n}" for t, n in self.plan.buckets.items())
    return "\n".join(
      [
        f"devices     {jax.device_count()} x {jax.default_backend()}: {axes}",
        f"parameters  {state_lib.count_parameters(self.abstract):,}",
        f"clips       {len(self.train):,} at {self.facts.fps:g} frames a "
        f"second; vocabulary {self.vocabulary:,}",
        f"shapes      {len(self.plan.buckets)} compiled (frames: clips) "
        f"{buckets}; {self.plan.padding:.0%} padding",
        f"epoch       {self.plan.batches_per_epoch} batches of "
        f"{self.plan.batch_size}; {self.config.steps} steps are "
        f"{self.config.steps / self.plan.batches_per_epoch:.1f} epochs",
      ]
    )

  def describe_parameters(self) -> str:
    """Shape and sharding of every parameter."""
    leaves = jax.tree_util.tree_leaves_with_path(self.abstract.params)
    return "\n".join(
      f"{jax.tree_util.keystr(path):70} {x.shape!s:16} {x.sharding.spec}"
      for path, x in leaves
    )

  def open_evaluation(self) -> evaluation.Evaluation:
    """The split of `config.evaluate`, read whole, with its floors."""
    split = sources.open_clips(self.config.data, self.config.evaluate.split)
    return evaluation.Evaluation(split, self.config, self.summary.mean)

  def producer(self, state: state_lib.TrainState) -> generate.Producer:
    """Generation with the parameters of a state."""
    return generate.Producer(
      state_lib.graph(self.config.model, self.vocabulary),
      state.params,
      state.statistics,
      self.facts,
      limit=int(self.facts.longest * self.config.evaluate.length_limit),
      batch_size=self.config.evaluate.batch_size,
      mesh=self.mesh,
    )


def load_producer(path: str | os.PathLike) -> generate.Producer:
  """The model of a work directory: its best checkpoint, ready to sign.

  Raises:
    UsageError: not a work directory, or nothing was saved in it yet.
    StorageError: every checkpoint is damaged.
  """
  config = workdir.read_config(path)
  config.mesh = config_lib.Mesh()
  folder = pathlib.Path(path)
  facts = workdir.read_facts(path)
  mesh = partition.make_mesh(config.mesh, jax.devices()[:1])
  vocabulary = len(facts.vocabulary)
  abstract = state_lib.abstract_state(config, vocabulary, mesh)
  with checkpoint.Checkpoints(folder / "checkpoints", keep=None) as saved:
    restored = saved.restore(abstract, best=True)
  if restored is None:
    raise errors.UsageError(
      "no checkpoint", path=path, hint="Train first, or wait for the first save"
    )
  state = restored[1]
  return generate.Producer(
    state_lib.graph(config.model, vocabulary),
    state.params,
    state.statistics,
    facts,
    limit=int(facts.longest * config.evaluate.length_limit),
    batch_size=config.evaluate.batch_size,
    mesh=mesh,
  )


def use_compilation_cache() -> None:
  """Keeps compiled programs between runs, in the user's cache folder."""
  home = os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")
  folder = os.environ.get(
    "JAX_COMPILATION_CACHE_DIR", os.fspath(pathlib.Path(home, "signllm_jax"))
  )
  jax.config.update("jax_compilation_cache_dir", folder)

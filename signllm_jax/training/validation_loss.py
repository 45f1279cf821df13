"""The training loss of the split that is scored during training."""

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from signllm_jax import config as config_lib
from signllm_jax import tasks
from signllm_jax.data import datasets, loader
from signllm_jax.data.batch import Batch
from signllm_jax.parallel import sharding
from signllm_jax.runs import train_state
from signllm_jax.tasks.task import LossContext
from signllm_jax.training import setup


class _Split(NamedTuple):
  """The batches of a corpus."""

  group: int | None  # of the corpus, in MLSF
  batches: loader.BatchSource


def without_noise(config: config_lib.Experiment) -> config_lib.Experiment:
  """The run without dropout, augmentation, absent sources and policy.

  Its loss is the same function.
  """
  return dataclasses.replace(
    config,
    model=dataclasses.replace(config.model, dropout=0.0),
    augment=dataclasses.replace(config.augment, noise=0.0),
    flow=dataclasses.replace(config.flow, absent=0.0),
    read=dataclasses.replace(
      config.read, token_dropout=0.0, stretch=0.0, jitter=0.0, smooth=0.0
    ),
    gloss=dataclasses.replace(
      config.gloss, source_dropout=0.0, token_dropout=0.0
    ),
    rl=dataclasses.replace(
      config.rl,
      loss="" if config.rl.loss == "policy_gradient" else config.rl.loss,
    ),
  )


class ValidationLoss:
  """Computes the loss of a split as training computes it, without gradients.

  The whole split counts as one batch. The weights are those that are scored,
  the moving average where the run keeps it. Random numbers, which flow matching
  needs, are the same at every step.
  """

  def __init__(self, run: setup.Run):
    """Opens the split of every corpus that has it.

    Raises:
      DataError: a clip cannot be read or lacks a text.
    """
    self._run, self._config = run, without_noise(run.config)
    self._splits = list(self._open())
    self._denominators: list[Any] | None = None  # of the splits
    self._task = tasks.get_task(run.config.task)
    graph = train_state.graph(self._config, run.sizes)

    def loss(
      weights, statistics, residuals, batch: Batch, index, denominator
    ) -> jax.Array:
      context = LossContext(statistics, residuals)
      key = jax.random.fold_in(jax.random.key(self._config.seed), index)
      model = nnx.merge(graph, weights)
      return self._task.loss(
        self._config, model, batch, context, key, denominator
      )[0]

    self._loss = jax.jit(loss)

  def measure(
    self, state: train_state.TrainState, should_stop: Callable[[], bool]
  ) -> float | None:
    """The loss at a state, the mean over MLSF's languages; None if stopped."""
    if self._denominators is None:
      self._denominators = [self._denominator(each) for each in self._splits]
    values = []
    for split, whole in zip(self._splits, self._denominators, strict=True):
      group = state.group
      if split.group is not None:
        group = train_state.take_group(state, split.group)
      total = jnp.float32(0)
      for index in range(len(split.batches)):
        if should_stop():
          return None
        total += self._loss(
          group.weights,
          group.statistics,
          group.residuals,
          sharding.put_batch(split.batches[index], self._run.mesh),
          index,
          whole,
        )
      values.append(float(total))
    return float(np.mean(values))

  def _open(self) -> Iterator[_Split]:
    run, settings = self._run, self._config.evaluate
    multiple = sharding.batch_rows(run.mesh, 1, settings.batch_size)
    for number, corpus in enumerate(run.corpora):
      if any(datasets.has_split(p, settings.split) for p in corpus.parts):
        batches = corpus.batches_of(
          settings.split, rows=settings.batch_size, multiple=multiple
        )
        yield _Split(number if run.stacked else None, batches)

  def _denominator(self, split: _Split) -> Any:
    """What the sums over a whole split are divided by."""
    of_batch = jax.jit(
      lambda batch: self._task.loss_denominator(self._config, batch)
    )
    parts = [
      of_batch(sharding.put_batch(split.batches[i], self._run.mesh))
      for i in range(len(split.batches))
    ]
    return jax.tree.map(lambda *each: sum(each), *parts)

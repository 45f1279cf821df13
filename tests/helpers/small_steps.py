"""A small training step on clips in memory, for tests."""

import copy

import jax
import jax.numpy as jnp
import numpy as np

from signllm_jax import config
from signllm_jax.core import clips
from signllm_jax.data import corpus_info, loader
from signllm_jax.data import sizes as sizes_lib
from signllm_jax.data.batch_plan import BatchPlan
from signllm_jax.parallel import sharding
from signllm_jax.runs import train_state
from signllm_jax.training import train_step


class _Clips(list):
  """A split in memory."""


def _clip(number: int, length: int) -> clips.Clip:
  t = np.arange(length)[:, None, None] / 10
  joint = np.arange(50)[None, :, None]
  axis = np.arange(3)[None, None]
  frames = np.sin(t * (1 + number % 3) + joint + axis).astype(np.float32)
  valid = np.ones((length, 50), bool)
  valid[::5, 8:29] = False
  frames[~valid] = 0
  words = " ".join("abcdef"[(number * k) % 6] for k in range(1, 4))
  return clips.Clip(frames, valid, 25.0, str(number), words)


SPLIT = _Clips(_clip(i, 9 + i % 7) for i in range(24))


def new_experiment() -> config.Experiment:
  """The base model, small, with dropout and noise."""
  experiment = config.Experiment(steps=100)
  experiment.data = config.Data(folder="-", batch_size=8, bucket=16)
  experiment.model = config.Model(
    encoder_layers=1,
    decoder_layers=1,
    width=64,
    heads=4,
    feed_forward=128,
    dropout=0.1,
    alignment=True,
  )
  experiment.optim = config.Optim(warmup_steps=5)
  experiment.augment = config.Augment(noise=1.0)
  return experiment


def start(experiment, devices):
  """Mesh, fresh state, step and batches."""
  mesh = sharding.make_mesh(experiment.mesh, devices)
  summary = corpus_info.summarise(
    SPLIT, experiment.data, noise=experiment.model.decoder == "flow"
  )
  rows = experiment.data.batch_size * (experiment.plc.pool or 1)
  plan = BatchPlan(summary.lengths, rows, experiment.data.bucket, 0)
  sizes = sizes_lib.Sizes(len(summary.info.vocabulary), examples=len(SPLIT))
  abstract = train_state.abstract_state(experiment, sizes, mesh)
  step = train_step.make_train_step(
    experiment,
    sizes,
    plan.batches_per_epoch,
    train_state.shardings_of(abstract),
  )
  batches = loader.PoseBatches(SPLIT, plan, summary.info, experiment.data, 1000)
  with jax.set_mesh(mesh):
    fresh = train_state.create_state(
      experiment,
      train_state.measured(summary, experiment),
      abstract,
      sizes,
    )
  return mesh, fresh, step, batches


_started = {}


def forget() -> None:
  """Lets the next `run` trace its step and make its state anew."""
  _started.clear()


def _start_once(experiment, devices):
  """As `start`, with one trace of a step for all runs of an experiment."""
  key = repr((experiment, devices))
  if key not in _started:
    _started[key] = start(copy.deepcopy(experiment), devices)
  mesh, fresh, step, batches = _started[key]
  with jax.set_mesh(mesh):  # a copy: the step takes its state
    return mesh, jax.tree.map(jnp.copy, fresh), step, batches


def run(experiment, devices, count, spoil=None):
  """Losses, the state and the last metrics of so many steps."""
  mesh, current, step, batches = _start_once(experiment, devices)
  losses = []
  with jax.set_mesh(mesh):
    for i in range(count):
      batch = batches[i]
      if spoil is not None:
        batch = spoil(i, batch)
      current, metrics = step(current, sharding.put_batch(batch, mesh))
      losses.append(float(metrics["loss"]))
  return np.array(losses), current, metrics

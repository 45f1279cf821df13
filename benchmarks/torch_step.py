"""The training step of `torch_transformer`, in each way it is measured.

Noise, clipping and Adam are those of our step.
"""

import contextlib
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from benchmarks.torch_transformer import FRAME, Transformer
from signllm_jax import config as config_lib


class Way(NamedTuple):
  """How the step is computed."""

  tuned: bool = False
  autocast: bool = False
  compiled: bool = False


def train_step(
  config: config_lib.Experiment,
  vocabulary: int,
  batch: Mapping[str, np.ndarray],
  way: Way,
) -> Callable[[], float]:
  """A function that trains one step on the same batch.

  The loss, noise and residuals are those of `tasks/text_to_pose.py`.

  Args:
    config: configuration of the run.
    vocabulary: number of source tokens.
    batch: from `workload.batch`: source [B, S], frames [B, T, 150], all rows of
      full length.
    way: how the step is computed.

  Returns:
    A function that trains one step and returns the loss.
  """
  ids = torch.from_numpy(batch["source"]).long()
  poses = torch.from_numpy(batch["frames"])
  torch.manual_seed(0)
  model = Transformer(config.model, vocabulary, way.tuned)
  optimizer = torch.optim.Adam(
    model.parameters(), config.optim.learning_rate, fused=way.tuned
  )
  forward = torch.compile(model) if way.compiled else model
  b, t, _ = poses.shape
  counter = (torch.arange(1, t + 1) / t).expand(b, t)[..., None]
  target = torch.cat([poses, counter], -1)
  inputs = torch.cat([torch.zeros(b, 1, FRAME), target[:, :-1]], 1)
  std, sums = torch.zeros(FRAME), torch.zeros(2, FRAME)

  def step() -> float:
    noise = torch.randn_like(inputs) * (config.augment.noise * std)
    noise[:, 0] = 0
    optimizer.zero_grad(set_to_none=True)
    with (
      torch.autocast("cpu", torch.bfloat16)
      if way.autocast
      else contextlib.nullcontext()
    ):
      produced = forward(ids, inputs + noise)
    error = produced.float() - target
    loss = (error**2).mean()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), config.optim.clip_norm)
    optimizer.step()
    with torch.no_grad():
      sums.add_(torch.stack([error.sum((0, 1)), (error**2).sum((0, 1))]))
    return loss.item()

  return step

"""Predicts step times of accelerators that could not be measured.

The prediction rests on these assumptions:

- products run at EFFICIENCY of the peak rate in bfloat16, as large
  transformer layers reach; small widths reach less;
- parameters, moments and gradients cross the memory once for each read and
  write of Adam, at MEMORY_SHARE of the peak bandwidth; activations are left
  out;
- a collective of b bytes crosses a ring: 2 b (n - 1) / n for an all-reduce,
  half of it for the others, at LINK_SHARE of the link's peak one way;
- nothing overlaps, and the host, the input and the dispatch cost nothing.
"""

from collections.abc import Mapping
from typing import NamedTuple

from signllm_jax import config as config_lib

EFFICIENCY, MEMORY_SHARE, LINK_SHARE = 0.4, 0.8, 0.8
# Adam reads the gradient for the norm and again for the update, reads and
# writes two moments and the parameter; the gradient was written.
_ADAM_BYTES = 4 * 9


class Chip(NamedTuple):
  """Peak rates from the manufacturer's data sheet."""

  flops: float  # a second, bfloat16
  memory: float  # bytes a second
  link: float  # bytes a second, one way, to the others of the mesh


# TPU v5e: 197 TFLOP/s, 819 GB/s, interconnect 1,600 Gbit/s a chip both ways.
# H100 SXM: 989 TFLOP/s dense, 3.35 TB/s, NVLink 450 GB/s one way.
CHIPS = {
  "TPU v5e": Chip(197e12, 819e9, 100e9),
  "H100": Chip(989e12, 3.35e12, 450e9),
}


def step_flops(
  config: config_lib.Model, rows: int, frames: int, tokens: int
) -> float:
  """Multiplications and additions of a training step.

  Args:
    config: shape of the model.
    rows: rows of the batch.
    frames: frames of each row.
    tokens: tokens of each source.
  """
  d, f = config.width, config.feed_forward
  attention = 4 * d * d  # query, key, value, output
  encoder = config.encoder_layers * (
    tokens * (attention + 2 * d * f) + 2 * tokens**2 * d
  )
  decoder = config.decoder_layers * (
    frames * (attention + 2 * d * d + 2 * d * f)
    + tokens * 2 * d * d
    + 2 * frames * (frames + tokens) * d
  )
  # Two for multiply and add; three products of each with the backward pass.
  return 6.0 * rows * (encoder + decoder + 2 * frames * d * 151)


def seconds(
  chip: Chip,
  flops: float,
  parameters: float,
  collectives: Mapping[str, int],
  devices: int,
) -> dict[str, float]:
  """Seconds of a step by part: products, optimiser, communication.

  Args:
    chip: one of CHIPS.
    flops: operations of a device.
    parameters: parameters that a device holds.
    collectives: kind -> bytes, from `communication.collectives`.
    devices: number of devices that communicate.
  """
  ring = (devices - 1) / devices
  sent = sum(
    (2 if kind == "all-reduce" else 1) * ring * size
    for kind, size in collectives.items()
  )
  return {
    "products": flops / (EFFICIENCY * chip.flops),
    "optimiser": _ADAM_BYTES * parameters / (MEMORY_SHARE * chip.memory),
    "communication": sent / (LINK_SHARE * chip.link),
  }

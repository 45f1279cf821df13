"""Free-running generation: cached, compiled, from the model's own start frame.

Nothing of the truth is used: the counter is the model's own, and a sequence
ends where that counter says it does (section 7).
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx

from signllm_jax import skeleton
from signllm_jax import state as state_lib


class Produced(NamedTuple):
  """A batch of generated sequences, in canonical units."""

  frames: jax.Array  # [B, limit, J, 3]
  length: jax.Array  # [B]
  finished: jax.Array  # [B] bool, False where the limit ended it


@functools.partial(jax.jit, static_argnames=("graphdef", "limit"))
def generate(
  graphdef: nnx.GraphDef,
  params: nnx.State,
  statistics: state_lib.Statistics,
  source: jax.Array,
  limit: int,
) -> Produced:
  """Signs a batch of encoded texts.

  Frame t with counter c says that the sequence has t / c frames. It ends with
  the frame nearest to that: when t + 1/2 >= t / c.

  Args:
    graphdef: of the model.
    params: its parameters.
    statistics: of the training poses.
    source: [B, S] ids.
    limit: frames after which every sequence ends.
  """
  model = nnx.merge(graphdef, params)
  batch = len(source)
  attendable = model.attendable(*model.encode(source))
  cells = jnp.repeat(statistics.seen, 3)
  out = jnp.zeros((limit, batch, skeleton.C))

  def running(carry):
    t, _, _, _, length = carry
    return (t < limit) & jnp.any(length == 0)

  def forward(carry):
    t, frame, caches, out, length = carry
    frame, caches = model.step(frame, t, caches, attendable)
    # A joint no clip shows was an unseen 0 in training and stays one.
    pose = jnp.where(cells, frame[:, :-1], 0)
    counter = jnp.clip(frame[:, -1], 0, 1)
    out = out.at[t].set(pose)
    n = t + 1
    ended = (n + 0.5) * counter >= n
    length = jnp.where((length == 0) & ended, n, length)
    frame = jnp.concatenate([pose, counter[:, None]], -1)
    return n, frame, caches, out, length

  start = (
    jnp.int32(0),
    model.start_frames(batch),
    model.empty_cache(batch, limit),
    out,
    jnp.zeros(batch, jnp.int32),
  )
  _, _, _, out, length = jax.lax.while_loop(running, forward, start)
  poses = statistics.restore(out.swapaxes(0, 1))
  length_or_limit = jnp.where(length == 0, limit, length)
  real = jnp.arange(limit) < length_or_limit[:, None]
  poses = jnp.where(real[..., None] & cells, poses, 0)
  return Produced(
    poses.reshape(batch, limit, skeleton.J, 3), length_or_limit, length > 0
  )

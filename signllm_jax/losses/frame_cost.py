"""Local costs of aligning two sequences, for all pairs of frames."""

import functools
from typing import Literal

import jax
import jax.numpy as jnp

from signllm_jax.core import errors

Metric = Literal["l1", "l2", "squared_l2", "mean_joint"]

PRODUCT_METRICS = ("l2", "squared_l2")  # computed by a matrix product
_UNROLL = 25  # values of a frame that one pass over the table sums
# A squared distance below this fraction of the norms is rounding error. Its
# root would not be small, although equal frames must have distance 0.
_ROUNDING = 1e-6


def flat_pairs(
  reference: jax.Array,
  reference_length: jax.Array,
  hypothesis: jax.Array,
  hypothesis_length: jax.Array,
) -> tuple[jax.Array, jax.Array]:
  """Flattens pairs of sequences [B, T, ...] to [B, T, C] float32; padding is 0.

  The reference's first frame becomes the origin. Distances stay; norms much
  larger than distances would cost "l2" and "squared_l2" their precision.
  """

  def flat(frames):
    return frames.reshape(*frames.shape[:2], -1).astype(jnp.float32)

  x, y = flat(reference), flat(hypothesis)
  origin = jax.lax.stop_gradient(x[:, :1])

  def centred(frames, lengths):
    inside = jnp.arange(frames.shape[1])[None] < lengths[:, None]
    return jnp.where(inside[..., None], frames - origin, 0)

  return centred(x, reference_length), centred(y, hypothesis_length)


def local_cost(
  reference: jax.Array,
  hypothesis: jax.Array,
  metric: Metric,
  valid: jax.Array | None = None,
) -> jax.Array:
  """Costs of all pairs of frames of two sequences.

  "l1" and "l2" are norms of the difference's C numbers, "squared_l2" is the
  mean of their squares, "mean_joint" the mean distance of J joints, of C / J
  numbers each.
  "l2" and "squared_l2" come from a matrix product: distances below a thousandth
  of the frames' own norms are lost to rounding.

  Args:
    reference: [B, R, C] float32.
    hypothesis: [B, Q, C] float32.
    metric: one of the four.
    valid: [B, R, J] bool, joints of the reference that count in "mean_joint";
      None for all of C / 3 joints in 3-D.

  Returns:
    [B, R, Q] float32.

  Raises:
    UsageError: no such metric, a mask for another one than "mean_joint", or
      frames that are not made of joints.
  """
  if valid is not None and metric != "mean_joint":
    raise errors.UsageError(
      f"a mask of joints was given with the metric {metric!r}",
      expected="mean_joint",
    )
  c = reference.shape[-1]
  if metric == "l1":
    return _grouped(reference, hypothesis, None, 1)
  if metric == "mean_joint":
    joints = c // 3 if valid is None else valid.shape[-1]
    if not joints or c % joints or c // joints not in (2, 3):
      raise errors.UsageError(
        f"frames of {c} numbers", expected="3 a joint, or 2 with a mask"
      )
    counted = (
      jnp.ones((*reference.shape[:2], joints))
      if valid is None
      else valid.astype(jnp.float32)
    )
    weights = counted / jnp.maximum(counted.sum(-1, keepdims=True), 1)
    return _grouped(reference, hypothesis, weights, c // joints)
  if metric not in PRODUCT_METRICS:
    raise errors.UsageError(
      f"no metric {metric!r}", expected="l1, l2, squared_l2 or mean_joint"
    )
  products, own, other = products_and_norms(reference, hypothesis)
  return cost_of_product(products, own[:, :, None] + other[:, None], metric, c)


def products_and_norms(
  x: jax.Array, y: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
  """Products of frames [B, R, Q], and squared norms [B, R] and [B, Q]."""
  products = jnp.einsum("brc,bqc->brq", x, y, precision="highest")
  # Squares are summed by a product too: with a sum, XLA would fill a second
  # table before the two are added.
  ones = jnp.ones(x.shape[-1])
  own, other = (jnp.dot(each**2, ones, precision="highest") for each in (x, y))
  return products, own, other


def cost_of_product(
  product: jax.Array, norms: jax.Array, metric: Metric, size: int
) -> jax.Array:
  """Cost "l2" or "squared_l2" from products of frames.

  Args:
    product: of two frames, any shape.
    norms: sum of their squared norms, same shape.
    metric: one of PRODUCT_METRICS.
    size: values of a frame.
  """
  squared = norms - 2 * product
  squared = jnp.where(squared > _ROUNDING * norms, squared, 0)
  if metric == "squared_l2":
    return squared / size
  # sqrt has no derivative at 0: equal frames get the gradient 0.
  distinct = squared > 0
  return jnp.where(distinct, jnp.sqrt(jnp.where(distinct, squared, 1)), 0)


def _leading(frames: jax.Array, size: int) -> jax.Array:
  """Rearranges [B, T, G * size] to [G, size, B, T]."""
  b, t, c = frames.shape
  return frames.transpose(2, 0, 1).reshape(c // size, size, b, t)


def _gaps(x: jax.Array, y: jax.Array) -> tuple[list[jax.Array], jax.Array]:
  """Differences of [size, B, R] and [size, B, Q], and their norm [B, R, Q]."""
  gaps = [a[:, :, None] - b[:, None] for a, b in zip(x, y, strict=True)]
  if len(gaps) == 1:
    return gaps, jnp.abs(gaps[0])
  return gaps, jnp.sqrt(functools.reduce(jnp.add, [gap**2 for gap in gaps]))


# Summing over a trailing axis of [B, R, Q, C] takes twice as long, and over a
# leading one 50 times; autodiff of this loop would store every gap.
@functools.partial(jax.custom_vjp, nondiff_argnums=(3,))
def _grouped(
  x: jax.Array, y: jax.Array, weights: jax.Array | None, size: int
) -> jax.Array:
  """Sum of weights [B, R, G] * distance over groups of `size` values."""

  def add(total, group):
    a, b, weight = group
    return total + _times(weight, _gaps(a, b)[1]), None

  start = jnp.zeros((*x.shape[:2], y.shape[1]))
  groups = _groups(x, y, weights, size)
  return jax.lax.scan(add, start, groups, unroll=_UNROLL // size)[0]


def _groups(x, y, weights, size):
  """Groups to scan over; weights None are ones at no cost."""
  if weights is not None:
    weights = _leading(weights, 1)
  return _leading(x, size), _leading(y, size), weights


def _times(weight: jax.Array | None, table: jax.Array) -> jax.Array:
  return table if weight is None else weight[0, :, :, None] * table


def _grouped_forward(x, y, weights, size):
  return _grouped(x, y, weights, size), (x, y, weights)


def _grouped_backward(size, residuals, slope):
  x, y, weights = residuals

  def pull(a, b, slopes):
    """Gradient [size, B, R] of a; sums over the minor axis are fast."""
    gaps, norm = _gaps(a, b)
    if size == 1:
      return jnp.sum(slopes * jnp.sign(gaps[0]), -1)[None]
    scale = jnp.where(norm > 0, slopes / jnp.where(norm > 0, norm, 1), 0)
    return jnp.stack([jnp.sum(scale * gap, -1) for gap in gaps])

  def group_gradient(_, group):
    a, b, weight = group
    slopes = _times(weight, slope)
    return None, (pull(a, b, slopes), pull(b, a, slopes.transpose(0, 2, 1)))

  _, (dx, dy) = jax.lax.scan(group_gradient, None, _groups(x, y, weights, size))
  gradients = [
    d.reshape(-1, *d.shape[2:]).transpose(1, 2, 0) for d in (dx, dy)
  ]  # [B, T, C]
  return *gradients, None


_grouped.defvjp(_grouped_forward, _grouped_backward)

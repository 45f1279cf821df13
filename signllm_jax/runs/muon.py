"""Muon for the matrices of layers, Adam for the rest.

Muon (Jordan 2024) moves a matrix by its momentum made orthogonal. It is meant
for maps between hidden states, so embeddings, biases, norms and the layers that
read or write frames and tokens keep Adam. An update of n_in x n_out is
multiplied by 0.2 sqrt(max(n_in, n_out)), which gives its entries the size of
Adam's, so both take the same learning rate (Liu et al. 2025, arXiv 2502.16982).
Three iterations with the best polynomials for as many (Amsel et al. 2025, arXiv
2505.16932) take the place of five with one.
"""

import math
from collections.abc import Callable
from typing import Any

import jax
import optax
import optax.contrib
from flax import nnx

_OUTER = {"vocab", "frame"}  # axes of what is read or written
# Of x, x^3 and x^5: minimax for singular values from 0.01 to 1 of the Frobenius
# norm, which end between 0.73 and 1.27; smaller ones grow 78-fold.
_POLYNOMIALS = (
  (8.0934, -23.6205, 17.4462),
  (3.6366, -2.7219, 0.5365),
  (2.6613, -1.9772, 0.4526),
)
_SIZE = 0.2  # root mean square of an update's entries


def scale_by_muon(
  adam: optax.GradientTransformation,
) -> optax.GradientTransformation:
  """Builds Muon for matrices of layers and `adam` for all else.

  Parameters and gradients are trees of `nnx.Variable` with metadata `axes`; the
  moments are too, so that they are sharded likewise.
  """
  muon = optax.chain(
    optax.contrib.scale_by_muon(
      ns_coeffs=_POLYNOMIALS,
      ns_steps=len(_POLYNOMIALS),
      weight_dimension_numbers=lambda tree: _map(_dimensions, tree),
    ),
    optax.stateless(lambda updates, _: _map(_scaled, updates)),
  )
  return optax.partition(
    {"muon": muon, "adam": adam},
    lambda tree: _map(
      lambda axes, _: "muon" if is_matrix(axes) else "adam", tree
    ),
  )


def is_matrix(axes: tuple[str, ...]) -> bool:
  """Whether a parameter of these axes is a map between hidden states."""
  axes = _own(axes)
  return len(axes[axes[:1] == ("layers",) :]) == 2 and not _OUTER & {*axes}


def _own(axes: tuple[str, ...]) -> tuple[str, ...]:
  """Axes within a group; each group of MLSF has its own optimiser."""
  return axes[1:] if axes[:1] == ("language",) else axes


def _dimensions(
  axes: tuple[str, ...], _: Any
) -> optax.contrib.MuonDimensionNumbers:
  first = len(_own(axes)) - 2
  return optax.contrib.MuonDimensionNumbers(first, first + 1)


def _scaled(_: tuple[str, ...], update: jax.Array) -> jax.Array:
  return _SIZE * math.sqrt(max(update.shape[-2:])) * update


def _map(call: Callable[[tuple[str, ...], Any], Any], tree: Any) -> Any:
  """Maps (axes, array) of each variable; masked variables have no array."""
  return jax.tree.map(
    lambda leaf: jax.tree.map(
      lambda array: call(tuple(leaf.get_metadata().get("axes", ())), array),
      leaf,
    ),
    tree,
    is_leaf=lambda leaf: isinstance(leaf, nnx.Variable),
  )

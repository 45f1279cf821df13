"""Copies a state to whole arrays in the host's memory, and back."""

import hashlib
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils


def flatten(tree: Any) -> dict[str, Any]:
  """Maps paths to leaves, so that files do not depend on Python classes."""
  leaves = jax.tree_util.tree_leaves_with_path(tree)
  return {jax.tree_util.keystr(path): leaf for path, leaf in leaves}


def describe(flat: Mapping[str, Any]) -> dict[str, str]:
  """Maps paths to dtype and shape, as "float32[3,4]"."""
  return {
    name: f"{leaf.dtype}[{','.join(map(str, leaf.shape))}]"
    for name, leaf in flat.items()
  }


def is_key(leaf: Any) -> bool:
  """Whether it is a typed PRNG key, whose bytes need `key_data`."""
  return jax.numpy.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def to_host(flat: Mapping[str, Any]) -> dict[str, np.ndarray]:
  """Copies to whole arrays in memory of their own, on every process."""
  arrays = {
    name: jax.random.key_data(leaf) if is_key(leaf) else leaf
    for name, leaf in flat.items()
  }
  for name, leaf in arrays.items():
    if not (leaf.is_fully_addressable or leaf.is_fully_replicated):
      arrays[name] = multihost_utils.process_allgather(leaf, tiled=True)
  # On the CPU device_get may return the device's own memory, which the next
  # step reuses: copy.
  host = jax.device_get(arrays)
  return {name: np.array(array) for name, array in host.items()}


def digest_of(leaves: dict[str, str], host: dict[str, np.ndarray]) -> str:
  """SHA-256 of a state, from its `describe` and `to_host`."""
  sha = hashlib.sha256()
  for name in sorted(host):
    sha.update(f"{name}\n{leaves[name]}\n".encode())
    sha.update(host[name].reshape(-1).view(np.uint8).data)
  return sha.hexdigest()


def digest(state: Any) -> str:
  """SHA-256 of all leaves: path, dtype, shape and bytes, sorted by path.

  Args:
    state: pytree of jax.Array, typed keys included, on any devices. With
      several processes all must call.

  Returns:
    Hexadecimal; equal for equal states, however they are sharded.
  """
  flat = flatten(state)
  return digest_of(describe(flat), to_host(flat))


def to_load(abstract: Any) -> dict[str, jax.ShapeDtypeStruct]:
  """Maps paths to arrays as of `to_host`, with the shardings of `abstract`."""
  default = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
  structs = {}
  for name, leaf in flatten(abstract).items():
    raw = jax.eval_shape(jax.random.key_data, leaf) if is_key(leaf) else leaf
    structs[name] = jax.ShapeDtypeStruct(
      raw.shape, raw.dtype, sharding=leaf.sharding or default
    )
  return structs


def assemble(abstract: Any, arrays: Mapping[str, jax.Array]) -> Any:
  """Builds the state from arrays as `to_load` describes them."""
  leaves = []
  for name, leaf in flatten(abstract).items():
    array = arrays[name]
    if is_key(leaf):
      array = _wrap(leaf, array)
    leaves.append(array)
  return jax.tree.unflatten(jax.tree.structure(abstract), leaves)


def _wrap(like: Any, data: jax.Array) -> jax.Array:
  """Builds typed keys from their data, of the implementation of `like`."""
  implementation = []

  def note(keys):
    implementation.append(jax.random.key_impl(keys))
    return keys

  jax.eval_shape(note, like)  # only traced keys have it
  return jax.random.wrap_key_data(data, impl=implementation[0])

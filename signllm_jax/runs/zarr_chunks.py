"""Chunk shapes that the arrays of a checkpoint declare.

Orbax writes every leaf as a Zarr array (version 3, `zarr.json`) into an OCDBT
store, and TensorStore takes the memory of a whole chunk before it decompresses
one. A manifest of the same origin does not help: a file of 4 MB that declares a
chunk of 2 GB takes 2 GB.
"""

import json
import math
from typing import Any

import tensorstore

from signllm_jax.runs import checkpoint_manifest

_FOLDER = "state"  # of the arrays, in the folder of a step
_DESCRIPTION = "zarr.json"
_WORDS = {"key<fry>": 2, "key<rbg>": 4, "key<urbg>": 4}  # 32-bit, of a key


def check(step: str, leaves: dict[str, str]) -> None:
  """Checks that no chunk of a step is larger than the array it belongs to.

  Args:
    step: folder of a step that Orbax wrote; its path as of
      `literal_paths.literal_path`.
    leaves: paths to dtype and shape, as "float32[3,4]".

  Raises:
    Damaged: names an array, what it declares and what is expected.
  """
  base = {"driver": "file", "path": f"{step}/{_FOLDER}/"}
  try:
    store = tensorstore.KvStore.open({"driver": "ocdbt", "base": base}).result()
    reads = {
      name: store.read(f"{name}/{_DESCRIPTION}".encode()) for name in leaves
    }
    found = {name: read.result().value for name, read in reads.items()}
  except Exception as error:  # TensorStore raises many types
    raise checkpoint_manifest.Damaged(f"{_FOLDER}: {error}") from error
  for name, description in found.items():
    _check(f"{_FOLDER}: array {name}", description, leaves[name])


def _check(name: str, description: bytes, leaf: str) -> None:
  dtype, _, sizes = leaf[:-1].partition("[")
  expected = [int(n) for n in sizes.split(",") if n]
  if dtype.startswith("key<"):  # the words of a key are one more axis
    expected.append(_WORDS.get(dtype, 0))
  try:
    declared = json.loads(description)
    shape = declared["shape"]
    chunks = [_chunk(declared["chunk_grid"])]
    for codec in declared["codecs"]:
      if codec["name"] == "sharding_indexed":
        chunks.append(_chunk(codec))
    largest = max(math.prod(chunk) for chunk in chunks)
  except (ValueError, KeyError, TypeError, RecursionError) as error:
    raise checkpoint_manifest.Damaged(
      f"{name}: its {_DESCRIPTION} cannot be read: {error!r}"
    ) from error
  if shape != expected:
    raise checkpoint_manifest.Damaged(
      f"{name}: found the shape {shape}, expected {expected}"
    )
  if largest > max(math.prod(expected), 1):
    raise checkpoint_manifest.Damaged(
      f"{name}: found chunks of {chunks}, expected none larger than {expected}"
    )


def _chunk(part: dict[str, Any]) -> list[int]:
  return [int(n) for n in part["configuration"]["chunk_shape"]]

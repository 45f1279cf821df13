"""All arrays of a state in one file, for checkpoints in buckets.

The file is safetensors, with the bytes of each array; dtypes and shapes stand
in the manifest. One process writes it and every process may read it, without
the others.
"""

import pathlib

import jax
import numpy as np
import safetensors
from safetensors import numpy as safetensors_numpy

NAME = "state.safetensors"


def write(folder: pathlib.Path, arrays: dict[str, np.ndarray]) -> None:
  """Writes whole arrays into a new folder.

  Raises:
    OSError: it cannot be written.
  """
  folder.mkdir(parents=True)
  as_bytes = {
    name: np.ascontiguousarray(array).reshape(-1).view(np.uint8)
    for name, array in arrays.items()
  }
  safetensors_numpy.save_file(as_bytes, folder / NAME)


def load(
  folder: pathlib.Path, arrays: dict[str, jax.ShapeDtypeStruct]
) -> dict[str, jax.Array]:
  """Reads arrays into their shardings; of each the part of this process.

  Raises:
    ValueError, safetensors.SafetensorError: they are not those of the file.
  """
  loaded = {}
  with safetensors.safe_open(folder / NAME, framework="numpy") as file:
    for name, struct in arrays.items():
      whole = file.get_tensor(name).view(struct.dtype).reshape(struct.shape)
      loaded[name] = jax.make_array_from_callback(
        struct.shape, struct.sharding, whole.__getitem__
      )
  return loaded

"""A trained model in one file: weights, configuration, corpus info.

The file is safetensors: a JSON header and arrays, nothing that could be run.
Its metadata has one entry, `signllm_jax`: JSON with `format`, `step`, `config`
(as in a work directory) and `facts` (as vocabulary.json). Optimiser state and
everything else that only training needs is left out; of a run that averages
its weights (`optim.ema`), `params` are the average.
"""

import hashlib
import json
import os
from typing import Any

import jax
import numpy as np
import safetensors
from safetensors import numpy as safetensors_numpy

from signllm_jax.core import (
  atomic_files,
  errors,
  foreign_files,
  limits,
  paths,
)
from signllm_jax.data import corpus_info
from signllm_jax.runs import description, stored_config, train_state
from signllm_jax.runs.description import Description

SUFFIX = ".safetensors"
HUB_NAME = "model.safetensors"  # in a folder of the Hugging Face hub
FORMAT = 1
_ENTRY = "signllm_jax"  # a single one: the writer keeps no order of several
DTYPES = ("float32", "float16")


def is_model_file(path: str | os.PathLike) -> bool:
  """Whether a path names a model file or its folder, not a work directory."""
  path = paths.resolve(locate(path))
  if path.suffix == SUFFIX:
    return True
  return not paths.is_remote(path) and path.is_file()


def locate(path: str | os.PathLike) -> str | os.PathLike:
  """The model file of a local folder in the form of the Hugging Face hub.

  Any other path as it is; a work directory has checkpoints.
  """
  found = paths.resolve(path)
  if paths.is_remote(found) or not found.is_dir():
    return path
  inside = found / HUB_NAME
  if inside.is_file() and not (found / "checkpoints").exists():
    return inside
  return path


def write(
  path: str | os.PathLike,
  described: Description,
  state: train_state.TrainState,
  dtype: str = "float32",
) -> None:
  """Writes a model; equal models give equal bytes.

  Args:
    path: the file; it is replaced as a whole.
    described: configuration and corpus info of the run.
    state: of the run.
    dtype: of the parameters, one of DTYPES. float32 changes nothing.

  Raises:
    DataError: a parameter is too large for the dtype, or not finite.
    StorageError: the file cannot be written.
  """
  weights = state._replace(params=state.group.weights)
  tensors = {name: np.asarray(leaf) for name, leaf in _leaves(weights).items()}
  for name, tensor in tensors.items():
    if tensor.dtype == np.float32:
      with np.errstate(over="ignore"):
        tensors[name] = tensor = tensor.astype(dtype)
    if not np.isfinite(tensor).all():
      raise errors.DataError(
        f"{name} does not fit {dtype}", path=path, hint="Use --dtype=float32"
      )
  about = describe(described, int(state.step))
  metadata = {_ENTRY: json.dumps(about, ensure_ascii=False)}
  with atomic_files.atomic_write(path) as part:
    part.write_bytes(safetensors_numpy.save(tensors, metadata))


def describe(described: Description, step: int) -> dict[str, Any]:
  """What a model file says of itself, as plain values."""
  return {
    "format": FORMAT,
    "step": step,
    "config": json.loads(stored_config.to_json(described.config)),
    "facts": json.loads(corpus_info.to_json(described.infos)),
  }


def read_description(path: str | os.PathLike) -> Description:
  """Reads configuration and corpus info of a model file.

  Raises:
    UsageError: there is no such file.
    DataError: it is not a model file, or damaged.
    StorageError: it cannot be read.
  """
  with _open(path) as file:
    return _describe(path, file)


def read(
  path: str | os.PathLike, abstract: train_state.TrainState
) -> train_state.TrainState:
  """Reads the parameters and statistics of a model file as a state.

  Args:
    path: the file.
    abstract: state of the run that the file describes.

  Returns:
    The state; fields that only training needs are None.

  Raises:
    DataError: its arrays are not those of such a model, or not finite.
    UsageError, StorageError: as `read_description`.
  """
  expected = _leaves(abstract)
  with _open(path) as file:
    step = _about(path, file)["step"]
    if set(file.keys()) != set(expected):
      differing = sorted(set(file.keys()) ^ set(expected))
      raise _damaged(path, f"arrays {differing[:3]} are missing or too many")
    loaded = {}
    for name, leaf in expected.items():
      array = file.get_slice(name)
      kinds = ("F32", "F16") if leaf.dtype == np.float32 else ("BOOL",)
      shape, kind = tuple(array.get_shape()), array.get_dtype()
      if shape != leaf.shape or kind not in kinds:
        raise _damaged(
          path, f"{name} is {kind} {shape}, not {leaf.dtype} {leaf.shape}"
        )
      tensor = file.get_tensor(name).astype(leaf.dtype)
      if not np.isfinite(tensor).all():
        raise _damaged(path, f"{name} is not finite")
      loaded[name] = jax.device_put(tensor, leaf.sharding)
  nothing = dict.fromkeys(train_state.Group._fields)
  empty = abstract._replace(**nothing)
  return empty._replace(
    step=np.int32(step),
    params=_filled(abstract.params, "params", loaded),
    statistics=_filled(abstract.statistics, "statistics", loaded),
  )


def identify(path: str | os.PathLike) -> dict[str, Any]:
  """Step and digest of a model file, for reports.

  Raises:
    UsageError, DataError, StorageError: as `read_description`.
  """
  with _open(path) as file:
    step = _about(path, file)["step"]
  digest = hashlib.sha256(
    paths.local_copy(locate(path)).read_bytes()
  ).hexdigest()
  return {"step": step, "digest": digest}


def _leaves(state: train_state.TrainState) -> dict[str, Any]:
  """The arrays that inference needs, by name."""
  return {
    train_state.name_of(root, path): leaf
    for root in ("params", "statistics")
    for path, leaf in jax.tree_util.tree_leaves_with_path(getattr(state, root))
  }


def _filled(tree: Any, root: str, loaded: dict[str, jax.Array]) -> Any:
  return jax.tree_util.tree_map_with_path(
    lambda path, _: loaded[train_state.name_of(root, path)], tree
  )


def _open(path: str | os.PathLike) -> Any:
  path = locate(path)
  if not foreign_files.exists(path):
    raise errors.UsageError(
      "no such file",
      path=path,
      expected="a model file of signllm_jax.export_model",
    )
  foreign_files.check_file(path)
  with foreign_files.parsing(path, "model file"):
    copy = os.fspath(paths.local_copy(path))
    return safetensors.safe_open(copy, framework="numpy")


def _about(path: str | os.PathLike, file: Any) -> dict[str, Any]:
  """Reads the metadata's entry and checks its format and step."""
  entry = (file.metadata() or {}).get(_ENTRY, "")
  if not 0 < len(entry) <= limits.MAX_JSON:
    raise _damaged(path, "no metadata of a model")
  about = foreign_files.parse_json(entry, path)
  if not isinstance(about, dict) or not {"config", "facts"} <= about.keys():
    raise _damaged(path, "no metadata of a model")
  version, step = about.get("format"), about.get("step")
  if version != FORMAT or type(step) is not int or not 0 <= step < 1 << 31:
    raise _damaged(path, f"format {repr(version)[:60]}, step {repr(step)[:60]}")
  return about


def _describe(path: str | os.PathLike, file: Any) -> Description:
  about = _about(path, file)
  try:
    described = Description(
      stored_config.from_values(about["config"]),
      corpus_info.from_values(about["facts"]),
    )
    description.check(described)
  except errors.DataError as error:
    raise _damaged(path, str(error)) from error
  model = described.config.model
  layers = model.encoder_layers + model.decoder_layers
  if layers > len(file.keys()):
    raise _damaged(path, f"{layers} layers in {len(file.keys())} arrays")
  return described


def _damaged(path: str | os.PathLike, problem: str) -> errors.DataError:
  return errors.DataError(
    problem[:300],
    path=path,
    expected="a model file of signllm_jax.export_model, whole",
  )

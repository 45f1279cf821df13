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
import pathlib
from typing import Any, NamedTuple

import jax
import numpy as np
import safetensors
from safetensors import numpy as safetensors_numpy

from signllm_jax import config as config_lib
from signllm_jax.core import atomic_files, errors
from signllm_jax.data import corpus_info
from signllm_jax.runs import config_check, stored_config, train_state

SUFFIX = ".safetensors"
FORMAT = 1
_ENTRY = "signllm_jax"  # a single one: the writer keeps no order of several
DTYPES = ("float32", "float16")

_FAULTS = (
  errors.SignLLMError,
  AttributeError,
  KeyError,
  OverflowError,
  RecursionError,
  TypeError,
  ValueError,
)


class Description(NamedTuple):
  """Configuration and corpus info of a trained run."""

  config: config_lib.Experiment
  infos: dict[str, corpus_info.CorpusInfo]


def is_model_file(path: str | os.PathLike) -> bool:
  """Whether a path names a model file, not a work directory."""
  path = pathlib.Path(path)
  return path.suffix == SUFFIX or path.is_file()


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
  about = {
    "format": FORMAT,
    "step": int(state.step),
    "config": json.loads(stored_config.to_json(described.config)),
    "facts": json.loads(corpus_info.to_json(described.infos)),
  }
  metadata = {_ENTRY: json.dumps(about, ensure_ascii=False)}
  with atomic_files.atomic_write(path) as part:
    part.write_bytes(safetensors_numpy.save(tensors, metadata))


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
  digest = hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest()
  return {"step": step, "digest": digest}


def _leaves(state: train_state.TrainState) -> dict[str, Any]:
  """The arrays that inference needs, by name."""
  return {
    _name(root, path): leaf
    for root in ("params", "statistics")
    for path, leaf in jax.tree_util.tree_leaves_with_path(getattr(state, root))
  }


def _filled(tree: Any, root: str, loaded: dict[str, jax.Array]) -> Any:
  return jax.tree_util.tree_map_with_path(
    lambda path, _: loaded[_name(root, path)], tree
  )


def _name(root: str, path: Any) -> str:
  inside = jax.tree_util.keystr(path, simple=True, separator="/")
  return f"{root}/{inside}".removesuffix("/value")  # of an `nnx.Param`


def _open(path: str | os.PathLike) -> Any:
  if not os.path.exists(path):
    raise errors.UsageError(
      "no such file",
      path=path,
      expected="a model file of signllm_jax.export_model",
    )
  try:
    return safetensors.safe_open(os.fspath(path), framework="numpy")
  except safetensors.SafetensorError as error:
    raise _damaged(path, str(error)) from error
  except OSError as error:
    raise errors.StorageError(f"cannot be read: {error}", path=path) from error


def _about(path: str | os.PathLike, file: Any) -> dict[str, Any]:
  """Reads the metadata's entry and checks its format and step."""
  try:
    about = json.loads((file.metadata() or {})[_ENTRY])
    version, step = about["format"], about["step"]
  except _FAULTS as error:
    raise _damaged(path, f"no metadata of a model: {error!r}") from error
  if version != FORMAT or type(step) is not int:
    raise _damaged(path, f"format {version!r}, step {step!r}")
  return about


def _describe(path: str | os.PathLike, file: Any) -> Description:
  about = _about(path, file)
  try:
    config = stored_config.from_json(json.dumps(about["config"]))
    infos = corpus_info.from_json(json.dumps(about["facts"]))
    _check_types(config)
    config_check.check(config)
    codes = [corpus.language for corpus in config_lib.corpora(config)]
  except _FAULTS as error:
    raise _damaged(path, str(error)) from error
  glosses = all(each.gloss_vocabulary is not None for each in infos.values())
  if config.task in ("text_to_gloss", "text2langgloss") and not glosses:
    raise _damaged(path, f"no glosses for task {config.task}")
  layers = config.model.encoder_layers + config.model.decoder_layers
  if not infos or (config.task == "mlsf" and codes != list(infos)):
    raise _damaged(path, f"facts of {list(infos)} for languages {codes}")
  if not 0 <= layers <= len(file.keys()):
    raise _damaged(path, f"{layers} layers in {len(file.keys())} arrays")
  return Description(config, infos)


def _check_types(config: config_lib.Experiment) -> None:
  """Refuses fields of another type than the default's; JSON allows any."""
  default = config_lib.flatten(config_lib.Experiment())
  for name, value in config_lib.flatten(config).items():
    kinds = (int, float) if type(default[name]) is float else ()
    if type(value) not in (type(default[name]), *kinds):
      raise errors.DataError(f"{name} is {value!r}")


def _damaged(path: str | os.PathLike, problem: str) -> errors.DataError:
  return errors.DataError(
    problem[:300],
    path=path,
    expected="a model file of signllm_jax.export_model, whole",
  )

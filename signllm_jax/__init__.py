"""JAX/Flax training stack for sign language production: text in, poses out.

  import signllm_jax as slp

  signer = slp.load("runs/quickstart")
  clip = signer("hello")
  clip.save("hello.mp4")

docs/python.md describes the API. Everything is imported at first use, so the
import itself costs milliseconds and leaves JAX alone.
"""

import importlib
import sys
import types
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
  from signllm_jax.api.loading import load
  from signllm_jax.api.reading import Clips, read
  from signllm_jax.api.runs import Run, build, experiment, train
  from signllm_jax.api.saving import save
  from signllm_jax.api.scored_runs import (
    Comparison,
    Evaluation,
    compare,
    evaluate,
  )
  from signllm_jax.api.scoring import score
  from signllm_jax.config import Experiment
  from signllm_jax.core.errors import SignLLMError
  from signllm_jax.inference.clip import Clip
  from signllm_jax.inference.signer import Signer

  __version__: str

__all__ = [
  "Clip",
  "Clips",
  "Comparison",
  "Evaluation",
  "Experiment",
  "Run",
  "SignLLMError",
  "Signer",
  "build",
  "compare",
  "evaluate",
  "experiment",
  "load",
  "read",
  "save",
  "score",
  "train",
]

_MODULES = {  # name -> the module that it comes from
  "Clip": "inference.clip",
  "Clips": "api.reading",
  "Comparison": "api.scored_runs",
  "Evaluation": "api.scored_runs",
  "Experiment": "config",
  "Run": "api.runs",
  "SignLLMError": "core.errors",
  "Signer": "inference.signer",
  "build": "api.runs",
  "compare": "api.scored_runs",
  "evaluate": "api.scored_runs",
  "experiment": "api.runs",
  "load": "api.loading",
  "read": "api.reading",
  "save": "api.saving",
  "score": "api.scoring",
  "train": "api.runs",
}


def __getattr__(name: str) -> Any:
  if name == "__version__":
    version = importlib.import_module("signllm_jax.version")
    return version.read()
  if name not in _MODULES:
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
  module = importlib.import_module(f"{__name__}.{_MODULES[name]}")
  return getattr(module, name)


def __dir__() -> list[str]:
  return sorted([*__all__, "__version__"])


class _Command(types.ModuleType):
  """The module of a command, called as the function of the same name."""

  def __call__(self, *args, **kwargs):
    function = __getattr__(self.__name__.rpartition(".")[2])
    return function(*args, **kwargs)


class _Package(types.ModuleType):
  """Keeps `train` and `evaluate` callable.

  `signllm_jax.train` is a function of the API and the module of a command:
  importing the module binds it to the name of the function.
  """

  def __setattr__(self, name: str, value: Any) -> None:
    if name in __all__ and isinstance(value, types.ModuleType):
      value.__class__ = _Command
    super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package

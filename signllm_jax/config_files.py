"""Finds and loads configuration files by name, from any folder.

A configuration is named `quickstart`, `configs/quickstart.py` or by the path of
any other file; an argument follows a colon: `signllm:gsl-1b`. The project's own
lie in `configs/` of a clone and in `signllm_jax/configs/` of an installation.
"""

import difflib
import importlib.util
import pathlib
import re
import sys
from collections.abc import Mapping
from typing import Any

from signllm_jax import config as config_lib
from signllm_jax.core import errors

_PACKAGE = pathlib.Path(__file__).parent
_FOLDERS = (_PACKAGE / "configs", _PACKAGE.parent / "configs")
_SHARED = ("__init__", "base")  # parts of configurations


def _folder() -> pathlib.Path:
  return next((path for path in _FOLDERS if path.is_dir()), _FOLDERS[0])


def names() -> list[str]:
  """Names of the project's configurations."""
  found = sorted(path.stem for path in _folder().glob("*.py"))
  return [name for name in found if name not in _SHARED]


def find(name: str) -> str:
  """The path of a configuration's file, with its argument after a colon.

  Raises:
    UsageError: there is none; lists the names.
  """
  given, colon, argument = name.partition(":")
  path = pathlib.Path(given)
  if path.is_file():
    return name
  if path.parent in (pathlib.Path(), pathlib.Path("configs")):
    own = _folder() / path.with_suffix(".py").name
    if path.suffix in ("", ".py") and path.name and own.is_file():
      return f"{own}{colon}{argument}"
  raise errors.UsageError(
    f"no configuration {given!r}",
    expected="the path of a file, or one of " + ", ".join(names()),
  )


def short_name(name: str) -> str:
  """A configuration's name as a file name: `signllm-gsl-1b`."""
  path, _, argument = name.partition(":")
  words = "-".join(filter(None, [pathlib.Path(path).stem, argument]))
  return re.sub(r"[^\w.-]+", "-", words).strip("-.") or "run"


def load(name: str) -> config_lib.Experiment:
  """The experiment of a configuration.

  Args:
    name: as `find` takes it.

  Raises:
    UsageError: there is no such configuration, or its argument is wrong.
    DataError: the file is not a configuration.
  """
  path, _, argument = find(name).partition(":")
  spec = importlib.util.spec_from_file_location("signllm_configuration", path)
  if spec is None or spec.loader is None:
    raise errors.DataError("not a Python file", path=path)
  module = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(module)
  get_config = getattr(module, "get_config", None)
  if get_config is None:
    raise errors.DataError("no function get_config", path=path)
  experiment = get_config(argument) if argument else get_config()
  if not isinstance(experiment, config_lib.Experiment):
    raise errors.DataError(
      f"get_config returns {type(experiment).__name__}",
      path=path,
      expected="signllm_jax.config.Experiment",
    )
  return experiment


def _check_field(name: str, fields: Mapping[str, Any]) -> None:
  """Refuses a field that the configuration does not have."""
  if fields and name not in fields:
    close = difflib.get_close_matches(name, fields, n=3, cutoff=0.5)
    raise errors.UsageError(
      f"no field --config.{name}",
      expected=" or ".join(f"--config.{each}" for each in close)
      or "a field of signllm_jax/config.py",
    )


def command_line() -> list[str]:
  """`sys.argv` with the value of --config as the path of its file.

  Says on stderr why the configuration cannot be loaded, and exits.
  """
  arguments, after_flag = [], False
  fields: dict[str, Any] = {}  # of the configuration, once it is named
  try:
    for argument in sys.argv:
      match = re.fullmatch(r"(--?config=)(.+)", argument, re.DOTALL)
      if after_flag or match:
        flag, value = match.groups() if match else ("", argument)
        path = find(value)
        # Flags would show the stack of an error.
        fields = config_lib.flatten(load(path))
        argument = flag + path
      elif field := re.match(r"--?(?:no)?config\.([^=]+)", argument):
        _check_field(field[1], fields)
      arguments.append(argument)
      after_flag = argument in ("--config", "-config")
  except errors.SignLLMError as error:
    print(f"error: {error}", file=sys.stderr)
    sys.exit(error.exit_code)
  return arguments

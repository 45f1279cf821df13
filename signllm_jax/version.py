"""The version of this package."""

import importlib.metadata
import pathlib
import tomllib

_PROJECT = "signllm-jax"


def read() -> str:
  """The installed version, or that of the clone with `+source`.

  Raises:
    RuntimeError: neither is there.
  """
  try:
    return importlib.metadata.version(_PROJECT)
  except importlib.metadata.PackageNotFoundError:
    path = pathlib.Path(__file__).parents[1] / "pyproject.toml"
    if not path.is_file():
      raise RuntimeError(
        f"{_PROJECT} is neither installed nor run from a clone: its version "
        "is unknown"
      ) from None
    project = tomllib.loads(path.read_text(encoding="utf-8"))["project"]
    return f"{project['version']}+source"

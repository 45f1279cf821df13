"""Keeps compiled programs on disk between processes."""

import os
import pathlib

import jax


def enable() -> None:
  """Turns on JAX's compilation cache, in the user's cache folder.

  JAX_COMPILATION_CACHE_DIR, where it is set, names another folder.
  """
  home = os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")
  folder = os.environ.get(
    "JAX_COMPILATION_CACHE_DIR", os.fspath(pathlib.Path(home, "signllm_jax"))
  )
  jax.config.update("jax_compilation_cache_dir", folder)

"""Packages of launch/beam.lock over those of requirements.lock.

Apache Beam needs other versions of some packages than the project's lock has.
They are installed once into a folder of the cache, which precedes the
environment of the tests in a process of its own.
"""

import fcntl
import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import sys

import pytest
from helpers.paths import ROOT

LOCK = ROOT / "launch" / "beam.lock"


def entries(path: pathlib.Path) -> dict[str, str]:
  """The text of each requirement of a lock by `name==version`."""
  text = re.sub(r"^\s*#.*\n", "", path.read_text(), flags=re.MULTILINE)
  found = re.findall(
    r"^[\w.-]+==\S+.*\\\n(?:\s+--hash.*\n)+", text, re.MULTILINE
  )
  return {each.split()[0]: each for each in found}


@pytest.fixture(scope="session")
def beam_environment() -> dict[str, str]:
  """The environment of a process that has Apache Beam and the project."""
  here = set(entries(ROOT / "requirements.lock"))
  other = "".join(
    text for pin, text in sorted(entries(LOCK).items()) if pin not in here
  )
  home = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
  name = f"beam-{hashlib.sha256(other.encode()).hexdigest()[:16]}"
  folder = pathlib.Path(home, "signllm_jax_tests", name)
  folder.parent.mkdir(parents=True, exist_ok=True)
  with open(f"{folder}.lock", "w") as lock:
    fcntl.flock(lock, fcntl.LOCK_EX)  # of tests in several processes
    if not folder.exists():
      _install(other, folder)
  programs = str(pathlib.Path(sys.executable).parent)  # a pool starts `python`
  return {
    **os.environ,
    "PATH": os.pathsep.join([programs, os.environ["PATH"]]),
    "PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)]),
    "JAX_PLATFORMS": "cpu",
  }


def _install(lock: str, folder: pathlib.Path) -> None:
  new = folder.with_name(f"{folder.name}.new")
  shutil.rmtree(new, ignore_errors=True)
  new.mkdir()
  (new / "beam.lock").write_text(lock)
  command = [
    *(sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"),
    *("--no-compile", "--require-hashes", "--target", str(new)),
  ]
  subprocess.run([*command, "-r", str(new / "beam.lock")], check=True)
  new.rename(folder)

"""Eight simulated devices, and compiled programs that are kept.

Compilation is most of what the tests take. All processes share one folder of
compiled programs, also those of a later run; after a week a program is compiled
again. An empty folder given as XDG_CACHE_HOME measures a first run.
"""

import gc
import hashlib
import os
import pathlib
import platform
import time

import jax
import jaxlib
from jax._src import lru_cache

_WEEK = 7 * 24 * 3600
_MOST_MAPPINGS = 20_000  # of memory, a process
# Folders whose tests compile models or build data sets for most of their time.
_LONG = (
  "api",
  "data_pipeline/building",
  "data_pipeline/cli",
  "data_pipeline/fingerspelling",
  "data_pipeline/lifting",
  "data_pipeline/prompt2sign",
  "doors",
  "evaluation",
  "inference",
  "losses",
  "models",
  "parallel",
  "rl",
  "runs",
  "tasks",
  "training",
  "web",
)


def _machine() -> str:
  """Names the processor: programs are compiled for its instructions."""
  try:
    lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
  except OSError:
    lines = []
  features = [x for x in lines if x.startswith(("model name", "flags"))]
  text = f"{platform.machine()} {platform.processor()} {features[:2]}"
  return hashlib.sha256(text.encode()).hexdigest()[:8]


def _cache_folder() -> pathlib.Path:
  home = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
  version = f"{jax.__version__}-{jaxlib.__version__}-{_machine()}"
  return pathlib.Path(home, "signllm_jax_tests", version)


def _put_whole(self, key: str, value: bytes) -> None:
  """Adds a program under its name when all of it is written.

  JAX writes in place: another process would read half a program, and so would
  every later run after a kill.
  """
  path = self.path / f"{key}-cache"
  part = self.path / f"{key}.{os.getpid()}.part"
  part.write_bytes(value)
  part.replace(path)


_cache = _cache_folder()
_cache.mkdir(parents=True, exist_ok=True)
lru_cache.LRUCache.put = _put_whole
jax.config.update("jax_compilation_cache_dir", os.fspath(_cache))
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
jax.config.update("jax_num_cpu_devices", 8)
# Subprocesses read programs and write none: they would write in place.
os.environ["JAX_COMPILATION_CACHE_DIR"] = os.fspath(_cache)
os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "1e9"


def pytest_itemcollected(item) -> None:
  """Marks the tests that `launch/test.sh --quick` leaves out."""
  folder = item.path.parent.relative_to(pathlib.Path(__file__).parent)
  if any(folder.is_relative_to(name) for name in _LONG):
    item.add_marker("long")


def pytest_runtest_teardown(item, nextitem) -> None:
  """Drops compiled programs between modules before they are too many.

  A program takes dozens of memory mappings, and Linux gives a process 65,530:
  XLA's compiler crashes without another. They come back from the folder.
  """
  ends = nextitem is None or nextitem.path != item.path
  maps = pathlib.Path("/proc/self/maps")
  if ends and maps.exists():
    with maps.open() as lines:
      if sum(1 for _ in lines) > _MOST_MAPPINGS:
        jax.clear_caches()
        gc.collect()


def pytest_configure(config) -> None:
  """Deletes old programs, once a run."""
  if hasattr(config, "workerinput"):  # a worker of pytest-xdist
    return
  for path in _cache.iterdir():
    if time.time() - path.stat().st_mtime > _WEEK:
      path.unlink(missing_ok=True)

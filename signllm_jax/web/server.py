"""Runs the server of a trained model until a signal stops it."""

import contextlib
import os
import pathlib
import signal
import socket
import sys
import threading
from collections.abc import Iterator, Sequence

import uvicorn
from starlette.types import ASGIApp

from signllm_jax import config as config_lib
from signllm_jax.core import errors
from signllm_jax.parallel import compilation_cache
from signllm_jax.runs import restore
from signllm_jax.web import app, engine, limits, metrics, protocol

DRAIN_SECONDS = 3  # for responses under way after SIGTERM
STOP_SECONDS = 0.5  # for the model's thread after that


def serve(
  path: str | os.PathLike,
  *,
  compare: str | os.PathLike | None = None,
  host: str = "127.0.0.1",
  port: int = 8000,
  allow_hosts: Sequence[str] = (),
  allow_origins: Sequence[str] = (),
  waiting: int = 64,
) -> None:
  """Serves until SIGTERM or SIGINT.

  Args:
    path: work directory of a run, or a model file.
    compare: another one, shown beside it.
    host: address to listen on.
    port: 0 takes a free one; it is printed.
    allow_hosts: further names the server may be asked by.
    allow_origins: other sites whose pages may use the API and `/embed`.
    waiting: requests that are answered at a time; more get 503.

  Raises:
    UsageError: no such model, no origin, or the address cannot be bound.
    DataError: the model is damaged.
    StorageError: every checkpoint is damaged.
  """
  if waiting < 1:
    raise errors.UsageError(f"--queue={waiting}", expected="at least 1")
  origins = [limits.parse_origin(each) for each in allow_origins]
  paths = [path] if compare is None else [path, compare]
  # Faults are reported before the seconds that loading takes.
  configs = [restore.describe(each).config for each in paths]
  with _bind(host, port) as listening:
    compilation_cache.enable()
    counters = metrics.Metrics()
    engines = _load_engines(paths, configs, counters)
    site = app.Site(
      engines,
      counters,
      hosts={*limits.LOCAL, host, *allow_hosts},
      origins=origins,
      slots=waiting,
    )
    for each in engines:
      each.start()
    server = _uvicorn_server(site.app)
    listening.listen()  # clients may connect as soon as they read the next line
    shown = f"[{host}]" if ":" in host else host
    print(
      f"serving http://{shown}:{listening.getsockname()[1]} (Ctrl-C ends)",
      flush=True,
    )
    with _ignored_signals():
      server.run(sockets=[listening])
  stopped = [each.stop(STOP_SECONDS) for each in engines]
  if not all([*stopped, site.stop()]):
    # A compiled call cannot be interrupted, and Python's own exit would wait
    # for it or crash under it. All responses have been sent.
    sys.stdout.flush()
    os._exit(0)


def _load_engines(
  paths: Sequence[str | os.PathLike],
  configs: Sequence[config_lib.Experiment],
  counters: metrics.Metrics,
) -> list[engine.Engine]:
  """Loads each model in each of its languages."""
  turn = threading.Lock()
  return [
    engine.Engine(path, name, settings, counters, turn)
    for path, name, config in zip(paths, _names(paths), configs, strict=True)
    for settings in config_lib.corpora(config)
  ]


def _names(paths: Sequence[str | os.PathLike]) -> list[str]:
  names = [pathlib.Path(os.path.abspath(path)).name for path in paths]
  if len(set(names)) < len(names):
    names[1] += " (2)"
  return names


def _uvicorn_server(application: ASGIApp) -> uvicorn.Server:
  return uvicorn.Server(
    uvicorn.Config(
      application,
      http=protocol.Protocol,
      ws="none",
      lifespan="off",
      log_config=None,
      log_level="error",  # faults of clients are not logged
      access_log=False,
      server_header=False,
      proxy_headers=False,
      timeout_keep_alive=5,
      timeout_graceful_shutdown=DRAIN_SECONDS,
    )
  )


def _bind(host: str, port: int) -> socket.socket:
  """A bound socket that does not listen before the model is loaded."""
  family = socket.AF_INET6 if ":" in host else socket.AF_INET
  bound = socket.socket(family)
  try:
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.bind((host, port))
  except (OSError, OverflowError) as error:
    bound.close()
    raise errors.UsageError(
      f"cannot listen on {host} port {port}: {error}",
      hint="Choose another --port, or 0 for any that is free",
    ) from error
  return bound


@contextlib.contextmanager
def _ignored_signals() -> Iterator[None]:
  """Ignores the signals that uvicorn raises again when it has stopped."""
  numbers = (signal.SIGTERM, signal.SIGINT)
  before = [signal.signal(number, lambda *_: None) for number in numbers]
  try:
    yield
  finally:
    for number, handler in zip(numbers, before, strict=True):
      signal.signal(number, handler)

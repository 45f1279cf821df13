"""Serves a trained model: `python -m signllm_jax.serve --workdir=...`.

A page to type into and to watch, and an API for programs. Only this machine can
reach it unless `--host` says otherwise.
"""

import argparse
import contextlib
import os
import pathlib
import signal
import socket
import sys
import threading
from collections.abc import Iterator, Sequence

from signllm_jax import config as config_lib
from signllm_jax.core import errors, extras
from signllm_jax.parallel import compilation_cache
from signllm_jax.runs import restore

try:
  import uvicorn

  from signllm_jax.web import app, engine, limits, metrics, protocol
except ModuleNotFoundError as missing:
  if (missing.name or "").startswith("signllm_jax"):
    raise
  refusal = extras.not_installed("the page is served", missing.name, "serve")
  sys.exit(f"error: {refusal}")

DRAIN = 3  # seconds for answers under way after SIGTERM
STOP = 0.5  # seconds for the model's thread after that

EXAMPLES = """\
examples:
  python -m signllm_jax.serve --workdir=runs/quickstart
  python -m signllm_jax.serve --workdir=runs/new --compare=runs/old
  python -m signllm_jax.serve --workdir=runs/gsl --host=0.0.0.0 \\
      --allow-host=signs.example.org

exit codes: 0 stopped by SIGTERM or Ctrl-C, answers under way sent; 1 wrong
request; 2 wrong option; 65 fault in the data; 74 fault in storage
"""


def serve(
  path: str | os.PathLike,
  *,
  compare: str | os.PathLike | None = None,
  host: str = "127.0.0.1",
  port: int = 8000,
  allow_hosts: Sequence[str] = (),
  waiting: int = 64,
) -> None:
  """Serves until SIGTERM or SIGINT.

  Args:
    path: work directory of a run, or a model file.
    compare: another one, shown beside it.
    host: address to listen on.
    port: 0 takes a free one; it is printed.
    allow_hosts: further names the server may be asked by.
    waiting: requests that are answered at a time; more get 503.

  Raises:
    UsageError: no such model, or the address cannot be had.
    DataError: it is damaged.
    StorageError: every checkpoint is damaged.
  """
  if waiting < 1:
    raise errors.UsageError(f"--queue={waiting}", expected="at least 1")
  paths = [path] if compare is None else [path, compare]
  # Before the seconds that loading takes.
  configs = [restore.describe(each).config for each in paths]
  with _bind(host, port) as listening:
    compilation_cache.enable()
    counters = metrics.Metrics()
    turn = threading.Lock()
    engines = [
      engine.Engine(each, name, settings, counters, turn)
      for each, name, config in zip(paths, _names(paths), configs, strict=True)
      for settings in config_lib.corpora(config)
    ]
    site = app.Site(
      engines,
      counters,
      hosts={*limits.LOCAL, host, *allow_hosts},
      slots=waiting,
    )
    for each in engines:
      each.start()
    server = uvicorn.Server(
      uvicorn.Config(
        site.app,
        http=protocol.Protocol,
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="error",  # clients' faults are no news
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=5,
        timeout_graceful_shutdown=DRAIN,
        h11_max_incomplete_event_size=protocol.MAX_HEADERS,
      )
    )
    listening.listen()  # who reads the next line may connect
    shown = f"[{host}]" if ":" in host else host
    print(
      f"serving http://{shown}:{listening.getsockname()[1]} (Ctrl-C ends)",
      flush=True,
    )
    with _signals_end_quietly():
      server.run(sockets=[listening])
  stopped = [each.stop(STOP) for each in engines]
  if not all([*stopped, site.stop()]):
    # A compiled call cannot be interrupted, and Python's own end would wait
    # for it or crash under it. Everybody has been answered.
    sys.stdout.flush()
    os._exit(0)


def _bind(host: str, port: int) -> socket.socket:
  """A socket that does not listen yet: nobody is to wait for the model."""
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


def _names(paths: Sequence[str | os.PathLike]) -> list[str]:
  names = [pathlib.Path(os.path.abspath(path)).name for path in paths]
  if len(set(names)) < len(names):
    names[1] += " (2)"
  return names


@contextlib.contextmanager
def _signals_end_quietly() -> Iterator[None]:
  """Signals that uvicorn raises again when it is done end nothing."""
  numbers = (signal.SIGTERM, signal.SIGINT)
  before = [signal.signal(number, lambda *_: None) for number in numbers]
  try:
    yield
  finally:
    for number, handler in zip(numbers, before, strict=True):
      signal.signal(number, handler)


def main(arguments: Sequence[str] | None = None) -> int:
  """The command; returns the exit code."""
  args = _parser().parse_args(arguments)
  return errors.exit_code_of(
    lambda: serve(
      args.workdir,
      compare=args.compare,
      host=args.host,
      port=args.port,
      allow_hosts=args.allow_host,
      waiting=args.queue,
    )
  )


def _parser() -> argparse.ArgumentParser:
  parser = argparse.ArgumentParser(
    prog="python -m signllm_jax.serve",
    description="Serves a trained model: a page to watch, an API for programs.",
    epilog=EXAMPLES,
    formatter_class=argparse.RawDescriptionHelpFormatter,
    allow_abbrev=False,
  )
  add = parser.add_argument
  add(
    "--workdir",
    "--model",
    required=True,
    help="work directory of a training run, or a model file",
  )
  add("--compare", help="another one, shown beside it")
  add("--host", default="127.0.0.1", help="address to listen on (127.0.0.1)")
  add("--port", type=int, default=8000, help="0 takes a free one (8000)")
  add(
    "--allow-host",
    action="append",
    default=[],
    metavar="NAME",
    help="further name that requests may ask for; may be repeated",
  )
  add(
    "--queue",
    type=int,
    default=64,
    help="requests answered at a time; more get 503 (64)",
  )
  return parser


if __name__ == "__main__":
  sys.exit(main())

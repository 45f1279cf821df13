"""Serves a trained model: `python -m signllm_jax.serve --workdir=...`.

A page to type into and to watch, and an API for programs. Only this machine can
reach it unless `--host` says otherwise.
"""

import argparse
import sys
from collections.abc import Sequence

from signllm_jax.core import errors, extras

try:
  from signllm_jax.web import server
except ModuleNotFoundError as missing:
  if (missing.name or "").startswith("signllm_jax"):
    raise
  refusal = extras.not_installed("the page is served", missing.name, "serve")
  sys.exit(f"error: {refusal}")

EXAMPLES = """\
examples:
  python -m signllm_jax.serve --workdir=runs/quickstart
  python -m signllm_jax.serve --workdir=runs/new --compare=runs/old
  python -m signllm_jax.serve --workdir=runs/gsl --host=0.0.0.0 \\
      --allow-host=signs.example.org

exit codes: 0 stopped by SIGTERM or Ctrl-C, responses under way sent; 1 wrong
request; 2 wrong option; 65 fault in the data; 74 fault in storage
"""


def main(arguments: Sequence[str] | None = None) -> int:
  """Runs the command; returns the exit code."""
  args = _parser().parse_args(arguments)
  return errors.exit_code_of(
    lambda: server.serve(
      args.workdir,
      compare=args.compare,
      host=args.host,
      port=args.port,
      allow_hosts=args.allow_host,
      allow_origins=args.allow_origin,
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
  add("--compare", help="another model, shown beside it")
  add("--host", default="127.0.0.1", help="address to listen on (127.0.0.1)")
  add("--port", type=int, default=8000, help="0 takes a free one (8000)")
  add(
    "--allow-host",
    "--allow_host",
    action="append",
    default=[],
    metavar="NAME",
    help="further name that requests may ask for; may be repeated",
  )
  add(
    "--allow_origin",
    "--allow-origin",
    action="append",
    default=[],
    metavar="ORIGIN",
    help="site whose pages may use the API and embed /embed, such as "
    "http://localhost:5173; may be repeated",
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

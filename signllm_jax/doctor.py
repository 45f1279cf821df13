"""Checks a machine before training: `python -m signllm_jax.doctor`.

Checks versions, devices, data, disk, clocks and the address of the coordinator;
says what is wrong and what to do about it. Nothing is trained.
"""

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence

import jax

from signllm_jax.core import errors
from signllm_jax.parallel import processes
from signllm_jax.runs import environment_checks

EPILOG = """\
examples:
  python -m signllm_jax.doctor
  python -m signllm_jax.doctor --data=data/prompt2sign/gsl/1.0.0 \\
      --workdir=runs/gsl
  python -m signllm_jax.doctor --distributed=auto      (on all hosts at once)
  python -m signllm_jax.doctor --coordinator=10.0.0.2:47321 --dry-run

exit codes, of the first fault: 0 no fault; 1 versions, devices or a wrong
request; 65 data; 74 disk, clock or network
"""


def examine(checks: Mapping[str, Callable[[], str]]) -> int:
  """Runs all checks, a line each; returns the exit code of the first fault."""
  code = 0
  for name, check in checks.items():
    try:
      print(f"ok     {name:12} {check()}", flush=True)
    except errors.SignLLMError as error:
      print(f"FAULT  {name:12} {error}", flush=True)
      code = code or error.exit_code
  return code


def main(arguments: Sequence[str] | None = None) -> int:
  """Runs the command and returns its exit code."""
  args = _parser().parse_args(arguments)

  def data() -> str:
    return environment_checks.check_data(
      args.data, args.hosts or jax.process_count()
    )

  checks: dict[str, Callable[[], str]] = {
    "versions": environment_checks.check_versions,
    "devices": environment_checks.check_devices,
    "disk": lambda: environment_checks.check_disk(args.workdir, args.need_gb),
    "clock": lambda: environment_checks.check_clock(args.workdir),
  } | ({"data": data} if args.data else {})
  if args.coordinator:
    checks["coordinator"] = lambda: environment_checks.check_coordinator(
      args.coordinator
    )
  if args.dry_run:
    print("\n".join(checks))
    return 0
  try:
    processes.start(args.distributed)
  except errors.SignLLMError as error:
    print(f"FAULT  {'processes':12} {error}")
    return error.exit_code
  return examine(checks)


def _parser() -> argparse.ArgumentParser:
  parser = argparse.ArgumentParser(
    prog="python -m signllm_jax.doctor",
    description=__doc__,
    epilog=EPILOG,
    formatter_class=argparse.RawDescriptionHelpFormatter,
  )
  add = parser.add_argument
  add("--data", help="folder of records whose shards are checked")
  add(
    "--hosts", type=int, help="hosts that will read them (default: processes)"
  )
  add(
    "--workdir", default=".", help="work directory of the run (default: here)"
  )
  add(
    "--need-gb",
    type=float,
    default=5.0,
    help="GiB that must be free (default 5)",
  )
  add("--coordinator", help="HOST:PORT that must answer")
  add(
    "--distributed",
    choices=processes.MODES,
    default="off",
    help="auto: check all processes of a run together",
  )
  add(
    "--dry-run",
    action="store_true",
    help="list the checks without running them",
  )
  return parser


if __name__ == "__main__":
  sys.exit(main())

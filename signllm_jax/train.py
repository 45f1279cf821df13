"""Trains a model: `python -m signllm_jax.train --config=quickstart`.

A run resumes from its work directory by itself, bit for bit. SIGTERM or Ctrl-C
saves the current step and exits with 42. Exit codes: 0 done, 1 a mistake in the
call, 42 stopped and saved, 65 bad data, 66 not finite, 74 input/output.

  --config=quickstart           by name, or the path of a file; an argument
                                follows a colon: --config=signllm:gsl-1b
  --workdir=FOLDER              checkpoints and reports; without it
                                runs/quickstart. Without --config, the run that
                                is there goes on
  --config.data.folder=FOLDER   a built data set, or train.skels + train.text
  --config.model.width=128      any field of the configuration
  --distributed=auto            one of several processes (launch/README.md)
  --init=FOLDER                 a new run starts from the weights of a trained
                                one, its work directory or model file, where
                                names and shapes agree; vocabularies by token
  --profile=100:110             writes a trace of these ten steps, for xprof,
                                into profile/ of the work directory
  --stall_limit=3600            seconds without a step, or without a batch of an
                                evaluation, after which a training that hangs
                                prints all stacks and ends with 74; 0: never
  --dry-run                     prints what would be trained, and the memory it
                                takes a device, and stops
  --dry-run --devices=64        the same on so many simulated devices
  --dry-run --devices=64 --memory=16
                                which mesh of them the run fits on, with 16 GiB
                                each
"""

import sys
import traceback
from typing import Any

import jax
from absl import app, flags, logging
from ml_collections import config_flags

from signllm_jax import config as config_lib
from signllm_jax import config_files
from signllm_jax.core import errors
from signllm_jax.parallel import processes
from signllm_jax.runs import stored_config, workdir
from signllm_jax.training import (
  device_memory,
  loop,
  mesh_planner,
  profiler,
  start,
)

_CONFIG = config_flags.DEFINE_config_file(
  "config", None, "Experiment: a name or a file; fields can be set."
)
_WORKDIR = flags.DEFINE_string(
  "workdir",
  None,
  "Folder of checkpoints, TensorBoard events and the report; without it runs/ "
  "and the name of the configuration.",
)
_DRY_RUN = flags.DEFINE_bool(
  "dry-run", False, "Print configuration, sizes and shapes, then stop."
)
_DEVICES = flags.DEFINE_integer(
  "devices",
  0,
  "With --dry-run: simulate so many devices on the CPU.",
  lower_bound=0,
)
_MEMORY = flags.DEFINE_float(
  "memory",
  0.0,
  "With --dry-run: find a mesh on which a device needs at most so many GiB.",
  lower_bound=0.0,
)
_DISTRIBUTED = flags.DEFINE_enum(
  "distributed",
  "off",
  processes.MODES,
  "auto: this is one of several processes, as the environment says.",
)
_HEARTBEAT = flags.DEFINE_integer(
  "heartbeat",
  processes.HEARTBEAT_S,
  "Seconds after which a silent process is taken for lost.",
  lower_bound=2,
)

_STALL_LIMIT = flags.DEFINE_integer(
  "stall_limit",
  3600,
  "Seconds without a step after which a hanging training ends; 0: never.",
  lower_bound=0,
)
_INIT = flags.DEFINE_string(
  "init",
  "",
  "Work directory or model file whose weights a new run starts from.",
)
_PROFILE = flags.DEFINE_string(
  "profile",
  None,
  "START:STOP: write a trace of the steps from START up to STOP, for xprof.",
)


def train(
  config: config_lib.Experiment,
  path: str,
  dry_run: bool,
  memory: float = 0,
  profile: str | None = None,
  init: str = "",
  stall_limit: float = 0,
) -> int:
  """Trains, or describes what would be trained; returns the exit code.

  Args:
    config: the run.
    path: its work directory; with `dry_run` may be empty for none.
    dry_run: whether to describe.
    memory: GiB of a device: describe on which mesh it fits.
    profile: steps to trace, as of `profiler.parse`.
    init: work directory or model file whose weights it starts from, or empty.
    stall_limit: seconds without a step after which the process ends; 0 never.

  Raises:
    SignLLMError: as `loop.train`; `init` beside `memory`.
  """
  profiled = profiler.parse(profile, config.steps) if profile else None
  if not dry_run:
    return loop.train(config, path, profiled, init, stall_limit)
  if memory:
    if init:
      raise errors.UsageError(
        f"--init={init} beside --memory",
        hint="It changes no size",
      )
    mesh_planner.describe(config, memory, path)
    return 0
  prepared = start.prepare(config, path, init)
  print(stored_config.to_json(config), prepared.describe(), sep="\n")
  print(prepared.run.describe_parameters())
  print(device_memory.describe(prepared.run))
  return 0


def _work_directory() -> str:
  """The value of --workdir, or runs/ and the name of the configuration.

  Raises:
    UsageError: neither is given.
  """
  if _WORKDIR.value:
    return _WORKDIR.value
  if _CONFIG.value is None:
    raise errors.UsageError(
      "neither --config nor --workdir is given",
      expected="--config=NAME for a new run, or --workdir=FOLDER to go on with "
      "one",
      hint="Configurations: " + ", ".join(config_files.names()),
    )
  flag: Any = flags.FLAGS["config"]  # of a class that ml_collections hides
  path = f"runs/{config_files.short_name(flag.config_filename)}"
  if jax.process_index() == 0:
    print(f"work directory: {path} (--workdir names another)", flush=True)
  return path


def main(argv: list[str]) -> None:
  """The command."""
  logging.set_verbosity(logging.WARNING)  # Orbax tells every file it writes
  try:
    if len(argv) > 1:
      raise errors.UsageError(f"unknown arguments {argv[1:]}")
    if _MEMORY.value and not _DRY_RUN.value:
      raise errors.UsageError(f"--memory={_MEMORY.value:g} without --dry-run")
    if _DEVICES.value:
      if not _DRY_RUN.value:
        raise errors.UsageError(
          f"--devices={_DEVICES.value} without --dry-run",
          hint="Training takes the devices there are",
        )
      jax.config.update("jax_platforms", "cpu")
      jax.config.update("jax_num_cpu_devices", _DEVICES.value)
    processes.start(_DISTRIBUTED.value, _HEARTBEAT.value)
    path = _work_directory()
    config = _CONFIG.value or workdir.read_config(path)
    code = train(
      config,
      path,
      _DRY_RUN.value,
      _MEMORY.value,
      _PROFILE.value,
      _INIT.value,
      _STALL_LIMIT.value,
    )
  except errors.SignLLMError as error:
    print(f"error: {error}", file=sys.stderr)
    processes.leave(error.exit_code)
  except jax.errors.JaxRuntimeError as error:
    if not processes.is_lost(error):
      raise
    traceback.print_exc()
    print("error: another process of this run is gone", file=sys.stderr)
    processes.leave(errors.StorageError.exit_code)
  sys.exit(code)


if __name__ == "__main__":
  app.run(main, argv=config_files.command_line())

"""The command line of the data pipeline: `python -m data_pipeline STAGE`."""

import argparse
import signal
import sys
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import tensorflow_datasets as tfds
from absl import logging

from data_pipeline.cli import arguments, commands, help_texts
from signllm_jax.core import errors, skeleton
from signllm_jax.formats import registry


def main(argv: Sequence[str] | None = None) -> int:
  """Runs a stage and returns the exit code."""
  logging.set_verbosity(logging.ERROR)  # tfds warns of any new frame rate
  tfds.disable_progress_bar()  # a stage shows its own, if it takes long
  before = signal.signal(signal.SIGTERM, signal.default_int_handler)
  try:
    args = _parser().parse_args(argv)
    args.run(args)
  except errors.SignLLMError as error:
    print(f"error: {error}", file=sys.stderr)
    return error.exit_code
  except KeyboardInterrupt:
    print("stopped; the same command goes on", file=sys.stderr)
    return errors.EXIT_INTERRUPTED
  finally:
    signal.signal(signal.SIGTERM, before)
  return 0


class _Parser(argparse.ArgumentParser):
  """Reports wrong arguments as a UsageError, with its exit code."""

  def error(self, message: str) -> NoReturn:
    """Raises a UsageError."""
    raise errors.UsageError(message, hint=f"See {self.prog} --help")


def _parser() -> argparse.ArgumentParser:
  parser = _Parser(
    prog="python -m data_pipeline",
    description="Raw keypoints in, training records out. One stage a command.",
    epilog="`python -m data_pipeline STAGE --help` explains a stage.",
  )
  stages = parser.add_subparsers(title="stages", metavar="STAGE", required=True)
  for add_stage in (
    _add_extract,
    _add_lift,
    _add_skels,
    _add_prompts,
    _add_build,
    _add_verify,
    _add_report,
    _add_convert,
  ):
    add_stage(stages)
  return parser


def _add_stage(
  stages: Any,  # argparse keeps the type to itself
  name: str,
  run: Callable[[argparse.Namespace], None],
  *,
  summary: str,
  description: str,
  input: str,
  output: str = "",
  input_required: bool = True,
  dry_run: bool = True,
  epilog: str = "",
) -> argparse.ArgumentParser:
  """Adds a stage with its --input, --output and --dry-run.

  Args:
    stages: the subparsers of the command line.
    name: of the stage.
    run: called with the parsed arguments.
    summary: its line in the list of stages.
    description: the text of its --help.
    input: help of --input.
    output: help of --output; empty if it writes nothing.
    input_required: whether --input is.
    dry_run: whether it has --dry-run.
    epilog: follows the arguments in its --help, before the exit codes.
  """
  stage = stages.add_parser(
    name,
    help=summary,
    description=description,
    epilog=f"{epilog}\n{help_texts.CODES}",
    formatter_class=argparse.RawDescriptionHelpFormatter,
  )
  stage.set_defaults(run=run)
  stage.add_argument(
    "--input", required=input_required, metavar="PATH", help=input
  )
  if output:
    stage.add_argument("--output", required=True, metavar="PATH", help=output)
  if dry_run:
    stage.add_argument(
      "--dry-run",
      action="store_true",
      help="check the request and print what would be done; write nothing",
    )
  return stage


def _add_extract(stages: Any) -> None:
  stage = _add_stage(
    stages,
    "extract",
    commands.extract,
    summary="keypoints of any form -> one .h5",
    description=help_texts.EXTRACT,
    input="file or folder of keypoints",
    output="the .h5 to write",
  )
  arguments.add_rate_and_size(stage)
  arguments.add_workers(stage)
  arguments.add_skeleton(stage)


def _add_lift(stages: Any) -> None:
  stage = _add_stage(
    stages,
    "lift",
    commands.lift,
    summary="keypoints -> clips in 3-D, with their quality",
    description=help_texts.LIFT,
    input="file or folder of keypoints",
    output="folder of the lifted clips",
  )
  arguments.add_rate_and_size(stage)
  arguments.add_workers(stage)
  arguments.add_skeleton(stage)
  arguments.add_lifting(stage)
  stage.add_argument(
    "--stages",
    action="store_true",
    help="also write the five stages as texts, NAME/1.txt to NAME/5.txt",
  )


def _add_skels(stages: Any) -> None:
  stage = _add_stage(
    stages,
    "skels",
    commands.export_skels,
    summary="lifted clips -> .skels, .files, .text and .gloss",
    description=help_texts.SKELS,
    input="folder that `lift` wrote",
    output="folder of the files",
  )
  stage.add_argument("--split", default="train", help="name of the files")
  arguments.add_convention(stage)


def _add_prompts(stages: Any) -> None:
  stage = _add_stage(
    stages,
    "prompts",
    commands.make_prompts,
    summary="sentences -> prompts and glosses",
    description=help_texts.PROMPTS,
    input="a .text file or a folder of .text files",
    output="folder of the .prompt and .gloss files",
  )
  stage.add_argument(
    "--language", required=True, help="code of the sign language, e.g. ASL"
  )
  stage.add_argument(
    "--seed", type=int, default=0, help="seed of the choice of templates"
  )


def _add_build(stages: Any) -> None:
  stage = _add_stage(
    stages,
    "build",
    commands.build_records,
    summary="a data set -> training records (TFRecord or ArrayRecord shards)",
    description=help_texts.BUILD,
    input="folder of the source files",
    output="root folder of all data sets, e.g. data",
    input_required=False,
    epilog=help_texts.EXAMPLES,
  )
  arguments.add_build(stage)


def _add_verify(stages: Any) -> None:
  _add_stage(
    stages,
    "verify",
    commands.check,
    summary="checks counts, checksums and every record of a build",
    description="Checks a build: counts, SHA-256 of every file, every record.",
    input="folder of the records, OUTPUT/NAME/VERSION",
    dry_run=False,
  )


def _add_report(stages: Any) -> None:
  _add_stage(
    stages,
    "report",
    commands.report,
    summary="a build -> its data card, one HTML page",
    description="Shows a build: lengths, what is missing, words, bones, "
    "examples.",
    input="folder of the records, OUTPUT/NAME/VERSION",
    output="the .html to write",
    dry_run=False,
  )


def _add_convert(stages: Any) -> None:
  stage = _add_stage(
    stages,
    "convert",
    commands.convert_file,
    summary="clips of one form -> another",
    description=help_texts.CONVERT,
    input="file or folder of clips",
    output="file or folder to write; its suffix says the form",
    dry_run=False,
  )
  stage.add_argument(
    "--form",
    choices=registry.FOLDER_FORMS,
    default="",
    help="form of an output that is a folder with a file or folder a clip",
  )
  stage.add_argument(
    "--skeleton",
    choices=tuple(skeleton.SKELETONS),
    default="",
    help="of the output, with no joints that the input lacks (default: that "
    "which the input names, else prompt2sign50)",
  )
  arguments.add_convention(stage)
  arguments.add_rate_and_size(stage)

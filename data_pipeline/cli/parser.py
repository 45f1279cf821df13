"""The command line of the data pipeline: `python -m data_pipeline STAGE`."""

import argparse
import os
import re
import signal
import sys
from collections.abc import Callable, Sequence
from typing import NoReturn

import tensorflow_datasets as tfds
from absl import logging

from data_pipeline.building import build_request
from data_pipeline.cli import commands, help_texts
from signllm_jax.core import errors


def main(arguments: Sequence[str] | None = None) -> int:
  """Runs a stage and returns the exit code."""
  logging.set_verbosity(logging.ERROR)  # tfds warns of any new frame rate
  tfds.disable_progress_bar()  # a stage shows its own, if it takes long
  before = signal.signal(signal.SIGTERM, signal.default_int_handler)
  try:
    args = _parser().parse_args(arguments)
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
  """A wrong call is a wrong request like others, with their exit code."""

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

  def add(name, run: Callable, help_, text, given, made, epilog=""):
    stage = stages.add_parser(
      name,
      help=help_,
      description=text,
      epilog=f"{epilog}\n{help_texts.CODES}",
      formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    stage.set_defaults(run=run)
    needed = name != "build"
    stage.add_argument("--input", required=needed, metavar="PATH", help=given)
    if made:
      stage.add_argument("--output", required=True, metavar="PATH", help=made)
    if name not in ("verify", "report", "convert"):
      stage.add_argument(
        "--dry-run",
        action="store_true",
        help="check the request and say what would be done; write nothing",
      )
    return stage

  stage = add(
    "extract",
    commands.extract,
    "keypoints of any form -> one .h5",
    help_texts.EXTRACT,
    "file or folder of keypoints",
    "the .h5 to make",
  )
  _add_rate_and_size(stage)
  _add_workers(stage)
  stage = add(
    "lift",
    commands.lift,
    "keypoints -> clips in 3-D, with their quality",
    help_texts.LIFT,
    "file or folder of keypoints",
    "folder of the lifted clips",
  )
  _add_rate_and_size(stage)
  _add_workers(stage)
  _add_lifting(stage)
  stage.add_argument(
    "--stages",
    action="store_true",
    help="also write the five stages as texts, NAME/1.txt to NAME/5.txt",
  )
  stage = add(
    "skels",
    commands.export_skels,
    "lifted clips -> .skels and the files beside it",
    help_texts.SKELS,
    "folder that `lift` made",
    "folder of the files",
  )
  stage.add_argument("--split", default="train", help="name of the files")
  _add_convention(stage)
  stage = add(
    "prompts",
    commands.make_prompts,
    "sentences -> questions and glosses",
    help_texts.PROMPTS,
    "a .text file or a folder of some",
    "folder of the .prompt and .gloss files",
  )
  stage.add_argument(
    "--language", required=True, help="code of the sign language, e.g. ASL"
  )
  stage.add_argument("--seed", type=int, default=0, help="of the choice")
  _add_build(
    add(
      "build",
      commands.build_records,
      "a data set -> training records (TFRecord or ArrayRecord shards)",
      help_texts.BUILD,
      "folder of the source files",
      "root folder of all data sets, e.g. data",
      help_texts.EXAMPLES,
    )
  )
  add(
    "verify",
    commands.check,
    "counts, checksums and every record of a build",
    "Checks a build: counts, SHA-256 of every file, every record.",
    "folder of the records, OUTPUT/NAME/VERSION",
    None,
  )
  add(
    "report",
    commands.report,
    "a build -> its data card, one HTML page",
    "Shows a build: lengths, what is missing, words, bones, examples.",
    "folder of the records, OUTPUT/NAME/VERSION",
    "the .html to make",
  )
  stage = add(
    "convert",
    commands.convert_file,
    "clips of one form -> another (.h5 .npz .skels .pose .bvh JSON)",
    commands.convert.__doc__,
    "file or folder of clips",
    "what to make; its suffix says the form",
  )
  stage.add_argument(
    "--form",
    choices=("pose", "bvh", "openpose", "dwpose"),
    default="",
    help="of an output that is a folder, a file or folder a clip",
  )
  _add_convention(stage)
  _add_rate_and_size(stage)
  return parser


def _add_rate_and_size(stage: argparse.ArgumentParser) -> None:
  stage.add_argument(
    "--fps",
    type=_rate,
    default=25.0,
    metavar="RATE",
    help="frames a second, where the input does not say (default 25)",
  )
  _add_size(stage)


def _add_size(stage: argparse.ArgumentParser) -> None:
  stage.add_argument(
    "--size",
    type=_size,
    metavar="WxH",
    help="of the picture in pixels, where the input does not say",
  )


def _add_workers(stage: argparse.ArgumentParser) -> None:
  stage.add_argument(
    "--workers",
    type=_positive,
    default=os.cpu_count(),
    metavar="N",
    help="processes that read keypoints (default: one a core)",
  )


def _rate(text: str) -> float:
  if not re.fullmatch(r"\d{1,4}(\.\d{1,6})?", text, re.ASCII) or not float(
    text
  ):
    raise argparse.ArgumentTypeError(f"{text!r}; expected a number above 0")
  return float(text)


def _positive(text: str) -> int:
  if not re.fullmatch(r"[1-9]\d{0,3}", text, re.ASCII):
    raise argparse.ArgumentTypeError(f"{text!r}; expected a number from 1 on")
  return int(text)


def _size(text: str) -> tuple[int, int]:
  match = re.fullmatch(r"([1-9]\d{0,4})x([1-9]\d{0,4})", text, re.ASCII)
  if match is None:
    raise argparse.ArgumentTypeError(f"{text!r}; expected e.g. 1280x720")
  return int(match[1]), int(match[2])


def _add_lifting(stage: argparse.ArgumentParser) -> None:
  stage.add_argument(
    "--mode",
    choices=("fast", "reference"),
    default="fast",
    help="of lifting: fast (default) finds the better optimum; reference is "
    "the published tool",
  )
  stage.add_argument(
    "--policy",
    choices=("keep", "trim", "drop"),
    default="keep",
    help="keep (default) all frames, missing joints marked; trim ends without "
    "a body; or drop clips that fail the quality limits",
  )
  stage.add_argument(
    "--condense",
    default="",
    metavar="HOW",
    help="fewer frames: 1/5 takes every fifth, 12.5fps resamples to that rate",
  )


def _add_convention(stage: argparse.ArgumentParser) -> None:
  stage.add_argument(
    "--convention",
    choices=("prompt2sign", "pt"),
    default="prompt2sign",
    help="of .skels (default prompt2sign)",
  )


def _add_build(stage: argparse.ArgumentParser) -> None:
  stage.add_argument(
    "--dataset",
    required=True,
    metavar="NAME",
    help="data set and configuration, e.g. prompt2sign/gsl",
  )
  stage.add_argument(
    "--file_format",
    choices=build_request.FILE_FORMATS,
    default="tfrecord",
    help="tfrecord (default; writing it needs TensorFlow) or array_record",
  )
  stage.add_argument(
    "--shards",
    type=_positive,
    metavar="N",
    help="files a split (default: by size); for training on many hosts take a "
    "multiple of their number",
  )
  stage.add_argument(
    "--fps",
    type=_rate,
    metavar="RATE",
    help="frames a second: of the source for prompt2sign (default 25), of the "
    "records for fingerspelling (default 12.5); a rate other than the default "
    "is built as a configuration of its own, e.g. prompt2sign/gsl_30fps",
  )
  _add_size(stage)
  _add_lifting(stage)
  _add_workers(stage)
  stage.add_argument(
    "--beam",
    metavar="RUNNER",
    default="",
    help="make the records on Apache Beam, e.g. DirectRunner or FlinkRunner",
  )
  stage.add_argument(
    "--beam_option",
    action="append",
    default=[],
    metavar="OPTION",
    help="option of the runner, as Beam spells it; may be given many times",
  )

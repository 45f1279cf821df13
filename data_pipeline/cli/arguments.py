"""Arguments that several stages of the command line share, and their types."""

import argparse
import os
import re

from data_pipeline.building import build_checks
from signllm_jax.core import limits, skeleton


def add_rate_and_size(stage: argparse.ArgumentParser) -> None:
  """Adds --fps and --size of keypoints."""
  stage.add_argument(
    "--fps",
    type=rate,
    default=25.0,
    metavar="RATE",
    help="frames a second, where the input does not say (default 25)",
  )
  add_size(stage)


def add_size(stage: argparse.ArgumentParser) -> None:
  """Adds --size, the size of the picture."""
  stage.add_argument(
    "--size",
    type=size,
    metavar="WxH",
    help="of the picture in pixels, where the input does not say",
  )


def add_workers(stage: argparse.ArgumentParser) -> None:
  """Adds --workers."""
  stage.add_argument(
    "--workers",
    type=positive,
    default=os.cpu_count(),
    metavar="N",
    help="processes that read keypoints (default: one a core)",
  )


def add_skeleton(stage: argparse.ArgumentParser) -> None:
  """Adds --skeleton of the clips."""
  stage.add_argument(
    "--skeleton",
    choices=tuple(skeleton.SKELETONS),
    default=skeleton.PROMPT2SIGN50.name,
    help="of the clips (default prompt2sign50, which is lifted). dwpose128 and "
    "holistic178 have a face and are taken as they are; dwpose128_lifted has "
    "lifted body and hands, and the face hung on the nose",
  )


def add_lifting(stage: argparse.ArgumentParser) -> None:
  """Adds the options of lifting: --mode, --policy and --condense."""
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


def add_convention(stage: argparse.ArgumentParser) -> None:
  """Adds --convention of .skels files."""
  stage.add_argument(
    "--convention",
    choices=("prompt2sign", "pt"),
    default="prompt2sign",
    help="of .skels (default prompt2sign)",
  )


def add_build(stage: argparse.ArgumentParser) -> None:
  """Adds the arguments of the stage `build`."""
  stage.add_argument(
    "--dataset",
    required=True,
    metavar="NAME",
    help="data set and configuration, e.g. prompt2sign/gsl",
  )
  stage.add_argument(
    "--file_format",
    choices=build_checks.FILE_FORMATS,
    default="tfrecord",
    help="tfrecord (default; writing it needs TensorFlow) or array_record",
  )
  stage.add_argument(
    "--shards",
    type=positive,
    metavar="N",
    help="files a split (default: by size); for training on many hosts take a "
    "multiple of their number",
  )
  stage.add_argument(
    "--fps",
    type=rate,
    metavar="RATE",
    help="frames a second: of the source for prompt2sign (default 25), of the "
    "records for fingerspelling (default 12.5); it stands in the records",
  )
  _add_held_out(stage)
  stage.add_argument(
    "--names",
    metavar="FILE",
    help="texts of signs, of landmark recordings: a line name<TAB>text each "
    "(default: the sign's name)",
  )
  stage.add_argument(
    "--licence",
    metavar="TEXT|FILE",
    help="the terms of the input (default: those of the corpus that is "
    "recognised)",
  )
  add_size(stage)
  add_skeleton(stage)
  add_lifting(stage)
  add_workers(stage)
  stage.add_argument(
    "--beam",
    metavar="RUNNER",
    default="",
    help="read, lift and write on the workers of Apache Beam, e.g. of "
    "DirectRunner, FlinkRunner or DataflowRunner",
  )
  stage.add_argument(
    "--beam_option",
    action="append",
    default=[],
    metavar="OPTION",
    help="option of the runner, as Beam spells it; may be given many times",
  )


def _add_held_out(stage: argparse.ArgumentParser) -> None:
  """Adds --dev, --test and the --seed of their choice."""
  for split in ("dev", "test"):
    stage.add_argument(
      f"--{split}",
      default="",
      metavar="N",
      help=f"set clips of train aside as {split}, where the source has no "
      "such split: a share such as 5%% or a number; of landmark recordings "
      "by sign (default 10%% each, if neither --dev nor --test is given)",
    )
  stage.add_argument(
    "--seed", type=int, default=0, help="of --dev and --test (default 0)"
  )


def rate(text: str) -> float:
  """Type of a frame rate: a decimal number within `limits`."""
  if not re.fullmatch(
    r"\d{1,4}(\.\d{1,6})?", text, re.ASCII
  ) or not limits.is_rate(float(text)):
    raise argparse.ArgumentTypeError(
      f"{text!r}; expected a number above 0: {limits.RATES}"
    )
  return float(text)


def positive(text: str) -> int:
  """Type of a count: a whole number from 1 on."""
  if not re.fullmatch(r"[1-9]\d{0,3}", text, re.ASCII):
    raise argparse.ArgumentTypeError(f"{text!r}; expected a number from 1 on")
  return int(text)


def size(text: str) -> tuple[int, int]:
  """Type of a picture size, width x height in pixels."""
  match = re.fullmatch(r"([1-9]\d{0,4})x([1-9]\d{0,4})", text, re.ASCII)
  if match is None:
    raise argparse.ArgumentTypeError(f"{text!r}; expected e.g. 1280x720")
  return int(match[1]), int(match[2])

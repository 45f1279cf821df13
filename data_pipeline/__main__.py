"""The command line of the data pipeline: `python -m data_pipeline STAGE`."""

import argparse
import sys
from collections.abc import Sequence

import tensorflow_datasets as tfds
from absl import logging

from data_pipeline import build, summary
from signllm_jax import errors

BUILD = """\
Builds the training records of a data set.

The records go to OUTPUT/NAME/VERSION, which training reads by itself. They
appear there only when the build is complete; a build that is there is reused,
never overwritten. At the end every record is read back and counted.

data sets:
  fingerspelling/asl     words spelt with recordings of real letters; no input.
                         Also gsl dsgs tsl asq bzs cse csq eso fsl gss ise lls
                         mfs psr ssp svk swl ukl, by ISO 639-3 from asq on
  prompt2sign/LANGUAGE   your own copy of a corpus, exported to text files:
                         INPUT/train.skels   poses, one clip a line
                         INPUT/train.text    its sentence, same line
                         INPUT/train.gloss   its gloss (if there is one)
                         INPUT/train.files   its name (if there is one)
                         and the same for dev and test, if there are any.
                         LANGUAGE: asl gsl dsgs lsf_ch lis_ch lsa ksl tsl
"""

EXAMPLES = """\
examples:
  python -m data_pipeline build --dataset=fingerspelling/asl --output=data
  python -m data_pipeline build --dataset=prompt2sign/gsl \\
      --input=phoenix14t --output=data --shards=8
  python -m data_pipeline build --dataset=prompt2sign/gsl \\
      --input=phoenix14t --output=data --dry-run

exit codes: 0 done; 1 wrong request; 65 fault in the data; 74 fault in storage
"""


def main(arguments: Sequence[str] | None = None) -> int:
  """Runs a stage and returns the exit code."""
  args = _parser().parse_args(arguments)
  logging.set_verbosity(logging.ERROR)  # tfds warns of any new frame rate
  tfds.disable_progress_bar()  # a data set shows its own, if it takes long
  try:
    args.run(args)
  except errors.SignLLMError as error:
    print(f"error: {error}", file=sys.stderr)
    return error.exit_code
  except KeyboardInterrupt:
    print("interrupted; nothing was kept", file=sys.stderr)
    return 130
  return 0


def _parser() -> argparse.ArgumentParser:
  parser = argparse.ArgumentParser(
    prog="python -m data_pipeline",
    description="Raw keypoints in, training records out. One stage a command.",
    epilog="`python -m data_pipeline STAGE --help` explains a stage.",
  )
  stages = parser.add_subparsers(title="stages", metavar="STAGE", required=True)
  _add_build(stages)
  return parser


def _add_build(stages) -> None:
  stage = stages.add_parser(
    "build",
    help="a data set -> training records (TFRecord or ArrayRecord shards)",
    description=BUILD,
    epilog=EXAMPLES,
    formatter_class=argparse.RawDescriptionHelpFormatter,
  )
  stage.add_argument(
    "--dataset",
    required=True,
    metavar="NAME",
    help="data set and configuration, e.g. prompt2sign/gsl",
  )
  stage.add_argument("--input", help="folder of the source files")
  stage.add_argument(
    "--output", required=True, help="root folder of all data sets, e.g. data"
  )
  stage.add_argument(
    "--file_format",
    choices=build.FILE_FORMATS,
    default="tfrecord",
    help="tfrecord (default; writing it needs TensorFlow) or array_record",
  )
  stage.add_argument(
    "--shards",
    type=int,
    metavar="N",
    help="files a split (default: by size); for training on many hosts take a "
    "multiple of their number",
  )
  stage.add_argument(
    "--fps",
    type=float,
    metavar="RATE",
    help="frames a second: of the source for prompt2sign (default 25), of the "
    "records for fingerspelling (default 12.5); a rate other than the default "
    "is built as a configuration of its own, e.g. prompt2sign/gsl_30fps",
  )
  stage.add_argument(
    "--dry-run",
    action="store_true",
    help="check the request and say what would be done; write nothing",
  )
  stage.set_defaults(run=_build)


def _build(args: argparse.Namespace) -> None:
  request = {
    "input": args.input,
    "file_format": args.file_format,
    "shards": args.shards,
    "fps": args.fps,
  }
  if args.dry_run:
    plan = build.plan(args.dataset, args.output, **request)
    print(f"Licence of {plan.name}: {plan.licence}")
    verb = "is already built in" if plan.exists else "would be built into"
    print(f"{plan.name} {verb} {plan.folder} as {plan.file_format}")
    return
  folder = build.prepare(args.dataset, args.output, **request)
  print(summary.table(summary.summarise(folder)))
  print(f"Records: {folder}")


if __name__ == "__main__":
  sys.exit(main())

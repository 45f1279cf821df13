"""Options of `python -m signllm_jax.evaluate`."""

import argparse

from signllm_jax.core import errors
from signllm_jax.data import datasets
from signllm_jax.evaluation import evaluate_run
from signllm_jax.evaluation.report import bootstrap
from signllm_jax.evaluation.study import kit
from signllm_jax.inference import gloss_flags

MOST_RESAMPLES = 100_000

EXAMPLES = """\
writes report.json, report.md and report.html (one file, with plots and the
worst and best clips) into --out, by default WORKDIR/evaluation/SPLIT. With
--compare it writes comparison.json, .md and .html, by default into
A/evaluation/SPLIT-vs-NAME_OF_B. Poses that others produced go to --out, by
default evaluation/NAME_OF_PRODUCED.

examples:
  python -m signllm_jax.evaluate --workdir=runs/quickstart
  python -m signllm_jax.evaluate --workdir=runs/gsl --split=dev --out=gsl-dev
  python -m signllm_jax.evaluate --compare runs/a runs/b --split=test
  python -m signllm_jax.evaluate --workdir=runs/pt --protocol=pt    (leaky)
  python -m signllm_jax.evaluate --workdir=runs/quickstart \\
      --back_translation=runs/back_translation
  python -m signllm_jax.evaluate --produced=theirs.pt --reference=truth.pt
  python -m signllm_jax.evaluate --produced=made --reference=data/gsl \\
      --split=test --training=data/gsl
  python -m signllm_jax.evaluate --validate_metrics --pairs sentences signs
  python -m signllm_jax.evaluate --workdir=runs/text_to_gloss --split=dev \\
      --ensemble runs/seed1 runs/seed2 --gloss_samples=32
  python -m signllm_jax.evaluate --workdir=runs/gsl --study=study
  python -m signllm_jax.evaluate --study=study --ratings ratings-*.csv

exit codes: 0 done; 1 wrong request; 2 wrong option; 65 fault in the data;
66 the model gives NaN; 74 fault in storage; 130 interrupted
"""


def parser() -> argparse.ArgumentParser:
  """The options of `signllm_jax.evaluate`."""
  options = argparse.ArgumentParser(
    prog="python -m signllm_jax.evaluate",
    description="Scores a trained model, or poses that anybody produced, "
    "beside the truth and the baselines.",
    epilog=EXAMPLES,
    formatter_class=argparse.RawDescriptionHelpFormatter,
    allow_abbrev=False,
  )
  _add_runs(options)
  _add_scores(options)
  _add_files(options)
  _add_validation(options)
  _add_study(options)
  gloss_flags.add(options)
  return options


def _add_runs(options: argparse.ArgumentParser) -> None:
  add = options.add_argument
  add("--workdir", help="work directory of a training run")
  add(
    "--compare",
    nargs=2,
    metavar=("A", "B"),
    help="two work directories, or with --reference two productions: paired "
    "differences on the same sequences",
  )
  add("--language", default="", help="where the model signs several, e.g. ASL")
  add(
    "--split",
    choices=datasets.SPLITS,
    default="test",
    help="of the run's data, or of a data set as --reference (test)",
  )
  add(
    "--protocol",
    choices=evaluate_run.PROTOCOLS,
    default="free",
    help="free running (default), or Progressive Transformers' published "
    "inference, which sees the truth: every line of it says leaky",
  )
  add(
    "--seeds",
    type=int,
    default=1,
    help="passes of a model that samples: mean scores, and intervals over "
    "seeds; the report says where a model is deterministic",
  )


def _add_scores(options: argparse.ArgumentParser) -> None:
  add = options.add_argument
  add(
    "--resamples",
    type=int,
    default=bootstrap.RESAMPLES,
    help=f"of the bootstrap ({bootstrap.RESAMPLES})",
  )
  add(
    "--back_translation",
    metavar="WORKDIR",
    default="",
    help="of a model of pose to text, which reads every row: letter errors, or "
    "BLEU, chrF, ROUGE-L and word errors",
  )
  add("--out", help="folder to write into; it is made")


def _add_files(options: argparse.ArgumentParser) -> None:
  add = options.add_argument
  add(
    "--produced",
    nargs="+",
    default=[],
    metavar="POSES",
    help="poses that anybody produced, of any form: .npz .skels .pt .pose .bvh "
    ".h5, or a folder of them or of JSON; several are samples of each clip",
  )
  add(
    "--reference",
    default="",
    metavar="POSES",
    help="their references, of any form, or a data set (its --split)",
  )
  add(
    "--training",
    default="",
    metavar="POSES",
    help="what the system learnt from, of any form, or a data set (its train "
    "split): the audit then sees copied poses",
  )
  add(
    "--partial",
    action="store_true",
    help="score only the references that have a production",
  )
  add(
    "--fps",
    type=float,
    default=25.0,
    help="frames a second, where a form does not say (25)",
  )
  add(
    "--size",
    default="",
    help="of the picture, where a form does not say, e.g. 1280x720",
  )


def _add_validation(options: argparse.ArgumentParser) -> None:
  add = options.add_argument
  add(
    "--validate_metrics",
    "--validate-metrics",
    action="store_true",
    help="try every metric on real signing: a table of how each ranks "
    "sentences, damage, signs and spelling (docs/metrics.md)",
  )
  add(
    "--pairs",
    nargs="+",
    default=[],
    metavar="FOLDER",
    help="for --validate_metrics: NAME_original.pose beside NAME_updated.pose, "
    "or recordings of signs that people repeat",
  )


def _add_study(options: argparse.ArgumentParser) -> None:
  add = options.add_argument
  add(
    "--study",
    metavar="OUT",
    default="",
    help="write a study for Deaf raters into this folder: study.html, a page "
    "of blinded pairs, and key.json, which raters must not see",
  )
  add(
    "--study_pairs",
    type=int,
    default=kit.PAIRS,
    help=f"pairs of clips of a study ({kit.PAIRS})",
  )
  add(
    "--ratings",
    nargs="+",
    default=[],
    metavar="CSV",
    help="analyse what raters saved: agreement, systems, and the correlation "
    "of each metric with the ratings; --study names the folder with key.json",
  )


def picture_size(text: str) -> tuple[int, int] | None:
  """Width and height of --size; None if it is empty.

  Raises:
    UsageError: it is not of the form 1280x720.
  """
  if not text:
    return None
  width, _, height = text.partition("x")
  if not (width.isdecimal() and height.isdecimal() and len(text) < 12):
    raise errors.UsageError(f"--size={text}", expected="such as 1280x720")
  return int(width), int(height)


def check_task(args: argparse.Namespace, task: str) -> None:
  """Refuses options of glosses for poses, and of poses for glosses.

  Args:
    args: the options, with --workdir.
    task: of its run.

  Raises:
    UsageError: there are any.
  """
  if task != "text_to_gloss":
    if gloss_flags.read(args) != gloss_flags.AS_TRAINED:
      raise errors.UsageError(
        "--ensemble or --gloss_ options",
        path=args.workdir,
        expected="a model of task text_to_gloss",
      )
    return
  defaults = parser().parse_args([])
  for name in ("protocol", "seeds", "back_translation", "study"):
    if (value := getattr(args, name)) != getattr(defaults, name):
      raise errors.UsageError(
        f"--{name}={value} for a model that writes glosses",
        path=args.workdir,
        expected="a model that signs",
      )


def check(args: argparse.Namespace) -> None:
  """Refuses requests that make no sense together.

  Raises:
    UsageError: the options do not go together.
  """
  _check_what(args)
  if args.seeds < 1:
    raise errors.UsageError(f"--seeds={args.seeds}", expected="1 or more")
  if not 1 <= args.resamples <= MOST_RESAMPLES:
    raise errors.UsageError(
      f"--resamples={args.resamples}", expected=f"1 to {MOST_RESAMPLES:,}"
    )


def _check_what(args: argparse.Namespace) -> None:
  if bool(args.validate_metrics) != bool(args.pairs):
    raise errors.UsageError(
      "--pairs without --validate_metrics"
      if args.pairs
      else "--validate_metrics without --pairs",
      expected="both: folders of sentences with twins, or of repeated signs",
    )
  asked = [
    name
    for name, value in (
      ("--workdir", args.workdir),
      ("--compare", args.compare),
      ("--produced", args.produced),
      ("--validate_metrics", args.validate_metrics),
      ("--ratings", args.ratings),
    )
    if value
  ]
  if args.ratings and not args.study:
    raise errors.UsageError("--ratings without --study", expected="its folder")
  if args.study_pairs < 1:
    raise errors.UsageError(
      f"--study_pairs={args.study_pairs}", expected="1 or more"
    )
  if len(asked) != 1:
    raise errors.UsageError(
      "both " + " and ".join(asked) if asked else "nothing to evaluate",
      expected="exactly one of --workdir and --compare, or --produced with "
      "--reference, or --validate_metrics with --pairs",
    )
  if not args.workdir and gloss_flags.read(args) != gloss_flags.AS_TRAINED:
    raise errors.UsageError(
      "--ensemble or --gloss_ options without --workdir",
      expected="the work directory of a model of task text_to_gloss",
    )
  if args.produced and not args.reference:
    raise errors.UsageError(
      "--produced without --reference", expected="the true clips"
    )
  if args.reference and not (args.produced or args.compare):
    raise errors.UsageError(
      "--reference without --produced", expected="the clips to score"
    )

"""Scores a run: `python -m signllm_jax.evaluate --workdir=... --split=test`.

Takes the best checkpoint and all sequences of the split. The model gets texts
and nothing else, but under `--protocol=pt`, whose every line says "leaky".
"""

import argparse
import pathlib
import sys
from collections.abc import Sequence
from typing import Any

from signllm_jax.core import atomic_files, errors
from signllm_jax.data import datasets
from signllm_jax.evaluation import evaluate_run
from signllm_jax.evaluation.report import (
  bootstrap,
  comparison,
  report_files,
  tables,
)
from signllm_jax.inference import load
from signllm_jax.parallel import compilation_cache
from signllm_jax.runs import restore

MOST_RESAMPLES = 100_000

EXAMPLES = """\
writes report.json, report.md and report.html (one file, with plots and the
worst and best clips) into --out, by default WORKDIR/evaluation/SPLIT. With
--compare it writes comparison.json and comparison.md, by default into
A/evaluation/SPLIT-vs-NAME_OF_B.

examples:
  python -m signllm_jax.evaluate --workdir=runs/quickstart
  python -m signllm_jax.evaluate --workdir=runs/gsl --split=dev --out=gsl-dev
  python -m signllm_jax.evaluate --compare runs/a runs/b --split=test
  python -m signllm_jax.evaluate --workdir=runs/pt --protocol=pt    (leaky)
  python -m signllm_jax.evaluate --workdir=runs/quickstart \\
      --back_translation=runs/back_translation

exit codes: 0 done; 1 wrong request; 2 wrong option; 65 fault in the data;
66 the model gives NaN; 74 fault in storage; 130 interrupted
"""


def _folder(args: argparse.Namespace, name: str) -> pathlib.Path:
  """The folder to write into, checked before the work begins.

  It is made when there is something to write: a refused evaluation leaves none.

  Raises:
    UsageError: there is no model to evaluate.
    StorageError: it cannot be written.
  """
  paths = args.compare or [args.workdir]
  for path in paths:
    load.choose(restore.describe(path), args.language)
  leaky = "leaky" if args.protocol == "pt" else ""
  name = "-".join(filter(None, [args.language, name, leaky]))
  folder = pathlib.Path(args.out or pathlib.Path(paths[0], "evaluation", name))
  atomic_files.check_writable(folder, "--out")
  return folder


def _evaluate_one(args: argparse.Namespace, options: dict[str, Any]) -> None:
  folder = _folder(args, args.split)
  scored = evaluate_run.evaluate(args.workdir, **options)
  print(tables.to_terminal(scored))
  atomic_files.make_folder(folder)
  print("wrote", *report_files.write_report(folder, scored))


def _compare_two(args: argparse.Namespace, options: dict[str, Any]) -> None:
  other = pathlib.Path(args.compare[1]).resolve().name
  folder = _folder(args, f"{args.split}-vs-{other}")
  a, b = (evaluate_run.evaluate(path, **options) for path in args.compare)
  weights = bootstrap.resample(len(a.true), args.resamples)
  compared = comparison.compare(a, b, weights)
  print(comparison.to_markdown(compared))
  atomic_files.make_folder(folder)
  print("wrote", *report_files.write_comparison(folder, compared))


def main(arguments: Sequence[str] | None = None) -> int:
  """The command; returns the exit code."""
  args = _parser().parse_args(arguments)
  options = {
    name: getattr(args, name)
    for name in (
      "language",
      "split",
      "protocol",
      "seeds",
      "resamples",
      "back_translation",
    )
  }

  def work() -> None:
    _check_request(args)
    compilation_cache.enable()
    if args.compare:
      _compare_two(args, options)
    else:
      _evaluate_one(args, options)

  return errors.exit_code_of(work)


def _check_request(args: argparse.Namespace) -> None:
  if bool(args.workdir) == bool(args.compare):
    raise errors.UsageError(
      "both --workdir and --compare" if args.compare else "nothing to evaluate",
      expected="exactly one of --workdir and --compare",
    )
  if args.seeds < 1:
    raise errors.UsageError(f"--seeds={args.seeds}", expected="1 or more")
  if not 1 <= args.resamples <= MOST_RESAMPLES:
    raise errors.UsageError(
      f"--resamples={args.resamples}", expected=f"1 to {MOST_RESAMPLES:,}"
    )


def _parser() -> argparse.ArgumentParser:
  parser = argparse.ArgumentParser(
    prog="python -m signllm_jax.evaluate",
    description="Scores a trained model beside the truth and the baselines.",
    epilog=EXAMPLES,
    formatter_class=argparse.RawDescriptionHelpFormatter,
    allow_abbrev=False,
  )
  add = parser.add_argument
  add("--workdir", help="work directory of a training run")
  add(
    "--compare",
    nargs=2,
    metavar=("A", "B"),
    help="two work directories: paired differences on the same sequences",
  )
  add("--language", default="", help="where the model signs several, e.g. ASL")
  add(
    "--split",
    choices=datasets.SPLITS,
    default="test",
    help="of the run's data (test)",
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
  return parser


if __name__ == "__main__":
  sys.exit(main())

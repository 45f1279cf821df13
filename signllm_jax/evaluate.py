"""Scores a run: `python -m signllm_jax.evaluate --workdir=... --split=test`.

Takes the best checkpoint and all sequences of the split. The model gets texts
and nothing else, but under `--protocol=pt`, whose every line says "leaky". With
`--produced` and `--reference` it scores poses that anybody produced.
"""

import argparse
import pathlib
import sys
from collections.abc import Sequence
from typing import Any

from signllm_jax.api import scored_files, validation
from signllm_jax.core import atomic_files, errors, paths
from signllm_jax.evaluation import (
  evaluate_flags,
  evaluate_glosses,
  evaluate_run,
)
from signllm_jax.evaluation.report import (
  bootstrap,
  comparison,
  report,
  report_files,
  tables,
)
from signllm_jax.evaluation.study import analysis, kit
from signllm_jax.evaluation.validation import table as validation_table
from signllm_jax.inference import gloss_flags, load
from signllm_jax.parallel import compilation_cache
from signllm_jax.runs import restore


def _folder(args: argparse.Namespace, name: str) -> paths.AnyPath:
  """The folder to write into, checked before the work begins.

  It is made when there is something to write: a refused evaluation leaves none.

  Raises:
    UsageError: there is no model to evaluate.
    StorageError: it cannot be written.
  """
  models = args.compare or [args.workdir]
  for path in models:
    load.choose(restore.describe(path), args.language)
  leaky = "leaky" if args.protocol == "pt" else ""
  name = "-".join(filter(None, [args.language, name, leaky]))
  folder = paths.resolve(args.out or models[0])
  if not args.out:
    folder = folder / "evaluation" / name
  atomic_files.check_writable(folder, "--out")
  return folder


def _write(folder: paths.AnyPath, scored: report.Report) -> None:
  print(tables.to_terminal(scored))
  atomic_files.make_folder(folder)
  print("wrote", *report_files.write_report(folder, scored))


def _write_comparison(
  folder: paths.AnyPath, a: report.Report, b: report.Report, resamples: int
) -> None:
  weights = bootstrap.resample(len(a.true), resamples)
  compared = comparison.compare(a, b, weights)
  print(comparison.to_markdown(compared))
  atomic_files.make_folder(folder)
  print("wrote", *report_files.write_comparison(folder, compared))


def _write_study(
  args: argparse.Namespace, reports: Sequence[report.Report]
) -> None:
  print("wrote", *kit.write(args.study, reports, args.study_pairs))


def _analyse(args: argparse.Namespace) -> None:
  key = analysis.read_key(args.study)
  ratings = [
    rating
    for path in args.ratings
    for rating in analysis.read_ratings(path, key)
  ]
  text = analysis.to_markdown(analysis.analyse(key, ratings))
  path = pathlib.Path(args.study, "analysis.md")
  atomic_files.write_text(path, text)
  print(text)
  print("wrote", path)


def _evaluate_one(args: argparse.Namespace, options: dict[str, Any]) -> None:
  folder = _folder(args, args.split)
  task = restore.describe(args.workdir).config.task
  evaluate_flags.check_task(args, task)
  if task == "text_to_gloss":
    _evaluate_glosses(args, folder)
    return
  scored = evaluate_run.evaluate(args.workdir, **options)
  if args.study:
    _write_study(args, [scored])
  else:
    _write(folder, scored)


def _evaluate_glosses(args: argparse.Namespace, folder: paths.AnyPath) -> None:
  report = evaluate_glosses.evaluate(
    args.workdir,
    language=args.language,
    split=args.split,
    resamples=args.resamples,
    options=gloss_flags.read(args),
  )
  print(evaluate_glosses.to_markdown(report))
  atomic_files.make_folder(folder)
  print("wrote", *evaluate_glosses.write(folder, report))


def _compare_two(args: argparse.Namespace, options: dict[str, Any]) -> None:
  other = paths.absolute(args.compare[1]).name
  folder = _folder(args, f"{args.split}-vs-{other}")
  a, b = (evaluate_run.evaluate(path, **options) for path in args.compare)
  if args.study:
    _write_study(args, [a, b])
  else:
    _write_comparison(folder, a, b, args.resamples)


def _score_files(args: argparse.Namespace) -> None:
  groups = (
    [[path] for path in args.compare] if args.compare else [args.produced]
  )
  name = "-vs-".join(pathlib.Path(g[0]).resolve().name for g in groups)
  folder = pathlib.Path(args.out or pathlib.Path("evaluation", name))
  atomic_files.check_writable(folder, "--out")
  scored = [
    scored_files.evaluate_files(
      group,
      args.reference,
      args.split,
      training=args.training,
      fps=args.fps,
      size=evaluate_flags.picture_size(args.size),
      partial=args.partial,
      resamples=args.resamples,
      back_translation=args.back_translation,
    )
    for group in groups
  ]
  if args.study:
    _write_study(args, scored)
  elif args.compare:
    _write_comparison(folder, scored[0], scored[1], args.resamples)
  else:
    _write(folder, scored[0])


def _validate(args: argparse.Namespace) -> None:
  if args.out:
    atomic_files.check_writable(args.out, "--out")
  result = validation.validate(
    args.pairs,
    size=evaluate_flags.picture_size(args.size) or validation.SIZE,
    back_translation=args.back_translation,
    resamples=args.resamples,
    progress=lambda head: print(f"trying {head}", file=sys.stderr, flush=True),
  )
  print(validation_table.to_markdown(result))
  if args.out:
    print("wrote", *validation_table.write(args.out, result))


def main(arguments: Sequence[str] | None = None) -> int:
  """The command; returns the exit code."""
  args = evaluate_flags.parser().parse_args(arguments)
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
    evaluate_flags.check(args)
    compilation_cache.enable()
    if args.study:
      atomic_files.check_writable(args.study, "--study")
    if args.validate_metrics:
      _validate(args)
    elif args.ratings:
      _analyse(args)
    elif args.reference:
      _score_files(args)
    elif args.compare:
      _compare_two(args, options)
    else:
      _evaluate_one(args, options)

  return errors.exit_code_of(work)


if __name__ == "__main__":
  sys.exit(main())

"""What each stage of the command line does with its arguments."""

import argparse
import pathlib
import sys
from collections.abc import Iterable

import tqdm

from data_pipeline import convert
from data_pipeline.building import (
  beam,
  build,
  build_plan,
  record_reader,
  verify,
)
from data_pipeline.keypoints import find_clips
from data_pipeline.lifting import lift_folder, lifted_folder
from data_pipeline.texts import normalisation, prompts
from signllm_jax.core import atomic_files, clips, errors, extras, languages
from signllm_jax.formats import h5, splits


def extract(args: argparse.Namespace) -> None:
  """Keypoints in any form -> one .h5."""
  sources = _find(args)
  convert.refuse_existing(args.output)
  if args.dry_run:
    print(f"{len(sources)} clips would be written to {args.output}")
    return
  failed = {}

  def good() -> Iterable[clips.Keypoints]:
    for source, seen in _progress(
      find_clips.read_each(sources, args.workers), len(sources), "reading"
    ):
      if isinstance(seen, errors.SignLLMError):
        failed[source.name] = seen
      else:
        yield seen

    if len(failed) == len(sources):  # no file rather than an empty one
      _raise_failed(failed)

  h5.write(args.output, good())
  print(f"{len(sources) - len(failed)} clips: {args.output}")
  _raise_failed(failed)


def lift(args: argparse.Namespace) -> None:
  """Keypoints -> a folder of lifted clips."""
  sources = _find(args)
  options = _lifting_options(args)
  if args.dry_run:
    print(f"{len(sources)} clips would be lifted into {args.output}: {options}")
    return
  outcome = lift_folder.lift_clips(
    sources,
    args.output,
    options,
    write_stages=args.stages,
    workers=args.workers,
  )
  print(outcome.describe(args.output))
  _raise_failed(outcome.failed)


def export_skels(args: argparse.Namespace) -> None:
  """Lifted clips -> .skels and the files beside it."""
  names = lifted_folder.names(args.input)
  if not names:
    raise errors.DataError("no lifted clips", path=args.input)
  lifted_folder.check_name(args.split)
  target = pathlib.Path(args.output, f"{args.split}.skels")
  convert.refuse_existing(*convert.split_files(target).values())
  if args.dry_run:
    print(f"{len(names)} clips would be written to {target}")
    return
  read = (
    lifted_folder.exported(
      lifted_folder.read(args.input, name), args.convention
    )
    for name in names
  )
  atomic_files.make_folder(target.parent)
  convert.write_split(
    target, _progress(read, len(names), "writing"), args.convention
  )
  print(f"{len(names)} clips: {target}")


def make_prompts(args: argparse.Namespace) -> None:
  """Texts -> questions, and glosses where there are none."""
  source, folder = pathlib.Path(args.input), pathlib.Path(args.output)
  spoken = languages.get(args.language).spoken
  found = [source] if source.is_file() else sorted(source.glob("*.text"))
  if not found:
    raise errors.DataError("no texts", path=source, expected="files *.text")
  made = {}  # file -> its lines
  for path in found:
    cleaned = [
      normalisation.clean(line, path=path, line=number)
      for number, line in enumerate(splits.read_texts(path), 1)
    ]
    names = [f"{path.stem}/{i:06d}" for i in range(1, len(cleaned) + 1)]
    if path.with_suffix(".files").exists():
      names = list(splits.read_texts(path.with_suffix(".files")))
      if len(names) != len(cleaned):
        raise errors.DataError(
          f"{len(names)} lines",
          path=path.with_suffix(".files"),
          expected=f"{len(cleaned)} as in {path.name}",
        )
    made[folder / f"{path.stem}.prompt"] = [
      prompts.make_prompt(text, spoken, name, args.seed)
      for text, name in zip(cleaned, names, strict=True)
    ]
    if not path.with_suffix(".gloss").exists():
      made[folder / f"{path.stem}.gloss"] = _glosses(path, cleaned, spoken)
  convert.refuse_existing(*made)
  if args.dry_run:
    for target, lines in made.items():
      print(f"{len(lines)} lines would be written to {target}")
    return
  atomic_files.make_folder(folder)
  with atomic_files.remove_on_error(*made):
    for target, lines in made.items():
      atomic_files.write_text(target, "".join(f"{line}\n" for line in lines))
      print(f"{len(lines)} lines: {target}")


def _glosses(path: pathlib.Path, cleaned: list[str], spoken: str) -> list[str]:
  try:
    from data_pipeline.texts import (
      lemma_gloss,  # of packages that other stages can do without
    )
  except ModuleNotFoundError as error:
    raise extras.not_installed(
      "glosses are made", error.name, "data"
    ) from error
  lines = []
  for number, text in enumerate(cleaned, 1):
    try:
      lines.append(lemma_gloss.make(text, spoken))
    except errors.DataError as error:
      raise errors.DataError(str(error), path=path, line=number) from error
  return lines


def build_records(args: argparse.Namespace) -> None:
  """A data set -> training records."""
  runner = None
  if args.beam:
    runner = beam.Runner(args.beam, tuple(args.beam_option))
  plan = build_plan.make_plan(
    args.dataset,
    args.output,
    input=args.input,
    file_format=args.file_format,
    shards=args.shards,
    fps=args.fps,
    size=args.size,
    lifting=_lifting_options(args),
    runner=runner,
  )
  if args.dry_run:
    _print_plan(plan)
    return
  failed = {}

  def report(split: str, outcome: lift_folder.Outcome) -> None:
    print(f"{split}: {outcome.describe(args.input)}", flush=True)
    failed.update({f"{split} {k}": v for k, v in outcome.failed.items()})

  folder = build.build_dataset(
    plan, workers=args.workers, report=report, note=_print_note
  )
  print(record_reader.table(record_reader.summarise(folder)))
  print(f"Records: {folder}")
  _raise_failed(failed)


def _print_plan(plan: build_plan.BuildPlan) -> None:
  print(f"Licence of {plan.name}: {plan.licence}")
  if plan.keypoints:
    for split, sources in plan.find_splits(_print_note).items():
      print(f"{split}: {len(sources)} clips would be lifted")
  verb = "is already built in" if plan.exists else "would be built into"
  print(f"{plan.name} {verb} {plan.folder} as {plan.file_format}")


def check(args: argparse.Namespace) -> None:
  """Counts, checksums and every record of a build."""
  print(f"{verify.verify(args.input)} records of {args.input} are whole")


def report(args: argparse.Namespace) -> None:
  """The data card of a build."""
  from data_pipeline.data_card import (
    card,  # here: matplotlib, which no other stage needs
  )

  convert.refuse_existing(args.output)
  card.write_card(args.input, args.output)
  print(f"Data card: {args.output}")


def convert_file(args: argparse.Namespace) -> None:
  """One form of clips -> another."""
  count = convert.convert(
    args.input,
    args.output,
    form=args.form,
    convention=args.convention,
    fps=args.fps,
    size=args.size,
  )
  print(f"{count} clips: {args.output}")


def _lifting_options(args: argparse.Namespace) -> lifted_folder.Options:
  return lifted_folder.Options(args.mode, args.policy, args.condense)


def _find(args: argparse.Namespace) -> list[find_clips.Source]:
  return find_clips.find(
    args.input, fps=args.fps, size=args.size, report=_print_note
  )


def _print_note(message: str) -> None:
  print(f"note: {message}", file=sys.stderr)


def _progress(items: Iterable, total: int, what: str) -> Iterable:
  # Shown in a terminal only.
  return tqdm.tqdm(items, total=total, desc=what, unit="clip", disable=None)


def _raise_failed(failed: dict[str, errors.SignLLMError]) -> None:
  """After the good clips are done, says which were not.

  Raises:
    DataError: names up to 20 bad clips and what is wrong with each.
  """
  if not failed:
    return
  lines = [f"  {name}: {error}" for name, error in sorted(failed.items())]
  more = [f"  and {len(lines) - 20} more"] if len(lines) > 20 else []
  raise errors.DataError(
    "\n".join([f"{len(lines)} bad clips were left out:", *lines[:20], *more])
  )

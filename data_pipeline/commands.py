"""What each stage of the command line does with its arguments."""

import argparse
import pathlib
import sys
from collections.abc import Iterable

import tqdm

from data_pipeline import (
  build,
  card,
  convert,
  intake,
  lifting,
  prompts,
  request,
  summary,
  texts,
  verify,
)
from data_pipeline import gloss as gloss_lib
from signllm_jax import clips, errors, languages
from signllm_jax.formats import atomic, h5, skels


def extract(args: argparse.Namespace) -> None:
  """Keypoints in any form -> one .h5."""
  sources = _find(args)
  _refuse_existing(args.output)
  if args.dry_run:
    print(f"{len(sources)} clips would be written to {args.output}")
    return
  failed = {}

  def good() -> Iterable[clips.Keypoints]:
    for source, seen in _progress(
      intake.read_each(sources, args.workers), len(sources), "reading"
    ):
      if isinstance(seen, errors.SignLLMError):
        failed[source.name] = seen
      else:
        yield seen

  h5.write(args.output, good())
  print(f"{len(sources) - len(failed)} clips: {args.output}")
  _raise_failed(failed)


def lift(args: argparse.Namespace) -> None:
  """Keypoints -> a folder of lifted clips."""
  sources = _find(args)
  options = _options(args)
  if args.dry_run:
    print(f"{len(sources)} clips would be lifted into {args.output}: {options}")
    return
  outcome = lifting.lift_all(
    sources,
    args.output,
    options,
    five_texts=args.stages,
    workers=args.workers,
  )
  print(outcome.describe(args.output))
  _raise_failed(outcome.failed)


def export_skels(args: argparse.Namespace) -> None:
  """Lifted clips -> .skels and the files beside it."""
  names = lifting.lifted_names(args.input)
  folder = pathlib.Path(args.output)
  paths = {
    kind: folder / f"{args.split}.{kind}" for kind in ("skels", "text", "files")
  }
  for path in paths.values():
    _refuse_existing(path)
  read = (lifting.read_clip(args.input, name) for name in names)
  listed = []  # text and gloss of each clip
  if args.dry_run:
    print(f"{len(names)} clips would be written to {paths['skels']}")
    return

  def scaled() -> Iterable[clips.Clip]:
    for clip in _progress(read, len(names), "writing"):
      listed.append((clip.text, clip.gloss))
      yield lifting.exported(clip, args.convention)

  try:
    folder.mkdir(parents=True, exist_ok=True)
  except OSError as error:
    raise errors.StorageError(
      f"cannot be made: {error}", path=folder
    ) from error
  skels.write(paths["skels"], scaled(), args.convention)
  _write_lines(paths["files"], names)
  if all(text for text, _ in listed):
    _write_lines(paths["text"], [text for text, _ in listed])
  if any(gloss for _, gloss in listed):
    _write_lines(folder / f"{args.split}.gloss", [g for _, g in listed])
  print(f"{len(names)} clips: {paths['skels']}")


def make_prompts(args: argparse.Namespace) -> None:
  """Texts -> questions, and glosses where there are none."""
  source, folder = pathlib.Path(args.input), pathlib.Path(args.output)
  spoken = languages.get(args.language).spoken
  found = [source] if source.is_file() else sorted(source.glob("*.text"))
  if not found:
    raise errors.DataError("no texts", path=source, expected="files *.text")
  for path in found:
    lines = _read_lines(path)
    cleaned = [
      texts.clean(texts.unquote(line), path=path, line=number)
      for number, line in enumerate(lines, 1)
    ]
    names = [f"{path.stem}/{i:06d}" for i in range(1, len(lines) + 1)]
    if path.with_suffix(".files").exists():
      names = _read_lines(path.with_suffix(".files"))
      if len(names) != len(lines):
        raise errors.DataError(
          f"{len(names)} lines",
          path=path.with_suffix(".files"),
          expected=f"{len(lines)} as in {path.name}",
        )
    made = {
      ".prompt": [
        prompts.make_prompt(text, spoken, name, args.seed)
        for text, name in zip(cleaned, names, strict=True)
      ]
    }
    if not path.with_suffix(".gloss").exists():
      made[".gloss"] = [gloss_lib.make(text, spoken) for text in cleaned]
    for suffix, content in made.items():
      target = folder / f"{path.stem}{suffix}"
      _refuse_existing(target)
      if args.dry_run:
        print(f"{len(content)} lines would be written to {target}")
        continue
      folder.mkdir(parents=True, exist_ok=True)
      _write_lines(target, content)
      print(f"{len(content)} lines: {target}")


def build_records(args: argparse.Namespace) -> None:
  """A data set -> training records."""
  asked = {
    "input": args.input,
    "file_format": args.file_format,
    "shards": args.shards,
    "fps": args.fps,
  }
  if args.dry_run:
    plan = request.plan(args.dataset, args.output, **asked)
    print(f"Licence of {plan.name}: {plan.licence}")
    verb = "is already built in" if plan.exists else "would be built into"
    print(f"{plan.name} {verb} {plan.folder} as {plan.file_format}")
    return
  failed = {}

  def report(split: str, outcome: lifting.Outcome) -> None:
    print(f"{split}: {outcome.describe(args.input)}", flush=True)
    failed.update(outcome.failed)

  beam = build.Beam(args.beam, tuple(args.beam_option)) if args.beam else None
  folder = build.prepare(
    args.dataset,
    args.output,
    **asked,
    options=_options(args),
    workers=args.workers,
    beam=beam,
    report=report,
  )
  print(summary.table(summary.summarise(folder)))
  print(f"Records: {folder}")
  _raise_failed(failed)


def check(args: argparse.Namespace) -> None:
  """Counts, checksums and every record of a build."""
  print(f"{verify.verify(args.input)} records of {args.input} are whole")


def report(args: argparse.Namespace) -> None:
  """The data card of a build."""
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
  )
  print(f"{count} clips: {args.output}")


def _options(args: argparse.Namespace) -> lifting.Options:
  return lifting.Options(args.mode, args.policy, args.condense)


def _find(args: argparse.Namespace) -> list[intake.Source]:
  def note(message: str) -> None:
    print(f"note: {message}", file=sys.stderr)

  return intake.find(args.input, fps=args.fps, size=args.size, report=note)


def _progress(items: Iterable, total: int, what: str) -> Iterable:
  # Shown in a terminal only.
  return tqdm.tqdm(items, total=total, desc=what, unit="clip", disable=None)


def _refuse_existing(path: str | pathlib.Path) -> None:
  if pathlib.Path(path).exists():
    raise errors.UsageError(
      "exists already", path=path, hint="Remove it, or name another output"
    )


def _read_lines(path: pathlib.Path) -> list[str]:
  try:
    return path.read_text(encoding="utf-8").removesuffix("\n").split("\n")
  except UnicodeDecodeError as error:
    raise errors.DataError(f"not UTF-8: {error}", path=path) from error


def _write_lines(path: pathlib.Path, lines: Iterable[str]) -> None:
  atomic.write_text(path, "".join(f"{line}\n" for line in lines))


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

"""The stages of the command line, each called with its parsed arguments."""

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
  held_out,
  record_reader,
  verify,
)
from data_pipeline.cli import failures
from data_pipeline.keypoints import find_clips, read_clips, sidecar_texts
from data_pipeline.lifting import lifted_folder, lifting_run
from data_pipeline.texts import normalisation, prompts
from signllm_jax.core import atomic_files, clips, errors, extras, languages
from signllm_jax.core.skeleton import PROMPT2SIGN50
from signllm_jax.formats import h5, splits


def extract(args: argparse.Namespace) -> None:
  """Writes keypoints of any form into one .h5."""
  unread: dict[str, str] = {}
  sources = _find(args, unread, args.skeleton)
  convert.refuse_existing(args.output)
  if args.dry_run:
    print(f"{len(sources)} clips would be written to {args.output}")
    return
  failed = {}

  def readable() -> Iterable[clips.Keypoints]:
    for source, keypoints in _progress(
      read_clips.read_all(sources, args.workers), len(sources), "reading"
    ):
      if isinstance(keypoints, errors.SignLLMError):
        failed[source.name] = keypoints
      else:
        yield keypoints

    if len(failed) == len(sources):  # write no file rather than an empty one
      failures.raise_failed(failed)

  h5.write(args.output, readable())
  print(f"{len(sources) - len(failed)} clips: {args.output}")
  failures.raise_failed(failed, unread)


def lift(args: argparse.Namespace) -> None:
  """Lifts keypoints into a folder of lifted clips."""
  options = _lifting_options(args)
  unread: dict[str, str] = {}
  sources = _find(args, unread, args.skeleton)
  if args.dry_run:
    print(f"{len(sources)} clips would be lifted into {args.output}: {options}")
    return
  if args.mode == "reference":
    _print_note(
      "confidences above 1 are cut to 1, which the published tool keeps"
    )
  outcome = lifting_run.lift_clips(
    sources,
    args.output,
    options,
    write_stages=args.stages,
    workers=args.workers,
  )
  print(outcome.describe(args.output))
  failures.raise_failed(outcome.failed, unread)


def export_skels(args: argparse.Namespace) -> None:
  """Exports lifted clips as .skels, .files, .text and .gloss."""
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
    lifted_folder.to_convention(
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
  """Makes prompts of texts, and glosses where there are none."""
  source, folder = pathlib.Path(args.input), pathlib.Path(args.output)
  spoken = languages.get(args.language).spoken
  paths = [source] if source.is_file() else sorted(source.glob("*.text"))
  if not paths:
    raise errors.DataError("no texts", path=source, expected="files *.text")
  outputs = {}  # file -> its lines
  for path in paths:
    texts = [
      normalisation.clean(line, path=path, line=number)
      for number, line in enumerate(splits.read_texts(path), 1)
    ]
    names = [f"{path.stem}/{i:06d}" for i in range(1, len(texts) + 1)]
    if path.with_suffix(".files").exists():
      names = list(splits.read_texts(path.with_suffix(".files")))
      if len(names) != len(texts):
        raise errors.DataError(
          f"{len(names)} lines",
          path=path.with_suffix(".files"),
          expected=f"{len(texts)} as in {path.name}",
        )
    outputs[folder / f"{path.stem}.prompt"] = [
      prompts.make_prompt(text, spoken, name, args.seed)
      for text, name in zip(texts, names, strict=True)
    ]
    if not path.with_suffix(".gloss").exists():
      outputs[folder / f"{path.stem}.gloss"] = _make_glosses(
        path, texts, spoken
      )
  convert.refuse_existing(*outputs)
  if args.dry_run:
    for target, lines in outputs.items():
      print(f"{len(lines)} lines would be written to {target}")
    return
  atomic_files.make_folder(folder)
  with atomic_files.remove_on_error(*outputs):
    for target, lines in outputs.items():
      atomic_files.write_text(target, "".join(f"{line}\n" for line in lines))
      print(f"{len(lines)} lines: {target}")


def _make_glosses(
  path: pathlib.Path, texts: list[str], spoken: str
) -> list[str]:
  try:
    # Here: its packages are not needed by other stages.
    from data_pipeline.texts import lemma_gloss
  except ModuleNotFoundError as error:
    raise extras.not_installed(
      "glosses are made", error.name, "data"
    ) from error
  lines = []
  for number, text in enumerate(texts, 1):
    try:
      lines.append(lemma_gloss.make_gloss(text, spoken))
    except errors.DataError as error:
      raise errors.DataError(str(error), path=path, line=number) from error
    if unsure := lemma_gloss.unsure_words(text, spoken):
      _print_note(
        f"{path}:{number}: the gloss may lack a negation: {', '.join(unsure)}"
      )
  return lines


def build_records(args: argparse.Namespace) -> None:
  """Builds the training records of a data set."""
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
    names=args.names,
    lifting=_lifting_options(args),
    apart=held_out.HeldOut(args.dev, args.test, args.seed),
    licence=args.licence,
    runner=runner,
  )
  if args.dry_run:
    _print_plan(plan)
    return
  failed = {}

  def report(split: str, outcome: lifting_run.Outcome) -> None:
    print(f"{split}: {outcome.describe(args.input)}", flush=True)
    failed.update({f"{split} {k}": v for k, v in outcome.failed.items()})

  folder = build.build_dataset(
    plan, workers=args.workers, report=report, note=_print_note
  )
  splits = record_reader.summarise(folder)
  print(record_reader.table(splits))
  if unsure := [name for split in splits for name in split.unsure]:
    _print_note(
      f"{len(unsure)} glosses made by rule may lack a negation:"
      + sidecar_texts.listed("", unsure)
    )
  print(f"Records: {folder}")
  failures.raise_failed(
    failed, plan.recognised.unread if plan.recognised else {}
  )


def _print_plan(plan: build_plan.BuildPlan) -> None:
  apart = plan.held_out
  build.say_recognised(plan, _print_note)
  if plan.recognised:
    for path, why in plan.recognised.unread.items():
      _print_note(f"{path} is not read: {why}")
  print(f"Licence of {plan.name}: {plan.licence}")
  if plan.keypoints and plan.recognised:
    splits = plan.recognised.splits
    for split, sources in splits.items():
      print(f"{split}: {len(sources)} clips would be lifted")
    train = splits.get("train", [])
    if signs := {source.sign for source in train} - {""}:
      print(f"They are recordings of {len(signs)} signs")
      if len(splits) == 1:
        apart = held_out.with_default(apart, [x.name for x in train])
  for split, size in apart.sizes.items():
    if not plan.exists:
      print(f"{split}: {size} of the clips of train would be set aside")
  verb = "is already built in" if plan.exists else "would be built into"
  print(f"{plan.name} {verb} {plan.target} as {plan.file_format}")


def check(args: argparse.Namespace) -> None:
  """Checks counts, checksums and every record of a build; says what it is."""
  count = verify.verify(args.input)
  for what, value in verify.describe(args.input).items():
    print(f"{what}: {value}")
  print(f"{count} records of {args.input} are intact")


def report(args: argparse.Namespace) -> None:
  """Writes the data card of a build."""
  # Here: it imports matplotlib, which no other stage needs.
  from data_pipeline.data_card import card

  convert.refuse_existing(args.output)
  card.write_card(args.input, args.output)
  print(f"Data card: {args.output}")


def convert_file(args: argparse.Namespace) -> None:
  """Converts clips of one form to another."""
  count = convert.convert(
    args.input,
    args.output,
    form=args.form,
    convention=args.convention,
    fps=args.fps,
    size=args.size,
    skeleton=args.skeleton,
    report=_print_note,
  )
  print(f"{count} clips: {args.output}")


def _lifting_options(args: argparse.Namespace) -> lifted_folder.Options:
  return lifted_folder.Options(
    args.mode, args.policy, args.condense, args.skeleton
  )


def _find(
  args: argparse.Namespace,
  unread: dict[str, str],
  skeleton: str = PROMPT2SIGN50.name,
) -> list[find_clips.Source]:
  return find_clips.find(
    args.input,
    fps=args.fps,
    size=args.size,
    skeleton=skeleton,
    report=_print_note,
    leave=unread.__setitem__,
  )


def _print_note(message: str) -> None:
  print(f"note: {message}", file=sys.stderr)


def _progress(items: Iterable, total: int, what: str) -> Iterable:
  # Shown in a terminal only.
  return tqdm.tqdm(items, total=total, desc=what, unit="clip", disable=None)

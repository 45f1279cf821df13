"""Builds a data set's records into a folder, through its tfds builder."""

import contextlib
import io
import itertools
import json
import pathlib
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from typing import Any

import tensorflow_datasets as tfds
from absl import logging

from data_pipeline.building import (
  beam_work,
  bucket_build,
  build_plan,
  checksums,
  held_out,
  stages,
)
from data_pipeline.keypoints import sidecar_texts
from data_pipeline.lifting import lifted_folder, lifting_run
from signllm_jax.core import (
  atomic_files,
  errors,
  paths,
)

QUALITY = "quality.jsonl"  # of every clip that was lifted, in the build


def _report_split(split: str, outcome: lifting_run.Outcome) -> None:
  print(f"{split}: {outcome.describe('the source')}", flush=True)
  for name, error in outcome.failed.items():
    print(f"{split}: {name} is left out: {error}", file=sys.stderr)


def build_dataset(
  plan: build_plan.BuildPlan,
  *,
  workers: int | None = None,
  report: Callable[[str, lifting_run.Outcome], None] = _report_split,
  note: Callable[[str], None] = logging.warning,
) -> paths.AnyPath:
  """Builds a data set, or reuses its build; prints its licence notice.

  The folder of a build appears only when the build is complete. An existing
  one is reused and never overwritten. Keypoints are lifted first, clip by clip;
  an interrupted build that is run again does not lift them again. The records
  do not depend on interruptions or on the number of workers. A bad clip is left
  out and reported.

  Args:
    plan: the checked request.
    workers: processes that read keypoints; one a core if not given.
    report: called with each split and the outcome of its clips, if there is
      anything to report.
    note: called with warnings about the keypoints.

  Returns:
    The folder of the records, for `tfds.builder_from_directory`.

  Raises:
    DataError: a fault in the sources.
    UsageError: another process builds the same data set.
    StorageError: the records cannot be written.
  """
  say_recognised(plan, note)
  print(f"Licence of {plan.name}: {plan.licence}")
  if plan.bucket and plan.exists:
    _say_built(plan)
    return plan.bucket
  parent = plan.folder.parent
  with (
    _new_folder(parent),
    lifted_folder.locked(parent),
    _storage_errors(plan.folder),
  ):
    if plan.folder.exists():
      _say_built(plan)
    else:
      for left in parent.glob(f"incomplete.*_{plan.folder.name}"):
        shutil.rmtree(left)  # of a build that was killed
      builder = _builder(plan, note)
      if plan.runner:
        stages.make_on_beam(plan, plan.runner, builder, report)
      elif plan.keypoints:
        stages.lift(plan, workers, report)
      _write(plan, builder, report)
    _complete(plan)
    if plan.bucket:
      bucket_build.publish(plan.folder, plan.bucket, plan.store)
      shutil.rmtree(plan.output)  # of this build alone
    if plan.runner:
      plan.store.remove()
  return plan.target


def _say_built(plan: build_plan.BuildPlan) -> None:
  print(
    f"{plan.target} is already built and is used as it is; remove it to build "
    "anew"
  )


@contextlib.contextmanager
def _new_folder(folder: pathlib.Path) -> Iterator[None]:
  """Makes a folder and its parents; a refused build leaves no trace of them."""
  made = [each for each in (folder, *folder.parents) if not each.exists()]
  notes = folder.parent / ".config"  # where tfds names the builder
  noted = notes.exists()
  atomic_files.make_folder(folder)
  try:
    yield
  except BaseException:
    with contextlib.suppress(OSError):  # one that is not empty stays
      # Another build may run beside this one.
      if not noted and {*notes.parent.glob("*/*")} == {*notes.glob("*")}:
        shutil.rmtree(notes, ignore_errors=True)
      for each in made:
        each.rmdir()
    raise


@contextlib.contextmanager
def _storage_errors(folder: pathlib.Path) -> Iterator[None]:
  """Turns errors of writing into StorageErrors.

  The writers of tfds raise a RuntimeError.
  """
  try:
    yield
  except (OSError, RuntimeError) as error:
    raise errors.StorageError(
      f"the build stopped: {error}", path=folder
    ) from error


def say_recognised(
  plan: build_plan.BuildPlan, note: Callable[[str], None]
) -> None:
  """Prints the corpus of the input and its counts, then its notes."""
  if plan.recognised:
    print("\n".join(plan.recognised.describe()), flush=True)
    for message in plan.recognised.notes:
      note(message)


def _builder(
  plan: build_plan.BuildPlan, note: Callable[[str], None]
) -> tfds.core.DatasetBuilder:
  """The data set's builder, with the request."""
  builder = plan.new_builder()
  vars(builder).update(
    tolerant=True,
    left_out={},
    shards=plan.shards or 0,
    rate=plan.recognised.fps if plan.recognised else plan.fps,
    size=plan.size,
    report=note,
    corpus=plan.recognised.corpus.name if plan.recognised else "",
    signers=plan.signers,
    held_out=plan.held_out,
  )
  if plan.recognised:
    info: Any = builder.info  # of `local_info`
    info.set_license(plan.licence)
  return builder


def _write(
  plan: build_plan.BuildPlan,
  builder: tfds.core.DatasetBuilder,
  report: Callable[[str, lifting_run.Outcome], None],
) -> None:
  """Writes the records through the data set's builder."""
  if plan.file_format == "tfrecord":
    beam_work.quiet_tensorflow()
  source = plan.input
  if plan.keypoints and plan.input:
    folder = plan.input if plan.input.is_dir() else plan.input.parent
    source = folder if plan.runner else plan.lifted
  download = tfds.download.DownloadConfig(
    manual_dir=source, num_shards=plan.shards, try_download_gcs=False
  )
  with (
    tempfile.TemporaryDirectory() as scratch,
    contextlib.redirect_stdout(io.StringIO()),  # tfds announces itself
  ):
    builder.download_and_prepare(
      download_dir=scratch,
      file_format=plan.file_format,
      download_config=download,
    )
  _print_held_out(plan.folder)
  if undivided := vars(builder).get("undivided"):
    print(
      "All recordings of these signs are train, as there are too few to set "
      f"some aside:{sidecar_texts.listed('', undivided)}"
    )
  for split, faults in vars(builder).get("left_out", {}).items():
    if faults:
      report(split, lifting_run.Outcome(failed=faults))


def _print_held_out(folder: pathlib.Path) -> None:
  for split, each in held_out.read_record(folder).held_out.items():
    print(
      f"{split}: {len(each.clips)} clips of train set aside "
      f"(--{split}={each.size} --seed={each.seed})"
    )


def _complete(plan: build_plan.BuildPlan) -> None:
  """Writes qualities and checksums after the records; removes lifted clips.

  Repeated where a build was interrupted between its records and this step.
  """
  if not (plan.folder / checksums.SUMS).exists():
    split_of = {
      name: split
      for split, each in held_out.read_record(plan.folder).held_out.items()
      for name in each.clips
    }
    lines = (
      json.dumps(
        {"split": split_of.get(name, split) if split == "train" else split}
        | record
      )
      for split, name, record in stages.qualities(plan)
    )
    if first := next(lines, ""):
      with (
        atomic_files.atomic_write(plan.folder / QUALITY) as path,
        path.open("w", encoding="utf-8") as file,
      ):
        for line in itertools.chain([first], lines):
          file.write(f"{line}\n")
    shards = plan.store.shards() if plan.runner else {}
    checksums.write_sums(
      plan.folder, {name: each.sha256 for name, each in shards.items()}
    )
  if plan.lifted.exists():
    shutil.rmtree(plan.lifted)
    for parent in plan.lifted.parents[:2]:  # of the data set, of all
      if not any(parent.iterdir()):
        parent.rmdir()

"""Builds a data set's records into a folder, through its tfds builder."""

import contextlib
import dataclasses
import importlib
import io
import json
import os
import pathlib
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from typing import Any

import tensorflow_datasets as tfds
from absl import logging

from data_pipeline.building import build_request, checksums
from data_pipeline.keypoints import find_clips
from data_pipeline.lifting import lift_folder, lifted_folder
from signllm_jax.core import atomic_files, errors

QUALITY = "quality.jsonl"  # of every clip that was lifted, in the build


@dataclasses.dataclass(frozen=True)
class Beam:
  """Apache Beam instead of this process alone.

  Attributes:
    runner: e.g. DirectRunner, FlinkRunner, SparkRunner. Its workers must see
      the source and the output under the same paths.
    options: of the runner, as on Beam's command line, e.g.
      ("--direct_num_workers=2",).
  """

  runner: str
  options: tuple[str, ...] = ()


def _say(split: str, outcome: lift_folder.Outcome) -> None:
  print(f"{split}: {outcome.describe('the source')}", flush=True)
  for name, error in outcome.failed.items():
    print(f"{split}: {name} is left out: {error}", file=sys.stderr)


def prepare(
  name: str,
  output: str | os.PathLike,
  *,
  input: str | os.PathLike | None = None,
  file_format: str = "tfrecord",
  shards: int | None = None,
  fps: float | None = None,
  size: tuple[int, int] | None = None,
  options: lifted_folder.Options = lifted_folder.DEFAULT,
  workers: int | None = None,
  beam: Beam | None = None,
  report: Callable[[str, lift_folder.Outcome], None] = _say,
  note: Callable[[str], None] = logging.warning,
) -> pathlib.Path:
  """Builds a data set, or finds it built; prints its licence notice.

  A build appears in its folder only when it is complete. One that is there is
  reused and never overwritten. Keypoints are lifted first, clip by clip, and
  what is lifted is not lifted again when an interrupted build is run anew. The
  records do not depend on interruptions or on the number of workers. A bad clip
  is left out and reported.

  Args:
    name: data set and configuration, e.g. prompt2sign/gsl.
    output: root of all data sets; the records go to <output>/<name>/<version>.
    input: folder of the source files, for data sets that are made from some.
    file_format: tfrecord (needs TensorFlow) or array_record.
    shards: files a split; chosen by size if not given.
    fps: frames a second, of the source for prompt2sign, of the records for
      fingerspelling. A rate other than the usual one makes a configuration of
      its own, e.g. prompt2sign/gsl_30fps.
    size: width and height of the picture, where keypoints do not say.
    options: of the lifting.
    workers: processes that read keypoints; one a core if not given.
    beam: makes the records on Apache Beam.
    report: called with each split and what became of its clips, if there is
      anything to say.
    note: called with what else the user should know of keypoints.

  Returns:
    The folder of the records, for `tfds.builder_from_directory`.

  Raises:
    UsageError, DataError: as `build_request.plan` does, or a fault in the
      sources; another process builds the same.
    StorageError: the records cannot be written.
  """
  asked = build_request.plan(
    name,
    output,
    input=input,
    file_format=file_format,
    shards=None if beam else shards,  # Beam may make fewer than it is asked to
    fps=fps,
    options=options,
  )
  print(f"Licence of {asked.name}: {asked.licence}")
  runner = None if beam is None else _on_beam(asked, beam)
  parent = asked.folder.parent
  atomic_files.make_folder(parent)
  with lifted_folder.alone(parent), _storage_errors(asked.folder):
    if asked.folder.exists():
      print(
        f"{asked.folder} is already built and is used as it is; remove it to "
        "build anew"
      )
    else:
      for left in parent.glob(f"incomplete.*_{asked.folder.name}"):
        shutil.rmtree(left)  # of a build that was killed
      if asked.keypoints:
        found = lift_folder.find_splits(
          str(asked.input), fps=asked.rate, size=size, report=note
        )
        _lift(asked, found, options, workers, report)
      _write(asked, shards, runner, report)
    _complete(asked)
  return asked.folder


@contextlib.contextmanager
def _storage_errors(folder: pathlib.Path) -> Iterator[None]:
  """What goes wrong in writing becomes a StorageError.

  The writers of tfds say it by a RuntimeError.
  """
  try:
    yield
  except (OSError, RuntimeError) as error:
    raise errors.StorageError(
      f"the build stopped: {error}", path=folder
    ) from error


def _lift(
  asked: build_request.Plan,
  found: dict[str, list[find_clips.Source]],
  options: lifted_folder.Options,
  workers: int | None,
  report: Callable[[str, lift_folder.Outcome], None],
) -> None:
  """Lifts the keypoints of every split into `asked.lifted`."""
  if asked.lifted.is_dir():  # splits that the input has no longer
    for path in asked.lifted.iterdir():
      if path.name not in found:
        shutil.rmtree(path)
  for split, sources in found.items():
    outcome = lift_folder.lift_all(
      sources,
      asked.lifted / split,
      options,
      for_records=True,
      workers=workers,
    )
    if not outcome.lifted and not outcome.reused:
      raise errors.DataError(
        f"no clip of {split} can be used",
        path=asked.input,
        expected="at least one",
        hint="; ".join(
          [*map(str, outcome.failed.values())][:5]
          or ["The policy drops them all"]
        ),
      )
    report(split, outcome)


def _write(
  asked: build_request.Plan,
  shards: int | None,
  runner: dict[str, Any] | None,
  report: Callable[[str, lift_folder.Outcome], None],
) -> None:
  """Writes the records through the data set's builder."""
  if asked.file_format == "tfrecord":
    _quiet_tensorflow()
  builder = asked.new_builder()
  vars(builder).update(
    tolerant=True, on_beam=runner is not None, shards=shards or 0
  )
  download = tfds.download.DownloadConfig(
    manual_dir=asked.lifted if asked.keypoints else asked.input,
    num_shards=shards,
    try_download_gcs=False,
    **(runner or {}),
  )
  with (
    tempfile.TemporaryDirectory() as scratch,
    contextlib.redirect_stdout(io.StringIO()),  # tfds announces itself
  ):
    builder.download_and_prepare(
      download_dir=scratch,
      file_format=asked.file_format,
      download_config=download,
    )
  for split, faults in vars(builder).get("left_out", {}).items():
    if faults:
      report(split, lift_folder.Outcome(failed=faults))


def _complete(asked: build_request.Plan) -> None:
  """What follows the records: qualities, checksums; lifted clips go.

  Done anew where a build was interrupted between its records and this.
  """
  if not (asked.folder / checksums.SUMS).exists():
    if asked.lifted.exists():
      lines = []
      for folder in sorted(asked.lifted.iterdir()):
        for _, record in lifted_folder.records(folder):
          del record["made_from"]  # differs between copies of the keypoints
          lines.append(json.dumps({"split": folder.name, **record}))
      atomic_files.write_text(
        asked.folder / QUALITY, "".join(f"{line}\n" for line in lines)
      )
    checksums.write_sums(asked.folder)
  if asked.lifted.exists():
    shutil.rmtree(asked.lifted)
    for parent in asked.lifted.parents[:2]:  # of the data set, of all
      if not any(parent.iterdir()):
        parent.rmdir()


def _on_beam(asked: build_request.Plan, beam: Beam) -> dict[str, Any]:
  """What tfds has to know of a runner.

  Raises:
    UsageError: Beam is not installed, or the data set is not made on it.
  """
  if not hasattr(asked.builder_class, "on_beam"):
    raise errors.UsageError(
      f"{asked.name} is not built on Beam", hint="Build it without --beam"
    )
  try:
    pipeline_options: Any = importlib.import_module(
      "apache_beam.options.pipeline_options"
    )
  except ModuleNotFoundError as error:
    raise errors.UsageError(
      "apache-beam is not installed",
      hint='Install the extra: pip install -e ".[beam]"',
    ) from error
  options = pipeline_options.PipelineOptions(list(beam.options))
  return {"beam_runner": beam.runner, "beam_options": options}


def _quiet_tensorflow() -> None:
  """Loads TensorFlow for writing: no log noise, and no hold on a GPU."""
  os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
  import tensorflow as tf  # here, so that other formats need none of it

  tf.config.set_visible_devices([], "GPU")

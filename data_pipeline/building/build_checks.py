"""Checks of a request to build a data set, before any work."""

import dataclasses
import importlib.util
import math
import os
import pathlib
from collections.abc import Iterable

import tensorflow_datasets as tfds

from data_pipeline.building import beam, held_out, record_reader
from data_pipeline.keypoints import find_splits
from data_pipeline.lifting import lifted_folder
from signllm_jax.core import (
  errors,
  extras,
  paths,
)
from signllm_jax.formats import dataset_info

FILE_FORMATS = dataset_info.FILE_FORMATS


def check_output(
  output: str | os.PathLike,
  file_format: str,
  shards: int | None,
  fps: float | None,
) -> None:
  """Checks where and in which form the records are to be written.

  Raises:
    UsageError: no such file format, fewer than one shard, no frame rate, or a
      URL that is none of a bucket.
  """
  if file_format not in FILE_FORMATS:
    raise errors.UsageError(
      f"unknown file format {file_format!r}",
      expected=" or ".join(FILE_FORMATS),
    )
  if shards is not None and shards < 1:
    raise errors.UsageError(f"{shards} shards", expected="at least 1")
  if fps is not None and not 0 < fps < math.inf:
    raise errors.UsageError(
      f"{fps:g} frames a second", expected="a number above 0"
    )
  paths.resolve(output)  # refuses URLs of other places


def check_same_form(
  folder: paths.AnyPath, file_format: str, shards: int | None
) -> None:
  """Checks that an existing build has the requested form.

  Raises:
    UsageError: it has another file format or number of shards.
    DataError: the folder holds something that is not a complete build.
  """
  info = record_reader.open_build(folder)
  if info.file_format != file_format:
    raise errors.UsageError(
      f"holds a build as {info.file_format}, not {file_format}",
      path=folder,
      hint=f"{record_reader.REBUILD}, or use another output folder",
    )
  for name, split in info.splits.items():
    if shards is not None and len(split.paths) != shards:
      raise errors.UsageError(
        f"holds a build with {len(split.paths)} shards in {name}, not {shards}",
        path=folder,
        hint=f"{record_reader.REBUILD}, or use another output folder",
      )


def check_same_clips(
  folder: paths.AnyPath,
  fps: float | None,
  usual: float,
  apart: held_out.HeldOut,
) -> None:
  """Checks that an existing build has the requested rate and set-aside clips.

  Args:
    folder: of the build.
    fps: the requested rate; None for any.
    usual: the rate of builds of version 0.1, which do not say.
    apart: the requested clips; any, if none are requested.

  Raises:
    UsageError: it differs.
    DataError: the record of the build is damaged.
  """
  record = held_out.read_record(folder)
  built = usual if record.fps is None else record.fps
  if fps is not None and fps != built:
    raise errors.UsageError(
      f"holds a build at {built:g} frames a second, not {fps:g}",
      path=folder,
      hint=f"{record_reader.REBUILD}, or use another output folder",
    )
  before = {
    split: (each.size, each.seed) for split, each in record.held_out.items()
  }
  request = {split: (size, apart.seed) for split, size in apart.sizes.items()}
  if request and before != request:
    options = [f"--{split}={size}" for split, (size, _) in request.items()]
    raise errors.UsageError(
      f"holds a build without {' '.join(options)} --seed={apart.seed}",
      path=folder,
      hint=f"{record_reader.REBUILD}, or use another output folder",
    )


def check_held_out(
  builder_class: type[tfds.core.DatasetBuilder],
  source: pathlib.Path | None,
  present: Iterable[str],
  apart: held_out.HeldOut,
) -> None:
  """Checks that clips can be set aside.

  Raises:
    UsageError: the data set or its source has the split already.
  """
  if not apart.sizes:
    return
  if not hasattr(builder_class, "held_out") or source is None:
    options = " and ".join(f"--{split}" for split in apart.sizes)
    raise errors.UsageError(
      f"{builder_class.name} has splits of its own", hint=f"Leave {options} out"
    )
  held_out.check(apart, present, source)


def check_source(
  builder_class: type[tfds.core.DatasetBuilder], source: pathlib.Path | None
) -> None:
  """Checks that the input is there, if the data set takes one.

  Raises:
    UsageError: an input is missing, or the data set takes none.
    DataError: the input does not exist or is an empty folder.
  """
  needed = builder_class.MANUAL_DOWNLOAD_INSTRUCTIONS
  if needed and source is None:
    raise errors.UsageError(
      f"{builder_class.name} is made from files, and no input folder is given",
      expected=needed,
    )
  if not needed and source is not None:
    raise errors.UsageError(
      f"{builder_class.name} takes no input folder", path=source
    )
  if needed and source is not None and not source.exists():
    raise errors.DataError("no such folder", path=source, expected=needed)
  empty = source is not None and source.is_dir() and not any(source.iterdir())
  if needed and empty:
    raise errors.DataError("an empty folder", path=source, expected=needed)


def check_writer(file_format: str) -> None:
  """Raises a UsageError if TFRecords are asked for without TensorFlow."""
  if file_format == "tfrecord" and not importlib.util.find_spec("tensorflow"):
    raise extras.not_installed(
      "TFRecords are written",
      "tensorflow",
      "data",
      otherwise="build with --file_format=array_record",
    )


def check_lifting(
  source: pathlib.Path | None,
  fps: float | None,
  lifting: lifted_folder.Options,
) -> None:
  """Raises a UsageError for options of lifting where nothing is lifted."""
  if source and fps is not None and _has_lifted_clips(source):
    raise errors.UsageError(
      f"{fps:g} frames a second of lifted clips, which have their own",
      path=source,
      hint="Leave --fps out, or lift with it",
    )
  usual = dataclasses.replace(lifted_folder.DEFAULT, skeleton=lifting.skeleton)
  if lifting != usual and not is_keypoints(source):
    raise errors.UsageError(
      "options of lifting, but nothing to lift",
      path=source,
      expected="keypoints",
      hint="Leave --mode, --policy and --condense out",
    )


def check_workers(
  source: pathlib.Path | None,
  runner: beam.Runner | None,
  output: paths.AnyPath,
) -> None:
  """Raises a UsageError for poses that workers of other machines do not see."""
  if (
    runner
    and runner.name != beam.DIRECT
    and paths.is_remote(output)
    and not is_keypoints(source)
  ):
    raise errors.UsageError(
      f"--beam={runner.name} of poses, with nothing to lift, into a bucket",
      path=source,
      expected="keypoints, whose files are sent to the workers",
      hint="Build without --beam: it takes minutes",
    )


def check_names(
  source: pathlib.Path | None, names: pathlib.Path | None
) -> None:
  """Raises a UsageError for names of signs that cannot be used."""
  if names is None:
    return
  if not names.is_file():
    raise errors.UsageError("no such file", path=names, expected="--names=FILE")
  if not is_keypoints(source):
    raise errors.UsageError(
      "names of signs, but nothing to lift",
      path=source,
      expected="landmark recordings",
      hint="Leave --names out",
    )


def is_keypoints(source: pathlib.Path | None) -> bool:
  """Whether the input holds keypoints, not poses in 3-D."""
  return source is not None and (
    source.is_file()
    or not (any(source.glob("*.skels")) or _has_lifted_clips(source))
  )


def _has_lifted_clips(source: pathlib.Path) -> bool:
  """Whether a folder or the folder of one of its splits has lifted clips."""
  if not source.is_dir():
    return False
  return lifted_folder.is_lifted(source) or any(
    map(find_splits.split_of, lifted_folder.folders(source))
  )

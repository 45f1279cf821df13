"""A request to build a data set: checked as far as it can be, before work."""

import dataclasses
import importlib
import importlib.util
import math
import os
import pathlib
from typing import Any

import tensorflow_datasets as tfds

from data_pipeline.building import record_reader
from data_pipeline.lifting import lift_folder, lifted_folder
from signllm_jax.core import errors

DATASETS = ("fingerspelling", "prompt2sign")  # packages beside this module
FILE_FORMATS = ("tfrecord", "array_record")
_INSTALL = 'Install the extra: pip install -e ".[data]"'


@dataclasses.dataclass(frozen=True)
class Plan:
  """What a build will do, checked as far as it can be beforehand."""

  name: str  # data set and configuration, e.g. prompt2sign/gsl
  builder_class: type[tfds.core.DatasetBuilder]
  config: tfds.core.BuilderConfig
  output: pathlib.Path  # root of all data sets
  folder: pathlib.Path  # the records' own
  input: pathlib.Path | None
  file_format: str
  shards: int | None
  exists: bool  # whether there is a complete build to reuse
  keypoints: bool  # whether the input is to be lifted first

  @property
  def lifted(self) -> pathlib.Path:
    """Where lifted clips wait for the build, split by split."""
    return self.output / ".lifted" / self.name

  @property
  def rate(self) -> float:
    """Frames a second of the configuration."""
    return vars(self.config)["fps"]

  @property
  def licence(self) -> str:
    """The terms of the data set."""
    if self.exists:
      return record_reader.open_build(
        self.folder
      ).info.redistribution_info.license
    return self.new_builder().info.redistribution_info.license

  def new_builder(self) -> tfds.core.DatasetBuilder:
    """The builder that writes into the folder."""
    return self.builder_class(config=self.config, data_dir=self.output)


def plan(
  name: str,
  output: str | os.PathLike,
  *,
  input: str | os.PathLike | None = None,
  file_format: str = "tfrecord",
  shards: int | None = None,
  fps: float | None = None,
  options: lifted_folder.Options = lifted_folder.DEFAULT,
) -> Plan:
  """Checks a build's request; writes nothing. Arguments as in `prepare`.

  Raises:
    UsageError: no such data set, configuration or file format; the input is
      not what the data set takes; the folder holds a build in another form.
    DataError: the folder holds something that is not a complete build.
  """
  dataset, _, config = name.partition("/")
  if dataset not in DATASETS:
    raise errors.UsageError(
      f"unknown data set {name!r}",
      expected="one of " + ", ".join(DATASETS) + ", with its configuration",
    )
  try:
    importlib.import_module(f"data_pipeline.{dataset}")  # registers with tfds
  except ModuleNotFoundError as error:
    raise not_installed(f"{dataset} is built", error) from error
  builder_class = tfds.builder_cls(dataset)
  if config not in builder_class.builder_configs:
    raise errors.UsageError(
      f"unknown configuration {config!r} of {dataset}"
      if config
      else f"{dataset} needs a configuration",
      expected="one of "
      + ", ".join(
        f"{dataset}/{each}" for each in builder_class.builder_configs
      ),
    )
  if file_format not in FILE_FORMATS:
    raise errors.UsageError(
      f"unknown file format {file_format!r}",
      expected=" or ".join(FILE_FORMATS),
    )
  if shards is not None and shards < 1:
    raise errors.UsageError(f"{shards} shards", expected="at least 1")
  if "://" in os.fspath(output):
    raise errors.UsageError(
      "the output is not a local folder",
      path=output,
      hint="Build into a local folder and copy it there",
    )
  chosen = _at_rate(builder_class.builder_configs[config], fps)
  name = f"{dataset}/{chosen.name}"
  source = None if input is None else pathlib.Path(input)
  root = pathlib.Path(output)
  folder = root / name / str(builder_class.VERSION)
  exists = folder.exists()
  if exists:
    _check_same_form(folder, file_format, shards)
  else:
    _check_source(builder_class, source)
    _check_writer(file_format)
  keypoints = source is not None and not exists and _is_keypoints(source)
  if source and fps is not None and not exists and _lifted_in(source):
    raise errors.UsageError(
      f"{fps:g} frames a second of lifted clips, which have their own",
      path=source,
      hint="Leave --fps out, or lift with it",
    )
  if options != lifted_folder.DEFAULT and not exists and not keypoints:
    raise errors.UsageError(
      "options of lifting, but nothing to lift",
      path=source,
      expected="keypoints",
      hint="Leave --mode, --policy and --condense out",
    )
  return Plan(
    name,
    builder_class,
    chosen,
    root,
    folder,
    source,
    file_format,
    shards,
    exists,
    keypoints,
  )


def not_installed(what: str, error: ModuleNotFoundError) -> errors.UsageError:
  """Says which package is missing, after what is done with it."""
  return errors.UsageError(
    f"{what} with the package {error.name}, which is not installed",
    hint=_INSTALL,
  )


def _is_keypoints(source: pathlib.Path) -> bool:
  """Whether a folder or file is taken for keypoints, not poses in 3-D."""
  return source.is_file() or not (
    any(source.glob("*.skels")) or _lifted_in(source)
  )


def _lifted_in(source: pathlib.Path) -> bool:
  """Whether a folder is one of lifted clips, or has some as a split."""
  folders = (source, *(source / split for split in lift_folder.SPLITS))
  return any(map(lifted_folder.is_one, folders))


def _at_rate(
  config: tfds.core.BuilderConfig, fps: float | None
) -> tfds.core.BuilderConfig:
  """The configuration at a frame rate; tfds wants a new name for a new one."""
  if fps is None:
    return config
  if not 0 < fps < math.inf:
    raise errors.UsageError(
      f"{fps:g} frames a second", expected="a number above 0"
    )
  if fps == vars(config)["fps"]:
    return config
  return dataclasses.replace(config, name=f"{config.name}_{fps:g}fps", fps=fps)


def _check_same_form(
  folder: pathlib.Path, file_format: str, shards: int | None
) -> None:
  """A reused build must be what was asked for."""
  info: Any = record_reader.open_build(
    folder
  ).info  # annotated too widely by tfds
  if info.file_format.value != file_format:
    raise errors.UsageError(
      f"holds a build as {info.file_format.value}, not {file_format}",
      path=folder,
      hint=f"{record_reader.REBUILD}, or use another output folder",
    )
  for name, split in info.splits.items():
    if shards is not None and split.num_shards != shards:
      raise errors.UsageError(
        f"holds a build with {split.num_shards} shards in {name}, not {shards}",
        path=folder,
        hint=f"{record_reader.REBUILD}, or use another output folder",
      )


def _check_source(
  builder_class: type[tfds.core.DatasetBuilder], source: pathlib.Path | None
) -> None:
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


def _check_writer(file_format: str) -> None:
  if file_format == "tfrecord" and not importlib.util.find_spec("tensorflow"):
    raise errors.UsageError(
      "tensorflow-datasets writes TFRecords through TensorFlow, which is not "
      "installed",
      hint=f"{_INSTALL}, or build with the file format array_record",
    )

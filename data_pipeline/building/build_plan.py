"""Checks a request to build a data set and plans the build."""

import dataclasses
import functools
import hashlib
import importlib
import os
import pathlib

import tensorflow_datasets as tfds

from data_pipeline.building import (
  beam,
  bucket_build,
  build_checks,
  held_out,
  record_reader,
  record_store,
)
from data_pipeline.corpora import corpus, recognise
from data_pipeline.keypoints import find_splits
from data_pipeline.lifting import lifted_folder
from signllm_jax.core import buckets, errors, extras, foreign_files, paths
from signllm_jax.core.skeleton import PROMPT2SIGN50
from signllm_jax.formats import dataset_info

DATASETS = ("fingerspelling", "prompt2sign")  # packages of data_pipeline


@dataclasses.dataclass(frozen=True, kw_only=True)
class BuildPlan:
  """A build whose request has been checked before any work."""

  name: str  # data set and configuration, e.g. prompt2sign/gsl
  builder_class: type[tfds.core.DatasetBuilder]
  config: tfds.core.BuilderConfig
  output: pathlib.Path  # root folder of all data sets
  folder: pathlib.Path  # folder of the records
  input: pathlib.Path | None
  file_format: str
  shards: int | None
  size: tuple[int, int] | None  # of the picture, where keypoints do not say
  names: pathlib.Path | None  # file with the texts of signs
  lifting: lifted_folder.Options
  held_out: held_out.HeldOut  # clips of train that are set aside
  runner: beam.Runner | None = None  # of Apache Beam, whose workers build
  exists: bool = False  # whether the folder holds a complete build to reuse
  bucket: buckets.BucketPath | None = None  # folder of the records in one
  rate: float | None = None  # the requested rate
  stated_licence: str | None = None  # of --licence

  @property
  def target(self) -> paths.AnyPath:
    """Folder of the records once they are complete."""
    return self.bucket or self.folder

  @property
  def fps(self) -> float:
    """Frames a second, of the source or of fingerspelling's records."""
    return vars(self.config)["fps"] if self.rate is None else self.rate

  @property
  def keypoints(self) -> bool:
    """Whether the input has to be lifted first."""
    return not self.exists and build_checks.is_keypoints(self.input)

  @property
  def lifted(self) -> pathlib.Path:
    """Folder of the lifted clips until the build is complete."""
    return self.output / ".lifted" / self.name

  @property
  def store(self) -> record_store.Store:
    """What workers of Apache Beam leave for each other until it is complete."""
    root = self.output if self.bucket is None else self.bucket.parent.parent
    if self.bucket is not None:
      root = root.parent
    options = hashlib.sha256(repr(self.lifting).encode()).hexdigest()[:16]
    return record_store.Store(paths.resolve(root, ".beam", self.name, options))

  @property
  def licence(self) -> str:
    """The terms of the data set."""
    if self.exists:
      return record_reader.open_build(self.target).license
    if self.recognised:
      return self.recognised.corpus.licence
    return self.new_builder().info.redistribution_info.license

  @functools.cached_property
  def recognised(self) -> corpus.Recognised | None:
    """The corpus of the input, found once; None if there is nothing to find.

    Raises:
      DataError, UsageError, StorageError: as `recognise.recognise`.
    """
    if self.exists or self.input is None:
      return None
    request = corpus.Request(
      self.input,
      self.rate,
      self.size,
      self.lifting.skeleton,
      self.names,
      vars(self.config)["language"],
    )
    if lifted_folder.is_lifted(self.input) or not (
      self.keypoints or find_splits.stems(self.input)
    ):
      found = corpus.Recognised(corpus.UNKNOWN, fps=self.fps)
    else:
      found = recognise.recognise(request)
    return recognise.with_licence(found, self.stated_licence)

  @property
  def signers(self) -> dict[str, dict[str, str]]:
    """The signer of each clip that has one, by split and name."""
    if self.recognised is None:
      return {}
    return self.recognised.signers | {
      split: {each.name: each.signer for each in sources if each.signer}
      for split, sources in self.recognised.splits.items()
    }

  def new_builder(self) -> tfds.core.DatasetBuilder:
    """The builder that writes into the folder."""
    return self.builder_class(config=self.config, data_dir=self.output)

  @property
  def present(self) -> list[str]:
    """The splits of the input."""
    if self.recognised is None or self.input is None:
      return []
    known = self.recognised.splits or self.recognised.poses
    lifted = lifted_folder.folders(self.input) if self.input.is_dir() else []
    return [*known, *find_splits.places(lifted, self.input)]


def make_plan(
  name: str,
  output: str | os.PathLike,
  *,
  input: str | os.PathLike | None = None,
  file_format: str = "tfrecord",
  shards: int | None = None,
  fps: float | None = None,
  size: tuple[int, int] | None = None,
  names: str | os.PathLike | None = None,
  lifting: lifted_folder.Options = lifted_folder.DEFAULT,
  apart: held_out.HeldOut = held_out.NONE,
  licence: str | None = None,
  runner: beam.Runner | None = None,
) -> BuildPlan:
  """Checks a request to build a data set; writes nothing.

  Args:
    name: data set and configuration, e.g. prompt2sign/gsl.
    output: root of all data sets; the records go to <output>/<name>/<version>.
    input: folder of the source files, for data sets that are made from files.
    file_format: tfrecord (needs TensorFlow) or array_record.
    shards: files a split; chosen by size if not given.
    fps: frames a second of the source, or of fingerspelling's records.
    size: width and height of the picture, where keypoints do not say.
    names: file with the texts of signs, of landmark recordings.
    lifting: options of lifting; its skeleton is part of the configuration.
    apart: clips of train to set aside as dev and test.
    licence: the terms of the input, or a file with them; else its corpus's.
    runner: of Apache Beam, whose workers make the records.

  Raises:
    UsageError: no such data set or form; another input or build; `beam.check`.
    DataError: the folder holds something else than a complete build.
  """
  build_checks.check_output(output, file_format, shards, fps)
  builder_class, config = _find_config(_with_skeleton(name, lifting.skeleton))
  beam.check(builder_class, runner)
  name = f"{builder_class.name}/{config.name}"
  folder = pathlib.Path(output, name, str(builder_class.VERSION))
  plan = BuildPlan(
    name=name,
    builder_class=builder_class,
    config=config,
    output=pathlib.Path(output),
    folder=folder,
    input=None if input is None else pathlib.Path(input),
    file_format=file_format,
    shards=shards,
    size=size,
    names=None if names is None else pathlib.Path(names),
    lifting=dataclasses.replace(lifting, skeleton=_skeleton_of(config)),
    held_out=apart,
    runner=runner,
    rate=fps,
    stated_licence=licence,
  )
  plan = _placed(plan, output)
  _check(plan)
  return plan


def _placed(plan: BuildPlan, output: str | os.PathLike) -> BuildPlan:
  """The plan with its place, and whether there is a build.

  One for a bucket is made in a folder of this machine.

  Raises:
    StorageError: the bucket does not answer.
  """
  if not paths.is_remote(output):
    return dataclasses.replace(plan, exists=plan.folder.exists())
  root = buckets.BucketPath(output)
  inside = f"{plan.name}/{plan.builder_class.VERSION}"
  request = (plan.name, plan.input, plan.names, plan.rate, plan.size)
  form = (plan.file_format, plan.shards, plan.lifting, plan.held_out)
  local = bucket_build.local_output(
    output, *request, *form, plan.stated_licence
  )
  return dataclasses.replace(
    plan,
    output=local,
    folder=local / inside,
    bucket=root / inside,
    exists=foreign_files.exists(root / inside / dataset_info.INFO),
  )


def _check(plan: BuildPlan) -> None:
  """Checks the source of a new build, or the form of an existing one.

  Raises:
    UsageError, DataError: as `make_plan`.
  """
  if plan.exists:
    build_checks.check_same_form(plan.target, plan.file_format, plan.shards)
    usual = vars(plan.config)["fps"]
    build_checks.check_same_clips(plan.target, plan.rate, usual, plan.held_out)
    return
  build_checks.check_source(plan.builder_class, plan.input)
  build_checks.check_writer(plan.file_format)
  build_checks.check_lifting(plan.input, plan.rate, plan.lifting)
  build_checks.check_workers(plan.input, plan.runner, plan.target)
  build_checks.check_names(plan.input, plan.names)
  if plan.held_out.sizes:
    build_checks.check_held_out(
      plan.builder_class, plan.input, plan.present, plan.held_out
    )


def _skeleton_of(config: tfds.core.BuilderConfig) -> str:
  """The skeleton of a configuration."""
  return vars(config).get("skeleton", PROMPT2SIGN50.name)


def _with_skeleton(name: str, skeleton: str) -> str:
  """The name of a configuration with a skeleton other than the default."""
  if skeleton == PROMPT2SIGN50.name:
    return name
  return f"{name.removesuffix(f'_{skeleton}')}_{skeleton}"


def _find_config(
  name: str,
) -> tuple[type[tfds.core.DatasetBuilder], tfds.core.BuilderConfig]:
  """The builder class and configuration of `<data set>/<configuration>`.

  Raises:
    UsageError: no such data set or configuration, or a package that it needs
      is not installed.
  """
  dataset, _, config_name = name.partition("/")
  if dataset not in DATASETS:
    raise errors.UsageError(
      f"unknown data set {name!r}",
      expected="one of " + ", ".join(DATASETS) + ", with its configuration",
    )
  try:
    importlib.import_module(f"data_pipeline.{dataset}")  # registers with tfds
  except ModuleNotFoundError as error:
    raise extras.not_installed(
      f"{dataset} is built", error.name, "data"
    ) from error
  builder_class = tfds.builder_cls(dataset)
  configs = builder_class.builder_configs
  if config_name not in configs:
    raise errors.UsageError(
      f"unknown configuration {config_name!r} of {dataset}"
      if config_name
      else f"{dataset} needs a configuration",
      expected="one of " + ", ".join(f"{dataset}/{key}" for key in configs),
    )
  return builder_class, configs[config_name]

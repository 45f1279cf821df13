"""The work directory of a run.

config.json      the resolved configuration
vocabulary.json  corpus info, which generation needs
checkpoints/     one folder a step; quarantine/ holds damaged ones
events.*         of TensorBoard; rows/, languages/ and a folder named after the
                 split have those of what the run is compared with
mlflow/          database and artifacts, with `writers=mlflow`
report.json      the last evaluation
initial.json     the trained run whose weights it began with, with --init
lock             names the process that trains here

It may be in a bucket, where objects take the place of files and `bucket_lock`
that of the lock.
"""

import contextlib
import dataclasses
import os
from collections.abc import Callable, Iterator
from typing import Any

import jax

from signllm_jax import config as config_lib
from signllm_jax.core import (
  atomic_files,
  buckets,
  errors,
  foreign_files,
  limits,
  paths,
)
from signllm_jax.data import corpus_info
from signllm_jax.runs import (
  bucket_lock,
  literal_paths,
  resume_check,
  stored_config,
  workdir_lock,
)


@dataclasses.dataclass(frozen=True)
class WorkDir:
  """An open work directory; with several processes, process 0 writes."""

  path: paths.AnyPath  # absolute
  first: bool  # whether this is process 0
  check_lock: Callable[[], None] = lambda: None  # StorageError where it is lost

  @property
  def checkpoints(self) -> paths.AnyPath:
    """Folder of `checkpointer.Checkpoints`."""
    return self.path / "checkpoints"

  @property
  def report(self) -> paths.AnyPath:
    """JSON of the last evaluation."""
    return self.path / "report.json"

  @property
  def vocabulary(self) -> paths.AnyPath:
    """JSON of `corpus_info.to_json`."""
    return self.path / "vocabulary.json"

  def read_history(self, step: int) -> list[dict[str, float]]:
    """Step, seconds of training and score of the evaluations until a step.

    Empty where the report is of an older version, or is not there.
    """
    history = (read_report(self.path) or {}).get("history", [])
    with foreign_files.parsing(self.report, "report"):
      return [entry for entry in history if entry["step"] <= step]

  def write_text(self, path: paths.AnyPath, text: str) -> None:
    """Writes a file whole, on process 0."""
    if self.first:
      atomic_files.write_text(path, text)

  def check_corpus_infos(
    self, infos: dict[str, corpus_info.CorpusInfo]
  ) -> None:
    """Stores the corpus info, or compares it with what is stored.

    Raises:
      UsageError: the run was trained on other data.
    """
    if not foreign_files.exists(self.vocabulary):
      self.write_text(self.vocabulary, corpus_info.to_json(infos))
      return
    compare_corpus_infos(self.path, infos)


def compare_corpus_infos(
  path: str | os.PathLike, infos: dict[str, corpus_info.CorpusInfo]
) -> None:
  """Compares the corpus info with that of a work directory, if it has one.

  Raises:
    UsageError: the run was trained on other data.
  """
  file = paths.absolute(path, "vocabulary.json")
  if foreign_files.exists(file):
    resume_check.compare_corpora(read_corpus_infos(path), infos, file)


def _compare_config(path: paths.AnyPath, config: config_lib.Experiment) -> bool:
  """Compares the configuration with the stored one.

  Returns:
    Whether it must be stored: there is none yet, or a field differs that may.

  Raises:
    UsageError: a field differs that may not.
    StorageError: there are checkpoints but no configuration.
  """
  if not foreign_files.exists(path / "config.json"):
    if has_checkpoints(path):
      raise errors.StorageError(
        "there are checkpoints but no config.json",
        path=path,
        hint="Bring the file back, or use another --workdir",
      )
    return True
  stored = read_config(path, resume=True)
  return resume_check.compare_config(stored, config, path)


def has_checkpoints(path: str | os.PathLike) -> bool:
  """Whether there is a folder of a step in a work directory, whole or not.

  Raises:
    StorageError: a bucket does not answer.
  """
  folder = paths.absolute(path, "checkpoints")
  return foreign_files.exists(folder) and any(
    each.name[:1].isdigit() for each in folder.iterdir()
  )


def _folder_of(path: str | os.PathLike) -> paths.AnyPath:
  folder = paths.absolute(path)
  if not isinstance(folder, buckets.BucketPath):
    literal_paths.check(folder)
  return folder


def _lock(
  folder: paths.AnyPath,
) -> bucket_lock.BucketLock | workdir_lock.FileLock:
  if isinstance(folder, buckets.BucketPath):
    return bucket_lock.BucketLock(folder)
  return workdir_lock.FileLock(folder)


def check_workdir(
  path: str | os.PathLike, config: config_lib.Experiment
) -> None:
  """Refuses what `open_workdir` would refuse; makes and changes nothing.

  Args:
    path: relative or absolute.
    config: of the run that is to start or to go on.

  Raises:
    StorageError, UsageError: as `open_workdir`.
  """
  folder = _folder_of(path)
  if jax.process_index() != 0:
    return
  atomic_files.check_writable(folder, "--workdir")
  if isinstance(folder, buckets.BucketPath):
    bucket_lock.check_free(folder)
  else:
    workdir_lock.check_free(folder)
  _compare_config(folder, config)


@contextlib.contextmanager
def open_workdir(
  path: str | os.PathLike, config: config_lib.Experiment
) -> Iterator[WorkDir]:
  """Makes or opens a work directory for training and locks it.

  With several processes, process 0 does all of it.

  Args:
    path: relative or absolute.
    config: stored by the first run, compared by later ones.

  Raises:
    StorageError: it cannot be made or written.
    UsageError: another process trains here (names it), or another
      configuration was trained here (names the fields).
  """
  folder = _folder_of(path)
  if jax.process_index() != 0:
    yield WorkDir(folder, first=False)
    return
  atomic_files.check_writable(folder, "--workdir")
  atomic_files.make_folder(folder)
  lock = _lock(folder)
  try:
    if _compare_config(folder, config):
      text = stored_config.to_json(config)
      atomic_files.write_text(folder / "config.json", text)
    yield WorkDir(folder, first=True, check_lock=lock.check)
  finally:
    lock.release()


def _read(path: str | os.PathLike, name: str) -> str:
  file = paths.absolute(path, name)
  if not foreign_files.exists(file):
    raise errors.UsageError(
      "not the work directory of a run",
      path=file.parent,
      expected=f"{name} in it",
      hint="Name the --workdir of a training run",
    )
  data = foreign_files.read(file, limits.MAX_JSON)
  with foreign_files.parsing(file, "text in UTF-8"):
    return data.decode()


def read_report(workdir: str | os.PathLike) -> dict[str, Any] | None:
  """Reads the last evaluation of a run; None before the first.

  Raises:
    DataError: the file is damaged.
    StorageError: it cannot be read.
  """
  path = paths.resolve(workdir, "report.json")
  try:
    if not foreign_files.exists(path):
      return None
    return foreign_files.read_json(path, finite=False)  # 0.1 wrote NaN
  except errors.DataError as error:
    raise errors.DataError(
      f"not the report of a run: {error}",
      path=path,
      hint="Remove it; training writes a new one",
    ) from error


def read_config(
  workdir: str | os.PathLike, *, resume: bool = False
) -> config_lib.Experiment:
  """Reads the configuration of a run.

  Args:
    workdir: of the run.
    resume: whether its training shall be resumed.

  Raises:
    UsageError: not a work directory.
    DataError: the file is damaged or of another version; with `resume`, also
      of a version that trained otherwise.
  """
  text = _read(workdir, "config.json")
  try:
    if resume:
      stored_config.check_resumable(text)
    return stored_config.from_json(text)
  except (errors.DataError, TypeError) as error:
    path = paths.resolve(workdir, "config.json")
    raise errors.DataError(str(error), path=path) from error


def read_corpus_infos(
  workdir: str | os.PathLike,
) -> dict[str, corpus_info.CorpusInfo]:
  """Reads the corpus info of a run, by language.

  Raises:
    UsageError: not a work directory.
    DataError: the file is damaged.
  """
  text = _read(workdir, "vocabulary.json")
  try:
    return corpus_info.from_json(text)
  except errors.DataError as error:
    path = paths.resolve(workdir, "vocabulary.json")
    raise errors.DataError(str(error), path=path) from error

"""Lifts the keypoints of many clips into a folder; may be interrupted.

Every clip is written atomically as soon as it is lifted. A rerun continues with
the clips that are missing or whose files have changed. The content of the
folder depends on the keypoints and the options alone, not on interruptions or
on the number of workers.
"""

import concurrent.futures
import dataclasses
import functools
import itertools
import os
import pathlib
from collections.abc import Callable, Sequence

import tqdm

from data_pipeline.keypoints import find_clips, read_clips, recordings
from data_pipeline.lifting import (
  clip_lifting,
  lifted_folder,
  quality,
  stage_files,
)
from signllm_jax.core import atomic_files, clips, errors

_CHUNK = 64  # clips lifted a call
_WRITERS = 8  # threads: a file is flushed to disk, which is waiting for most


@dataclasses.dataclass(frozen=True)
class Outcome:
  """Names of the clips of a run by their outcome."""

  lifted: list[str] = dataclasses.field(default_factory=list)
  reused: list[str] = dataclasses.field(default_factory=list)
  dropped: list[str] = dataclasses.field(default_factory=list)  # by the policy
  failed: dict[str, errors.SignLLMError] = dataclasses.field(
    default_factory=dict
  )

  def describe(self, place: str | os.PathLike) -> str:
    """The summary of a run, one line."""
    counts = {
      "lifted": self.lifted,
      "lifted before": self.reused,
      "dropped": self.dropped,
      "bad": self.failed,
    }
    summary = ", ".join(f"{len(v)} {k}" for k, v in counts.items() if v)
    return f"{summary or 'no clips'}: {place}"


def lift_clips(
  sources: Sequence[find_clips.Source],
  output: str | os.PathLike,
  options: lifted_folder.Options,
  *,
  write_stages: bool = False,
  for_records: bool = False,
  workers: int | None = None,
) -> Outcome:
  """Lifts the clips that the folder lacks. A bad clip does not stop the others.

  Args:
    sources: the clips, each name once.
    output: folder of the lifted clips, made if it is not there.
    options: of lifting.
    write_stages: also write the texts <name>/1.txt to 5.txt of every clip.
    for_records: the folder belongs to a build: a clip without a text is a bad
      one, and lifted clips that are not among the sources are removed.
    workers: processes that read; one a core if not given.

  Raises:
    UsageError: the folder was made with other options or of other clips, or
      another process lifts into it.
    StorageError: it cannot be written.
  """
  folder = pathlib.Path(output)
  atomic_files.make_folder(folder)
  with lifted_folder.locked(folder):
    lifted_folder.claim(folder, options)
    run = _Run(folder, options, write_stages, for_records)
    remaining = run.select(sources)
    with tqdm.tqdm(
      total=len(sources),
      initial=len(sources) - len(remaining),
      desc="lifting",
      unit="clip",
      disable=None,  # shown in a terminal only
    ) as bar:
      clips_read = read_clips.read_all(remaining, workers)
      while chunk := list(itertools.islice(clips_read, _CHUNK)):
        run.lift(chunk)
        bar.update(len(chunk))
  return run.outcome


def _check(source: find_clips.Source, text_required: bool) -> str:
  """Checks that a clip can be lifted; returns its `lifted_folder.digest`.

  Raises:
    DataError: its name cannot name a file, it needs a text and has none, or
      finding it has shown a fault.
    StorageError: a file is gone or cannot be examined.
  """
  if source.fault:
    raise source.fault
  lifted_folder.check_name(source.name, sign=bool(source.sign))
  if text_required and not source.text:
    raise errors.DataError(
      f"clip {source.name!r} has no text",
      expected="its name in clips.files and a sentence in the same line of "
      "clips.text, beside the keypoints",
    )
  return lifted_folder.digest(source)


def check(
  sources: Sequence[find_clips.Source], text_required: bool
) -> tuple[dict[str, str], dict[str, errors.SignLLMError]]:
  """Checks what can be seen of clips before they are read.

  Returns:
    `lifted_folder.digest` of each clip that can be lifted, and the fault of
    each other one, by name.
  """
  digests, faults = {}, {}
  copies = recordings.copies(sources)
  for source in sources:
    try:
      if source.name in copies:
        raise errors.DataError(
          f"a copy of {copies[source.name]}, byte by byte",
          hint="Remove one of them",
        )
      digests[source.name] = _check(source, text_required)
    except errors.SignLLMError as error:
      faults[source.name] = error
  return digests, faults


@dataclasses.dataclass(frozen=True)
class _Run:
  """One call of `lift_clips`."""

  folder: pathlib.Path
  options: lifted_folder.Options
  write_stages: bool
  for_records: bool
  outcome: Outcome = dataclasses.field(default_factory=Outcome)
  digests: dict[str, str] = dataclasses.field(default_factory=dict)  # by name

  def select(
    self, sources: Sequence[find_clips.Source]
  ) -> list[find_clips.Source]:
    """The clips that remain to be lifted; removes what is out of date.

    Clips that are done or cannot be lifted are noted in the outcome.

    Raises:
      UsageError: the folder holds clips that are not among the sources.
    """
    previous = {  # of each record what is needed: there may be many
      name: {key: record[key] for key in ("made_from", "kept")}
      for name, record in lifted_folder.records(self.folder)
    }
    foreign = sorted(previous.keys() - {source.name for source in sources})
    if foreign and not self.for_records:
      raise errors.UsageError(
        f"holds {len(foreign)} lifted clips that are not in the input, e.g. "
        f"{foreign[0]!r}",
        path=self.folder,
        hint="Use another output folder, or remove them",
      )
    remaining = []
    digests, faults = check(sources, self.for_records)
    self.outcome.failed.update(faults)
    for source in sources:
      if (digest := digests.get(source.name)) is None:
        continue
      record = previous.get(source.name, {"made_from": "", "kept": False})
      if record["made_from"] != digest or (
        record["kept"] and not self._is_complete(source.name)
      ):
        self.digests[source.name] = digest
        remaining.append(source)
      elif record["kept"]:
        self.outcome.reused.append(source.name)
      else:
        self.outcome.dropped.append(source.name)
    done = {*self.outcome.reused, *self.outcome.dropped}
    for name in previous.keys() - done:
      lifted_folder.remove(self.folder, name)
    return remaining

  def _is_complete(self, name: str) -> bool:
    """Whether all files of a clip that was kept are there."""
    return (self.folder / f"{name}.npz").exists() and (
      not self.write_stages
      or (self.folder / name / stage_files.NAMES[-1]).exists()
    )

  def lift(
    self,
    chunk: Sequence[
      tuple[find_clips.Source, clips.Keypoints | errors.SignLLMError]
    ],
  ) -> None:
    """Lifts and writes some clips."""
    writes = []
    for each in clip_lifting.lift(chunk, self.options, self.write_stages):
      if each.measured is None:
        assert each.fault is not None
        self.outcome.failed[each.name] = each.fault
        continue
      writes.append(functools.partial(self._write, each, each.measured))
      done = self.outcome.lifted if each.clip else self.outcome.dropped
      done.append(each.name)
    _run_all(writes)

  def _write(
    self, result: clip_lifting.Result, measured: quality.Quality
  ) -> None:
    name = result.name
    if result.stages:
      stage_files.write(self.folder / name, result.stages)
    made_from = self.digests[name]
    lifted_folder.write(self.folder, name, result.clip, measured, made_from)


def _run_all(calls: Sequence[Callable[[], None]]) -> None:
  """Runs calls in threads; on an error or signal those begun are awaited."""
  threads = concurrent.futures.ThreadPoolExecutor(_WRITERS)
  try:
    for future in [threads.submit(call) for call in calls]:
      future.result()
  finally:
    threads.shutdown(cancel_futures=True)

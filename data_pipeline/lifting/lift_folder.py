"""Keypoints of many clips -> a folder of lifted clips, stoppable at any time.

Every clip is written as soon as it is lifted, whole or not at all. A rerun goes
on with the clips that are not there yet, or whose files have changed. What is
in the folder at the end follows from the keypoints and the options alone, not
from how often it was stopped or how many workers read.
"""

import dataclasses
import itertools
import os
import pathlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import tqdm

from data_pipeline.keypoints import cleaning, find_clips
from data_pipeline.lifting import lifted_folder, lifter, quality, stage_files
from data_pipeline.texts import normalisation
from signllm_jax.core import atomic_files, clips, errors

SPLITS = ("train", "dev", "test")
_CHUNK = 64  # clips lifted a call


@dataclasses.dataclass(frozen=True)
class Outcome:
  """What became of the clips of a run, by name."""

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
    said = ", ".join(f"{len(v)} {k}" for k, v in counts.items() if v)
    return f"{said or 'no clips'}: {place}"


def find_splits(
  path: str | os.PathLike, **found: Any
) -> dict[str, list[find_clips.Source]]:
  """Keypoints by split: of folders train, dev and test, or all of it train.

  Args:
    path: file or folder.
    **found: further arguments of `find_clips.find`.

  Raises:
    DataError: as `find_clips.find`; a folder dev or test but no train, or other
      folders beside train.
  """
  path = pathlib.Path(path)
  present = [split for split in SPLITS if (path / split).is_dir()]
  if not present:
    return {"train": find_clips.find(path, **found)}
  if "train" not in present:
    raise errors.DataError(
      f"a folder {present[0]} but no train", path=path, expected="train"
    )
  others = sorted(
    each.name
    for each in path.iterdir()
    if each.is_dir() and each.name not in SPLITS and each.name[0] != "."
  )
  if others:
    raise errors.DataError(
      f"a folder {others[0]!r} beside train",
      path=path,
      expected="train, dev and test only",
      hint="Name the splits so; move elsewhere what is none",
    )
  return {split: find_clips.find(path / split, **found) for split in present}


def lift_all(
  sources: Sequence[find_clips.Source],
  output: str | os.PathLike,
  options: lifted_folder.Options,
  *,
  five_texts: bool = False,
  for_records: bool = False,
  workers: int | None = None,
) -> Outcome:
  """Lifts what is not lifted yet. A bad clip does not stop its siblings.

  Args:
    sources: the clips, each name once.
    output: folder of the lifted clips, made if it is not there.
    options: how.
    five_texts: also write the five texts <name>/1.txt to 5.txt of every clip.
    for_records: the folder is a build's own: a clip without a text is a bad
      one, and lifted clips that are not among the sources are removed.
    workers: processes that read; as many as there are cores if not given.

  Raises:
    UsageError: the folder was made with other options or of other clips, or
      another process lifts into it.
    StorageError: it cannot be written.
  """
  folder = pathlib.Path(output)
  atomic_files.make_folder(folder)
  with lifted_folder.alone(folder):
    lifted_folder.claim(folder, options)
    before = {
      name: (record["made_from"], record["kept"])
      for name, record in lifted_folder.records(folder)
    }
    others = sorted(before.keys() - {source.name for source in sources})
    if others and not for_records:
      raise errors.UsageError(
        f"holds lifted clips that the input has not: {others[0]!r} for one, "
        f"{len(others)} in all",
        path=folder,
        hint="Use another output folder, or remove them",
      )
    run = _Run(folder, options, five_texts, Outcome(), {})
    todo = []
    for source in sources:
      try:
        digest = _check(source, for_records)
      except errors.SignLLMError as error:
        run.outcome.failed[source.name] = error
        continue
      made_from, kept = before.get(source.name, ("", False))
      if made_from != digest or (kept and not run.has(source.name)):
        run.digests[source.name] = digest
        todo.append(source)
      elif kept:
        run.outcome.reused.append(source.name)
      else:
        run.outcome.dropped.append(source.name)
    for name in before.keys() - {*run.outcome.reused, *run.outcome.dropped}:
      lifted_folder.remove(folder, name)
    with tqdm.tqdm(
      total=len(sources),
      initial=len(sources) - len(todo),
      desc="lifting",
      unit="clip",
      disable=None,  # shown in a terminal only
    ) as bar:
      for chunk in _chunks(find_clips.read_each(todo, workers), _CHUNK):
        run.lift(chunk)
        bar.update(len(chunk))
  return run.outcome


def _check(source: find_clips.Source, need_text: bool) -> str:
  """Digest of a clip's sources, `lifted_folder.digest`, if it can be lifted."""
  lifted_folder.check_name(source.name)
  if need_text and not source.text:
    raise errors.DataError(
      f"clip {source.name!r} has no text",
      expected="its name in clips.files and a sentence in the same line of "
      "clips.text, beside the keypoints",
    )
  return lifted_folder.digest(source)


def _chunks(items: Iterable, size: int) -> Iterator[list]:
  items = iter(items)
  while chunk := list(itertools.islice(items, size)):
    yield chunk


@dataclasses.dataclass(frozen=True)
class _Run:
  """One call of `lift_all`."""

  folder: pathlib.Path
  options: lifted_folder.Options
  five_texts: bool
  outcome: Outcome
  digests: dict[str, str]  # name -> what the clip is made from

  def has(self, name: str) -> bool:
    """Whether all that is wanted of a clip with a record is there."""
    return (self.folder / f"{name}.npz").exists() and (
      not self.five_texts
      or (self.folder / name / stage_files.NAMES[-1]).exists()
    )

  def lift(
    self,
    chunk: Sequence[
      tuple[find_clips.Source, clips.Keypoints | errors.SignLLMError]
    ],
  ) -> None:
    """Lifts and writes some clips."""
    pairs = []
    for source, seen in chunk:
      if isinstance(seen, errors.SignLLMError):
        self.outcome.failed[source.name] = seen
        continue
      if not seen.valid.any():
        self.outcome.failed[source.name] = errors.DataError(
          f"nobody is seen in any of {len(seen)} frames"
        )
        continue
      measured = quality.measure(seen)
      kept = quality.apply(self.options.policy, seen, measured)
      if kept is None:
        self._write(seen.name, None, measured)
        self.outcome.dropped.append(seen.name)
        continue
      if self.options.condense:
        kept = quality.condense(kept, self.options.condense)
      pairs.append((seen, kept))
    results = lifter.lift(
      [kept.frames for _, kept in pairs],
      mode=self.options.mode,
      keep_stages=self.five_texts,
    )
    for (seen, kept), result in zip(pairs, results, strict=True):
      try:
        clip = _normalised(kept, result)
      except errors.DataError as error:  # its text
        self.outcome.failed[seen.name] = error
        continue
      if result.stages:
        stage_files.write(self.folder / seen.name, result.stages)
      self._write(seen.name, clip, quality.measure(seen, result))
      self.outcome.lifted.append(seen.name)

  def _write(
    self, name: str, clip: clips.Clip | None, measured: quality.Quality
  ) -> None:
    lifted_folder.write(self.folder, name, clip, measured, self.digests[name])


def _normalised(seen: clips.Keypoints, result: lifter.Lifted) -> clips.Clip:
  """The lifted clip in the unit of the published stages, its text cleaned."""
  _, centre, scale = cleaning.normalise(seen.frames)
  frames = (result.frames - np.append(centre, 0)) / scale
  return clips.Clip(
    frames=np.where(result.valid[..., None], frames, 0).astype(np.float32),
    valid=result.valid,
    fps=seen.fps,
    name=seen.name,
    text=seen.text and normalisation.clean(seen.text),
    gloss=seen.gloss and normalisation.clean(seen.gloss),
  )

"""Keypoints of many clips -> a folder of lifted clips, stoppable at any time.

Every clip becomes <name>.npz (`formats/npz.py`, in the normalised unit of the
published stages) and <name>.json (its quality) as soon as it is lifted, each
file whole or absent. A rerun goes on with the clips that are not there yet;
what is in the folder at the end follows from the keypoints and the options
alone, not from how often it was stopped or how many workers read.
"""

import dataclasses
import itertools
import json
import os
import pathlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import tqdm

from data_pipeline import intake, keypoints, lift, quality, stages, texts
from data_pipeline.keypoints import Mode
from signllm_jax import clips, errors
from signllm_jax.formats import atomic, npz

OPTIONS = "lift.json"  # how a folder was made, beside its clips
SPLITS = ("train", "dev", "test")
_CHUNK = 64  # clips lifted a call


@dataclasses.dataclass(frozen=True)
class Options:
  """What decides the content of a folder of lifted clips."""

  mode: Mode = "fast"
  policy: quality.Policy = "keep"
  condense: str = ""  # of `quality.condense`; empty for all frames


DEFAULT = Options()


@dataclasses.dataclass(frozen=True)
class Outcome:
  """What became of the clips of a run, by name."""

  lifted: list[str]
  reused: list[str]
  dropped: list[str]  # by the policy
  failed: dict[str, errors.SignLLMError]

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


def lift_all(
  sources: Sequence[intake.Source],
  output: str | os.PathLike,
  options: Options,
  *,
  five_texts: bool = False,
  need_text: bool = False,
  workers: int | None = None,
) -> Outcome:
  """Lifts what is not lifted yet. A bad clip does not stop its siblings.

  Args:
    sources: the clips, each name once.
    output: folder of the lifted clips, made if it is not there.
    options: how.
    five_texts: also write the five texts <name>/1.txt to 5.txt of every clip.
    need_text: a clip without a text is a bad one.
    workers: processes that read; as many as there are cores if not given.

  Raises:
    UsageError: the folder was made with other options.
    StorageError: it cannot be written.
  """
  folder = pathlib.Path(output)
  _claim(folder, options)
  outcome = Outcome([], [], [], {})
  todo = []
  for source in sources:
    if source.name.startswith(".") or "/" in source.name:
      outcome.failed[source.name] = errors.DataError(
        f"{source.name!r} cannot name a file", hint="Rename the clip"
      )
    elif need_text and not source.text:
      outcome.failed[source.name] = errors.DataError(
        f"clip {source.name!r} has no text",
        expected="its name in clips.files and a sentence in the same line of "
        "clips.text, beside the keypoints",
      )
    elif not (folder / f"{source.name}.json").exists():
      todo.append(source)
    elif (folder / f"{source.name}.npz").exists():
      outcome.reused.append(source.name)
    else:
      outcome.dropped.append(source.name)
  with tqdm.tqdm(
    total=len(sources),
    initial=len(sources) - len(todo),
    desc="lifting",
    unit="clip",
    disable=None,  # shown in a terminal only
  ) as bar:
    for chunk in _chunks(intake.read_each(todo, workers), _CHUNK):
      _lift_chunk(chunk, folder, options, outcome, five_texts)
      bar.update(len(chunk))
  return outcome


def lifted_names(folder: str | os.PathLike) -> list[str]:
  """Names of the clips in a folder of `lift_all`, sorted.

  Raises:
    DataError: the folder is not one.
  """
  folder = pathlib.Path(folder)
  if not (folder / OPTIONS).exists():
    raise errors.DataError(
      f"no {OPTIONS}",
      path=folder,
      expected="a folder made by `python -m data_pipeline lift`",
    )
  return sorted(path.stem for path in folder.glob("*.npz"))


def read_clip(folder: str | os.PathLike, name: str) -> clips.Clip:
  """One lifted clip, in the normalised unit.

  Raises:
    DataError: its file is missing or damaged.
  """
  (clip,) = npz.read(pathlib.Path(folder, f"{name}.npz"))
  return clip


def exported(clip: clips.Clip, convention: str) -> clips.Clip:
  """A lifted clip in the unit of a convention of .skels.

  Prompt2Sign's is the normalised unit by 9; PT's has shoulders 1/3 apart.

  Raises:
    DataError: PT's needs a neck and shoulders.
  """
  if convention == "pt":
    return clips.canonical(clip)
  return dataclasses.replace(clip, frames=clip.frames / 9)


def find_splits(
  path: str | os.PathLike, **found: Any
) -> dict[str, list[intake.Source]]:
  """Keypoints by split: of folders train, dev and test, or all of it train.

  Args:
    path: file or folder.
    **found: further arguments of `intake.find`.

  Raises:
    DataError: as `intake.find`; a folder dev or test but no train.
  """
  path = pathlib.Path(path)
  present = [split for split in SPLITS if (path / split).is_dir()]
  if not present:
    return {"train": intake.find(path, **found)}
  if "train" not in present:
    raise errors.DataError("no folder train", path=path)
  return {split: intake.find(path / split, **found) for split in present}


def read_quality(folder: str | os.PathLike) -> Iterator[dict]:
  """The quality records of a folder of `lift_all`, by name."""
  for path in sorted(pathlib.Path(folder).glob("*.json")):
    if path.name != OPTIONS:
      yield json.loads(path.read_text(encoding="utf-8"))


def _claim(folder: pathlib.Path, options: Options) -> None:
  """Makes the folder, or checks that it was made with the same options."""
  try:
    folder.mkdir(parents=True, exist_ok=True)
  except OSError as error:
    raise errors.StorageError(
      f"cannot be made: {error}", path=folder
    ) from error
  file = folder / OPTIONS
  wanted = dataclasses.asdict(options)
  if not file.exists():
    if any(folder.iterdir()):
      raise errors.UsageError(
        f"holds files but no {OPTIONS}",
        path=folder,
        expected="a new folder, or one that an earlier lift left",
      )
    atomic.write_text(file, json.dumps(wanted, indent=2) + "\n")
    return
  found = json.loads(file.read_text(encoding="utf-8"))
  for name in sorted(wanted | found):
    if found.get(name) != wanted.get(name):
      raise errors.UsageError(
        f"was lifted with {name}={found.get(name)!r}, not {wanted.get(name)!r}",
        path=folder,
        hint="Use another output folder, or remove this one",
      )


def _chunks(items: Iterable, size: int) -> Iterator[list]:
  items = iter(items)
  while chunk := list(itertools.islice(items, size)):
    yield chunk


def _select(
  seen: clips.Keypoints, options: Options
) -> tuple[clips.Keypoints | None, quality.Quality]:
  """The frames that will be lifted, None for a clip that is dropped."""
  measured = quality.measure(seen)
  kept = quality.apply(options.policy, seen, measured)
  if kept is not None and options.condense:
    kept = quality.condense(kept, options.condense)
  return kept, measured


def _normalised(seen: clips.Keypoints, lifted: lift.Lifted) -> clips.Clip:
  """The lifted clip in the unit of the published stages, its text cleaned."""
  _, centre, scale = keypoints.normalise(seen.frames)
  frames = (lifted.frames - np.append(centre, 0)) / scale
  return clips.Clip(
    frames=np.where(lifted.valid[..., None], frames, 0).astype(np.float32),
    valid=lifted.valid,
    fps=seen.fps,
    name=seen.name,
    text=seen.text and texts.clean(texts.unquote(seen.text)),
    gloss=seen.gloss and texts.clean(seen.gloss),
  )


def lift_one(
  seen: clips.Keypoints, options: Options
) -> tuple[clips.Clip | None, quality.Quality]:
  """Lifts one clip by itself, as `lift_all` does it among many."""
  kept, measured = _select(seen, options)
  if kept is None:
    return None, measured
  (lifted,) = lift.lift([kept.frames], mode=options.mode, batch=1)
  return _normalised(kept, lifted), quality.measure(seen, lifted)


def _lift_chunk(
  chunk: Sequence[tuple[intake.Source, clips.Keypoints | errors.SignLLMError]],
  folder: pathlib.Path,
  options: Options,
  outcome: Outcome,
  five_texts: bool,
) -> None:
  pairs = []
  for source, seen in chunk:
    if isinstance(seen, errors.SignLLMError):
      outcome.failed[source.name] = seen
      continue
    kept, measured = _select(seen, options)
    if kept is None:
      _keep_record(folder, source.name, measured)
      outcome.dropped.append(source.name)
    else:
      pairs.append((seen, kept))
  results = lift.lift(
    [kept.frames for _, kept in pairs],
    mode=options.mode,
    keep_stages=five_texts,
  )
  for (seen, kept), lifted in zip(pairs, results, strict=True):
    try:
      clip = _normalised(kept, lifted)
    except errors.DataError as error:  # its text
      outcome.failed[seen.name] = error
      continue
    if lifted.stages:
      stages.write(folder / seen.name, lifted.stages)
    npz.write(folder / f"{seen.name}.npz", [clip])
    _keep_record(folder, seen.name, quality.measure(seen, lifted))
    outcome.lifted.append(seen.name)


def _keep_record(
  folder: pathlib.Path, name: str, measured: quality.Quality
) -> None:
  """Written last: a clip with its record is done."""
  text = json.dumps(dataclasses.asdict(measured), indent=2) + "\n"
  atomic.write_text(folder / f"{name}.json", text)

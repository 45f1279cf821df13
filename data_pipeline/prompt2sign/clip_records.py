"""Records of clips: of lifted ones, and of lines of .skels."""

import dataclasses
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from data_pipeline.building import held_out, streamed_builder
from data_pipeline.lifting import lifted_folder
from data_pipeline.texts import lemma_gloss, normalisation, prompts
from signllm_jax.core import clips, errors, languages
from signllm_jax.core import skeleton as skeleton_lib
from signllm_jax.data import records
from signllm_jax.formats import splits


def keep_good(
  entries: Sequence[Any],
  make: Callable[[Any], tuple[str, dict]],
  keep: Callable[[str, dict], streamed_builder.Kept],
) -> tuple[
  list[Any],
  Callable[[Any], streamed_builder.Kept],
  dict[str, errors.DataError],
]:
  """Makes the records of entries once, before any is written.

  Args:
    entries: of a split.
    make: makes the key and the record of an entry.
    keep: keeps a record.

  Returns:
    Good entries, what gives their kept records, and the faults of the others by
    name.
  """
  good, kept, faults = [], {}, {}
  for entry in entries:
    name = held_out.entry_name(entry)
    try:
      made = make(entry)
    except errors.DataError as error:
      faults[name] = error
      continue
    kept[name] = keep(*made)
    good.append(entry)
  return good, lambda entry: kept[held_out.entry_name(entry)], faults


def read_lifted(folder: pathlib.Path, name: str) -> clips.Clip:
  """The canonical clip of a folder of lifted clips.

  Raises:
    DataError: it is damaged, or has no text, neck or shoulders.
  """
  clip = lifted_folder.read(folder, name)
  path = folder / f"{name}.npz"
  if not clip.text:
    raise errors.DataError(
      "no text", path=path, hint="Lift it with clips.text beside the keypoints"
    )
  try:
    return clips.canonical(clip)
  except errors.DataError as error:
    raise errors.DataError(str(error), path=path) from error


def read_entry(
  folder: pathlib.Path,
  split: str,
  fps: float,
  size: tuple[int, int] | None,
  entry: splits.Entry,
) -> clips.Clip:
  """The canonical clip of a line of .skels, its texts cleaned.

  Raises:
    DataError: the line is damaged, or the clip has no neck or shoulders.
  """
  clip = splits.read_entry(folder, split, entry, fps, size)
  paths = {kind: folder / f"{split}.{kind}" for kind in ("text", "gloss")}
  texts = {
    kind: normalisation.clean(getattr(clip, kind), path=path, line=entry.number)
    for kind, path in paths.items()
    if getattr(clip, kind)
  }
  try:
    return dataclasses.replace(clips.canonical(clip), **texts)
  except errors.DataError as error:
    path = folder / f"{split}.skels"
    raise errors.DataError(str(error), path=path, line=entry.number) from error


def make(
  read: Callable[[Any], clips.Clip],
  recorder: Callable[[clips.Clip], tuple[str, dict]],
  entry: Any,
) -> tuple[str, dict]:
  """Reads a clip and makes its key and record."""
  return recorder(read(entry))


def record(
  code: str,
  skeleton: skeleton_lib.Skeleton,
  signers: Mapping[str, str],
  clip: clips.Clip,
) -> tuple[str, dict]:
  """Makes the key and the record of a clip, with its prompt and gloss.

  Args:
    code: of the sign language.
    skeleton: that the clip must have.
    signers: of clips, by name.
    clip: canonical.

  Raises:
    DataError: another skeleton, or no gloss can be made of the text.
  """
  skeleton_lib.check_same(clip.skeleton, skeleton, f"clip {clip.name!r}")
  spoken = languages.get(code).spoken
  gloss, made = lemma_gloss.complete(clip.gloss, clip.text, spoken)
  return clip.name, records.from_clip(
    dataclasses.replace(
      clip,
      gloss=gloss,
      prompt=prompts.make_prompt(clip.text, spoken, clip.name),
    ),
    language=code,
    gloss_made=made,
    signer=signers.get(clip.name, ""),
  )

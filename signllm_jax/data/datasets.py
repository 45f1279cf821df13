"""Opens data sets of clips: built ones and folders of .skels."""

import dataclasses
from collections.abc import Sequence
from typing import Protocol, TypeVar

import numpy as np

from signllm_jax import config
from signllm_jax.core import clips as clips_lib
from signllm_jax.core import errors, foreign_files, gloss, paths
from signllm_jax.core import skeleton as skeleton_lib
from signllm_jax.data import build_commands, records
from signllm_jax.formats import shards, splits

Example = TypeVar("Example", covariant=True)
SPLITS = ("train", "dev", "test")
_SPLIT_FILES = ("skels", "text", "prompt", "gloss", "files")


class Examples(Protocol[Example]):
  """Random access to the examples of a split."""

  def __len__(self) -> int: ...

  def __getitem__(self, index: int, /) -> Example: ...


Clips = Examples[clips_lib.Clip]


class _BuiltSplit:
  """A split of a data set that a builder wrote, read from disk on access."""

  def __init__(self, folder: paths.AnyPath, split: str, settings: config.Data):
    build = records.open_build(folder)
    if split not in build.splits:
      raise errors.DataError(
        f"no split {split!r}", path=folder, expected=str(list(build.splits))
      )
    self._language, part = settings.language, build.splits[split]
    self._skeleton = skeleton_lib.get(settings.skeleton)
    self._records = shards.Shards(
      part.paths, part.shard_lengths, build.file_format
    )

  def __len__(self) -> int:
    return len(self._records)

  def __getitem__(self, index: int) -> clips_lib.Clip:
    with self._records.place(index):
      record = records.decode(self._records[index])
      language = record["language"]
      if self._language and language != self._language:
        raise errors.DataError(
          f"it is in {language or 'no language'}",
          expected=self._language,
          hint="Set --config.data.language to the data set's",
        )
      clip = records.to_clip(record)
      skeleton_lib.check_same(clip.skeleton, self._skeleton, "it")
      return clip


def open_clips(settings: config.Data, split: str) -> Clips:
  """Opens a split of a built data set or of a folder of .skels files.

  Raises:
    DataError: the folder is neither, or has no such split, or clips of another
      skeleton than `data.skeleton`.
  """
  folder = paths.resolve(settings.folder)
  skeleton = skeleton_lib.get(settings.skeleton)
  if foreign_files.exists(folder / "dataset_info.json"):
    return _BuiltSplit(folder, split, settings)
  if foreign_files.exists(folder / f"{split}.skels"):
    paths.local(folder, "a folder of .skels, unless it is built,")
    found = [
      clips_lib.canonical(clip)
      for clip in splits.read_split(folder, split, fps=settings.fps)
    ]
    for clip in found:
      skeleton_lib.check_same(clip.skeleton, skeleton, f"clip {clip.name!r}")
    return found
  raise build_commands.no_data([settings], split)


def has_split(settings: config.Data, split: str) -> bool:
  """Whether there is anything of a split: records, or any of its files.

  Raises:
    DataError: `dataset_info.json` is damaged.
  """
  folder = paths.resolve(settings.folder)
  if foreign_files.exists(folder / "dataset_info.json"):
    return split in records.open_build(folder).splits
  return any(
    foreign_files.exists(folder / f"{split}.{kind}") for kind in _SPLIT_FILES
  )


class MultilingualClips:
  """Clips of several languages, concatenated, each marked with its language.

  Texts and prompts begin with their language (`gloss.prepend_language`); gloss
  tokens are marked with it (`gloss.mark`).

  Attributes:
    sizes: number of clips of each language.
    languages: [n] number of each clip's language.
  """

  def __init__(self, parts: Sequence[tuple[str, Clips]]):
    self._parts = parts
    self.sizes = [len(clips) for _, clips in parts]
    self.languages = np.repeat(
      np.arange(len(parts), dtype=np.int32), self.sizes
    )
    self._ends = np.cumsum(self.sizes)

  def __len__(self) -> int:
    return int(self._ends[-1])

  def __getitem__(self, index: int) -> clips_lib.Clip:
    number = int(np.searchsorted(self._ends, index, "right"))
    code, part = self._parts[number]
    clip = part[index - int(self._ends[number]) + len(part)]
    return dataclasses.replace(
      clip,
      text=gloss.prepend_language(clip.text, code),
      gloss=gloss.mark(gloss_text(clip), code),
      prompt=gloss.prepend_language(clip.prompt, code) if clip.prompt else "",
    )


def open_multilingual(
  parts: Sequence[config.Data], split: str
) -> MultilingualClips:
  """Opens a split of several languages as one; some may lack it.

  Raises:
    DataError: as `open_clips`; reading a clip without a gloss raises it too.
  """
  return MultilingualClips(
    [
      (part.language, open_clips(part, split) if has_split(part, split) else [])
      for part in parts
    ]
  )


def source_text(clip: clips_lib.Clip, settings: config.Data) -> str:
  """The model's source of a clip: its text, prompt or gloss (`data.source`).

  Raises:
    DataError: the clip has no prompt or no gloss.
  """
  if settings.source == "text":
    return clip.text
  if settings.source == "gloss":
    return gloss_text(clip)
  if not clip.prompt:
    raise errors.DataError(
      f"clip {clip.name!r} has no prompt",
      hint="Build the records anew, or write <split>.prompt beside the .skels",
    )
  return clip.prompt


def gloss_text(clip: clips_lib.Clip) -> str:
  """The gloss of a clip that must have one.

  Raises:
    DataError: it has none.
  """
  if not clip.gloss:
    raise errors.DataError(
      f"clip {clip.name!r} has no gloss",
      hint="Train with --config.data.source=text --config.data.glosses=False",
    )
  return clip.gloss

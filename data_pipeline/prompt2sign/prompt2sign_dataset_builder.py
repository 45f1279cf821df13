"""Builds `prompt2sign/<language>` from .skels or lifted clips.

Source: Prompt2Sign (Fang et al., arXiv 2405.10718), section 3. Its export and
that of Progressive Transformers have the same form (`formats/skels.py`).
"""

import dataclasses
import functools
import pathlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar

import tensorflow_datasets as tfds
from tensorflow_datasets.core import splits as tfds_splits

from data_pipeline.building import (
  held_out,
  local_info,
  record_store,
  streamed_builder,
)
from data_pipeline.corpora import corpus
from data_pipeline.lifting import lifted_folder
from data_pipeline.prompt2sign import clip_records, split_places
from signllm_jax.core import clips, errors, languages
from signllm_jax.core import skeleton as skeleton_lib
from signllm_jax.core.skeleton import PROMPT2SIGN50
from signllm_jax.data import records
from signllm_jax.formats import splits

SPLITS = split_places.SPLITS


@dataclasses.dataclass(eq=False)
class Config(tfds.core.BuilderConfig):
  """One sign language.

  Attributes:
    language: a code of `languages.LANGUAGES`, e.g. LSF-CH.
    fps: frames a second of the source, which `.skels` does not say.
    skeleton: name of the skeleton of the records.
  """

  language: str = ""
  fps: float = 25.0
  skeleton: str = PROMPT2SIGN50.name


def _config(
  language: languages.Language, skeleton: skeleton_lib.Skeleton
) -> Config:
  name, kind = language.config_name, ""
  if skeleton != PROMPT2SIGN50:
    name, kind = f"{name}_{skeleton.name}", f"; skeleton {skeleton.name}"
  return Config(
    name=name,
    description=f"{language.name} ({language.code}); corpus: "
    f"{language.corpus}{kind}",
    language=language.code,
    skeleton=skeleton.name,
  )


Assemble = Callable[
  [Mapping[str, Sequence[record_store.Entry]], Callable[[str], Any], Any],
  list[tfds.core.SplitInfo],
]


class Builder(streamed_builder.StreamedBuilder):
  """Builder of `prompt2sign`; tfds derives this name from the module's."""

  VERSION = tfds.core.Version(records.VERSION)
  RELEASE_NOTES: ClassVar = {records.VERSION: "First version."}
  BUILDER_CONFIGS: ClassVar = [
    _config(language, skeleton)
    for skeleton in skeleton_lib.SKELETONS.values()
    for language in languages.LANGUAGES.values()
  ]
  MANUAL_DOWNLOAD_INSTRUCTIONS = (
    "A folder with train.skels and train.text, if there are any train.gloss "
    "and train.files, and the same for dev and test; or of lifted clips, or "
    "with folders train, dev and test of lifted clips."
  )
  builder_config: Config
  made: Mapping[str, Sequence[record_store.Entry]] | None = None  # on Beam
  assemble: Assemble | None = None  # writes the shards of `made`
  tolerant = False  # whether bad clips are left out; else they fail the build
  shards = 0  # files a split; 0 if not requested
  rate = 0.0  # frames a second of the source; the configuration's if 0
  size: tuple[int, int] | None = None  # of the picture, for `skels.read`
  report: Callable[[str], None] | None = None  # called with warnings
  held_out = held_out.NONE  # clips of train to set aside
  corpus = ""  # name of the corpus, for the record of the build
  signers: Mapping[str, Mapping[str, str]] = MappingProxyType({})  # by split
  undivided: Sequence[str] = ()  # signs with too few recordings to divide
  left_out: dict[str, dict[str, errors.DataError]]  # split -> name -> fault

  def _info(self) -> tfds.core.DatasetInfo:
    return local_info.make(
      self,
      features=records.features(skeleton_lib.get(self.builder_config.skeleton)),
      metadata=tfds.core.MetadataDict(),  # the record of the build
      homepage="https://signllm.github.io",
      license=corpus.NOT_STATED,  # the build states that of its corpus
    )

  def _download_and_prepare(self, dl_manager, download_config) -> None:
    if self.assemble is None:
      super()._download_and_prepare(dl_manager, download_config)
      return
    made = self._split_generators(dl_manager)
    infos = self.assemble(
      made, self._get_filename_template, download_config.get_shard_config()
    )
    self.info.set_splits(tfds_splits.SplitDict(infos))

  def find(
    self, folder: pathlib.Path
  ) -> dict[str, tuple[list[Any], Callable[[Any], clips.Clip]]]:
    """The clips of each split of poses, and the reader of one.

    Raises:
      DataError: files of a split are missing or damaged.
    """
    places = split_places.names(folder)
    present = [s for s in SPLITS if split_places.present(folder, s, places[s])]
    for split in dict.fromkeys(("train", *present)):
      if split_places.lifted(folder, split, places[split]):
        continue
      for kind in split_places.REQUIRED:
        path = folder / f"{places[split]}.{kind}"
        if not path.exists():
          raise errors.DataError(
            "no such file",
            path=path,
            expected=self.MANUAL_DOWNLOAD_INSTRUCTIONS,
          )
    return {s: self._entries(folder, s, places[s]) for s in present}

  def _entries(
    self, folder: pathlib.Path, split: str, name: str
  ) -> tuple[list[Any], Callable[[Any], clips.Clip]]:
    if lifted := split_places.lifted(folder, split, name):
      read = functools.partial(clip_records.read_lifted, lifted)
      return lifted_folder.names(lifted), read
    entries = splits.index_split(folder, name, self.report)
    rate = self.rate or self.builder_config.fps
    read = functools.partial(
      clip_records.read_entry, folder, name, rate, self.size
    )
    return list(entries), read

  def recorder(
    self, split: str, names: Sequence[str] | None = None
  ) -> Callable[[clips.Clip], tuple[str, dict]]:
    """Makes key and record of a canonical clip; can be pickled.

    Args:
      split: of the clip.
      names: of the clips that it is asked for; None for any of the split.
    """
    signers = self.signers.get(split, {})
    if names is not None:
      signers = {name: signers[name] for name in names if name in signers}
    config = self.builder_config
    skeleton = skeleton_lib.get(config.skeleton)
    return functools.partial(
      clip_records.record, config.language, skeleton, signers
    )

  def _split_generators(self, dl_manager) -> dict[str, Any]:
    folder = pathlib.Path(dl_manager.manual_dir)
    self.left_out, found, makers = {}, {}, {}
    if self.made is not None:
      found = {split: list(entries) for split, entries in self.made.items()}
    else:
      for split, (entries, read) in self.find(folder).items():
        makers[split] = functools.partial(
          clip_records.make, read, self.recorder(split)
        )
        if self.tolerant:
          entries, makers[split], self.left_out[split] = clip_records.keep_good(
            entries, makers[split], self.keep
          )
        found[split] = entries
    for split in self._set_aside(folder, found):
      makers[split] = makers.get("train")
    for split, entries in found.items():
      self._check_count(folder, split, entries)
    if self.made is not None:
      return {split: found[split] for split in SPLITS if split in found}
    return {
      split: self._generate_examples(found[split], makers[split])
      for split in SPLITS
      if split in found
    }

  def _set_aside(
    self, folder: pathlib.Path, found: dict[str, list[Any]]
  ) -> list[str]:
    """Moves clips of train to the splits that are asked for; notes it.

    Returns:
      These splits.
    """
    names = list(map(held_out.entry_name, found["train"]))
    request, chosen = self.held_out, {}
    if self._of_signs(folder, names):
      if found.keys() == {"train"}:
        request = held_out.with_default(request, names)
      chosen, self.undivided = held_out.choose_by_sign(request, names)
    else:
      chosen = held_out.choose(request, names)
    split_of = {name: split for split in chosen for name in chosen[split]}
    train, found["train"] = found["train"], []
    found.update({split: [] for split in chosen})
    for entry in train:
      split = split_of.get(held_out.entry_name(entry), "train")
      found[split].append(entry)
    metadata: Any = self.info.metadata  # annotated too widely by tfds
    metadata.update(
      fps=self.rate or self.builder_config.fps,
      held_out=held_out.describe(request, chosen),
      corpus=self.corpus,
    )
    return list(chosen)

  def _of_signs(self, folder: pathlib.Path, names: Sequence[str]) -> bool:
    """Whether the clips of train are lifted recordings of signs."""
    if not any(map(held_out.sign_of, names)):
      return False
    if self.made and any(each.measured for each in self.made["train"]):
      return True
    place = split_places.names(folder)["train"]
    return split_places.lifted(folder, "train", place) is not None

  def _check_count(
    self, folder: pathlib.Path, split: str, entries: Sequence[Any]
  ) -> None:
    if not entries:
      raise errors.DataError(
        f"no clip of {split} can be used",
        path=folder,
        expected="at least one",
        hint="; ".join(map(str, self.left_out.get(split, {}).values()))[:2000],
      )
    if len(entries) < self.shards:
      raise errors.UsageError(
        f"{len(entries)} clips of {split} in {self.shards} shards",
        path=folder,
        expected="at least one in each",
      )

  def _generate_examples(
    self, entries: list[Any], make: Callable[[Any], Any]
  ) -> Iterator[Any]:
    """Keys and records, one by one."""
    return map(make, entries)

"""Builds `prompt2sign/<language>` from .skels or lifted clips.

Source: Prompt2Sign (Fang et al., arXiv 2405.10718), section 3. Its export and
that of Progressive Transformers have the same form (`formats/skels.py`).
"""

import dataclasses
import functools
import pathlib
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar

import tensorflow_datasets as tfds

from data_pipeline.building import held_out, local_info, shard_writer
from data_pipeline.corpora import corpus
from data_pipeline.lifting import lifted_folder
from data_pipeline.prompt2sign import split_places
from data_pipeline.texts import lemma_gloss, normalisation, prompts
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


class Builder(tfds.core.GeneratorBasedBuilder):
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
  on_beam = False  # whether Apache Beam's workers write the records
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

  def _example_writer(self) -> shard_writer.Writer:
    return shard_writer.Writer(self.info)

  def _split_generators(self, dl_manager) -> dict[str, Any]:
    folder = pathlib.Path(dl_manager.manual_dir)
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
    self.left_out = {}
    entries = {s: self._entries(folder, s, places[s]) for s in present}
    train, make = entries["train"]
    request, chosen, self.undivided = _choose(
      self.held_out, [held_out.entry_name(each) for each in train], folder
    )
    for split, names in chosen.items():
      apart = set(names)
      entries[split] = (
        [each for each in train if held_out.entry_name(each) in apart],
        make,
      )
      train = [each for each in train if held_out.entry_name(each) not in apart]
    entries["train"] = train, make
    metadata: Any = self.info.metadata  # annotated too widely by tfds
    metadata.update(
      fps=self.rate or self.builder_config.fps,
      held_out=held_out.describe(request, chosen),
      corpus=self.corpus,
    )
    return {
      split: self._generate_examples(folder, split, *entries[split])
      for split in SPLITS
      if split in entries
    }

  def _entries(
    self, folder: pathlib.Path, split: str, name: str
  ) -> tuple[list[Any], Callable[[Any], tuple[str, dict]]]:
    """Clips of a split that can be used, and the maker of their records."""
    if lifted := split_places.lifted(folder, split, name):
      entries = lifted_folder.names(lifted)
      read = functools.partial(_read_lifted, lifted)
    else:
      entries = splits.index_split(folder, name, self.report)
      rate = self.rate or self.builder_config.fps
      read = functools.partial(_read_entry, folder, name, rate, self.size)
    config = self.builder_config
    skeleton = skeleton_lib.get(config.skeleton)
    signers = self.signers.get(split, {})
    make = functools.partial(_record, read, config.language, skeleton, signers)
    if self.tolerant:
      entries, self.left_out[split] = _drop_faulty(entries, make)
    return list(entries), make

  def _generate_examples(
    self,
    folder: pathlib.Path,
    split: str,
    entries: list[Any],
    make: Callable[[Any], tuple[str, dict]],
  ) -> Any:
    """Keys and records, read one by one in this process or on Beam."""
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
    if not self.on_beam:
      return map(make, entries)
    beam = tfds.core.lazy_imports.apache_beam
    return beam.Create(entries) | beam.Map(make)


def _choose(
  request: held_out.HeldOut, names: list[str], folder: pathlib.Path
) -> tuple[held_out.HeldOut, dict[str, list[str]], list[str]]:
  """Clips of train to set aside, of landmark recordings by sign.

  Args:
    request: how many; a default holds for landmark recordings without splits.
    names: of the clips of train.
    folder: with the splits.

  Returns:
    The request with the default, the names by split, and the signs that have
    too few recordings to divide.
  """
  places = split_places.names(folder)
  lifted = split_places.lifted(folder, "train", places["train"])
  if not lifted or not any(map(held_out.sign_of, names)):
    return request, held_out.choose(request, names), []
  if not any(
    split_places.present(folder, split, places[split]) for split in SPLITS[1:]
  ):
    request = held_out.with_default(request, names)
  return request, *held_out.choose_by_sign(request, names)


def _drop_faulty(
  entries: Sequence[Any], make: Callable[[Any], tuple[str, dict]]
) -> tuple[list[Any], dict[str, errors.DataError]]:
  """Splits entries into good ones and the faults of the others, by name.

  Every record is made here and again when it is written, so that faults are
  found before tfds writes, and in this process, also on Beam.
  """
  good, faults = [], {}
  for entry in entries:
    try:
      make(entry)
      good.append(entry)
    except errors.DataError as error:
      name = entry.name if isinstance(entry, splits.Entry) else entry
      faults[name] = error
  return good, faults


def _read_lifted(folder: pathlib.Path, name: str) -> clips.Clip:
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


def _read_entry(
  folder: pathlib.Path,
  split: str,
  fps: float,
  size: tuple[int, int] | None,
  entry: splits.Entry,
) -> clips.Clip:
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


def _record(
  read: Callable[[Any], clips.Clip],
  code: str,
  skeleton: skeleton_lib.Skeleton,
  signers: Mapping[str, str],
  entry: Any,
) -> tuple[str, dict]:
  """Makes the key and the record of a clip, with its prompt and gloss."""
  clip = read(entry)
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

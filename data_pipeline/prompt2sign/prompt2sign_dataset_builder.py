"""Builder of `prompt2sign/<language>`: exported `.skels` in, records out.

Source: Prompt2Sign (Fang et al., arXiv 2405.10718), section 3; its export and
that of Progressive Transformers have the same form (`formats/skels.py`).
"""

import dataclasses
import pathlib
from collections.abc import Iterator
from typing import ClassVar

import tensorflow_datasets as tfds

from data_pipeline import writer
from signllm_jax import clips, errors, languages, records
from signllm_jax.formats import skels

SPLITS = ("train", "dev", "test")
REQUIRED = ("skels", "text")  # kinds of file without which there is no split
OPTIONAL = ("gloss", "files")


@dataclasses.dataclass(eq=False)
class Config(tfds.core.BuilderConfig):
  """One sign language.

  Attributes:
    language: a code of `languages.LANGUAGES`, e.g. LSF-CH.
    fps: frames a second of the source, which `.skels` does not say.
  """

  language: str = ""
  fps: float = 25.0


def _config(language: languages.Language) -> Config:
  return Config(
    name=language.config_name,
    description=f"{language.name} ({language.code}); corpus: {language.corpus}",
    language=language.code,
  )


class Builder(tfds.core.GeneratorBasedBuilder):
  """Registered with tfds as `prompt2sign`, after its module."""

  VERSION = tfds.core.Version(records.VERSION)
  RELEASE_NOTES: ClassVar = {records.VERSION: "First version."}
  BUILDER_CONFIGS: ClassVar = [_config(v) for v in languages.LANGUAGES.values()]
  MANUAL_DOWNLOAD_INSTRUCTIONS = (
    "A folder with train.skels and train.text, if there are any train.gloss "
    "and train.files, and the same for dev and test."
  )
  builder_config: Config

  def _info(self) -> tfds.core.DatasetInfo:
    language = languages.get(self.builder_config.language)
    return self.dataset_info_from_configs(
      features=records.features(),
      homepage="https://signllm.github.io",
      license=(
        "Prompt2Sign's material is under CC BY-NC-SA 4.0: no commercial use, "
        "same terms for what is made from it. The corpus behind "
        f"{language.name}, {language.corpus}, has its own terms besides; hold "
        "it under them before you use these records, and do not pass the "
        "records on where they forbid it."
      ),
    )

  def _example_writer(self) -> writer.Writer:
    return writer.Writer(self.info)

  def _split_generators(self, dl_manager) -> dict[str, Iterator]:
    folder = pathlib.Path(dl_manager.manual_dir)
    present = [split for split in SPLITS if _present(folder, split)]
    for split in dict.fromkeys(("train", *present)):
      for kind in REQUIRED:
        path = folder / f"{split}.{kind}"
        if not path.exists():
          raise errors.DataError(
            "no such file",
            path=path,
            expected=self.MANUAL_DOWNLOAD_INSTRUCTIONS,
          )
    return {split: self._generate_examples(folder, split) for split in present}

  def _generate_examples(
    self, folder: pathlib.Path, split: str
  ) -> Iterator[tuple[str, dict]]:
    config = self.builder_config
    sequence = skels.read_split(folder, split, fps=config.fps)
    for number, clip in enumerate(sequence, 1):
      try:
        clip = clips.canonical(clip)
      except errors.DataError as error:
        path = folder / f"{split}.skels"
        raise errors.DataError(str(error), path=path, line=number) from error
      yield clip.name, records.from_clip(clip, language=config.language)


def _present(folder: pathlib.Path, split: str) -> bool:
  """Whether any file of a split is there; half a split must not go unseen."""
  return any(
    (folder / f"{split}.{kind}").exists() for kind in (*REQUIRED, *OPTIONAL)
  )

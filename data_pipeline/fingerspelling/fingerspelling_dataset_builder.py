"""tfds builder: words spelt with real recordings of manual alphabets."""

import concurrent.futures
import dataclasses
import hashlib
import itertools
import multiprocessing
import os
from collections.abc import Iterator
from typing import ClassVar

import numpy as np
import tensorflow_datasets as tfds
import tqdm
from etils import epath

from data_pipeline import lift
from data_pipeline.fingerspelling import alphabets
from signllm_jax import clips, errors, records, skeleton

WORDS = epath.Path(__file__).parent / "words"
HELD_OUT = 128  # words each of dev and test, at most a tenth of the list
CHUNK = 256  # words spelt and lifted at a time


@dataclasses.dataclass(kw_only=True)
class Config(tfds.core.BuilderConfig):
  """One manual alphabet.

  Attributes:
    fps: frames a second of the records.
  """

  fps: float = 12.5


def words(spoken: str) -> list[str]:
  """The project's word list of a spoken language."""
  path = WORDS / f"{spoken}.txt"
  if not path.exists():
    raise errors.DataError(
      "no word list", path=path, hint="Write one word a line, lower case"
    )
  return path.read_text(encoding="utf-8").split()


def split_words(listed: list[str], letters: list[str]) -> dict[str, list[str]]:
  """Disjoint train, dev and test words that the letters can spell.

  A word's place follows from its hash alone, so it keeps it while lists grow.
  """
  single = {letter for letter in letters if len(letter) == 1}
  usable = [word for word in listed if set(word) <= single]
  usable.sort(key=lambda word: hashlib.sha256(word.encode()).digest())
  held_out = min(HELD_OUT, len(usable) // 10)
  return {
    "train": usable[2 * held_out :],
    "dev": usable[:held_out],
    "test": usable[held_out : 2 * held_out],
  }


def _spell(word: str, code: str, fps: float) -> clips.Clip:
  # Imported in the worker: the package takes seconds to import.
  from data_pipeline.fingerspelling import spell

  return spell.spell(word, alphabets.ALPHABETS[code], fps)


def signer_bones(letter_clips: list[clips.Clip]) -> np.ndarray:
  """Bone lengths [K] of the recorded signer, in pixels.

  A limb's image is longest where it lies in the image plane, so the 95th
  percentile over the whole alphabet stands for its true length. One set of
  lengths for all words gives a letter the same depth in every word.
  """
  lengths: list[list[np.ndarray]] = [[] for _ in range(skeleton.BONES)]
  for clip in letter_clips:
    for parent, child, bone in skeleton.LIMBS:
      seen = clip.valid[:, parent] & clip.valid[:, child]
      ends = clip.frames[seen][:, [parent, child], :2]
      lengths[bone].append(np.linalg.norm(ends[:, 0] - ends[:, 1], axis=-1))
  return np.array(
    [
      np.percentile(joined, 95) if len(joined) else 0.0
      for joined in map(np.concatenate, lengths)
    ],
    np.float32,
  )


class Builder(tfds.core.GeneratorBasedBuilder):
  """Fingerspelt words as 3-D skeleton sequences."""

  VERSION = tfds.core.Version(records.VERSION)
  RELEASE_NOTES: ClassVar[dict[str, str]] = {"1.0.0": "First release."}
  BUILDER_CONFIGS: ClassVar[list[Config]] = [
    Config(name=name, description=f"Manual alphabet of {language.name}.")
    for name, language in alphabets.ALPHABETS.items()
  ]

  def _info(self) -> tfds.core.DatasetInfo:
    return self.dataset_info_from_configs(
      features=records.features(),
      homepage="https://github.com/sign-language-processing/spoken-to-signed-translation",
      license=(
        "Made from the letter recordings of the package spoken-to-signed "
        "(MIT). Most of them come from SpreadTheSign, whose own terms are "
        "stricter (personal, non-commercial use): read them before you "
        "publish or sell anything made from this data."
      ),
    )

  def _split_generators(self, dl_manager: tfds.download.DownloadManager):
    del dl_manager  # everything comes from the installed package
    from data_pipeline.fingerspelling import spell

    language = alphabets.ALPHABETS[self.builder_config.name]
    letters = spell.letters(language)
    fps = self.builder_config.fps
    bones = signer_bones([spell.spell(x, language, fps) for x in letters])
    splits = split_words(words(language.spoken), letters)
    return {
      name: self._generate_examples(name, listed, bones)
      for name, listed in splits.items()
    }

  def _generate_examples(
    self, split: str, listed: list[str], bones: np.ndarray
  ) -> Iterator[tuple[str, dict]]:
    code, fps = self.builder_config.name, self.builder_config.fps
    with (
      concurrent.futures.ProcessPoolExecutor(
        os.cpu_count(), mp_context=multiprocessing.get_context("spawn")
      ) as pool,
      tqdm.tqdm(
        total=len(listed), unit="word", desc=f"spelling {split}"
      ) as progress,
    ):
      spelt = pool.map(
        _spell,
        listed,
        itertools.repeat(code),
        itertools.repeat(fps),
        chunksize=8,
      )
      while chunk := list(itertools.islice(spelt, CHUNK)):
        lifted = lift.lift([clip.frames for clip in chunk], bone_lengths=bones)
        for clip, result in zip(chunk, lifted, strict=True):
          progress.update()
          clip = dataclasses.replace(
            clip, frames=result.frames, valid=result.valid
          )
          yield (
            clip.name,
            records.from_clip(
              clips.canonical(clip),
              language=alphabets.ALPHABETS[code].code,
              gloss_made=True,
            ),
          )

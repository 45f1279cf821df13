"""Builds `fingerspelling/<alphabet>`: words spelt with real recordings."""

import concurrent.futures
import dataclasses
import hashlib
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import numpy as np
import tensorflow_datasets as tfds
import tqdm
from etils import epath

from data_pipeline.building import local_info, streamed_builder
from data_pipeline.fingerspelling import alphabets, spell
from data_pipeline.lifting import lifter
from data_pipeline.texts import prompts
from signllm_jax.core import clips, errors
from signllm_jax.core.skeleton import PROMPT2SIGN50
from signllm_jax.data import records

WORDS = epath.Path(__file__).parent / "words"
DEPTH_MARGIN = 1.15  # true bone length over its longest projection
CHUNK = 128  # words spelt while the previous ones are lifted
LONG_WORD = range(11, 25)  # letters of words that are joined from others


@dataclasses.dataclass(eq=False, kw_only=True)
class Config(tfds.core.BuilderConfig):
  """One manual alphabet.

  Attributes:
    alphabet: a key of `alphabets.ALPHABETS`.
    fps: frames a second of the records.
    train_words: maximum number of training words; 0 for all of the list.
    held_out_words: words in each of dev and test, at most a tenth of the list.
    long_words: further training words, joined from others (`join_words`), at
      most a tenth of them.
  """

  alphabet: str
  fps: float = 12.5
  train_words: int = 4000
  held_out_words: int = 128
  long_words: int = 200


def words(spoken: str) -> list[str]:
  """Reads the word list of a spoken language."""
  path = WORDS / f"{spoken}.txt"
  if not path.exists():
    raise errors.DataError(
      "no word list", path=path, hint="Write one word a line, lower case"
    )
  return path.read_text(encoding="utf-8").split()


def split_words(
  listed: list[str], letters: list[str], config: Config
) -> dict[str, list[str]]:
  """Splits the words that the letters can spell into train, dev and test.

  Words are ordered by their hash, so that a longer list exchanges few words.
  Long words are added to train.

  Args:
    listed: the word list.
    letters: letters and letter groups of the alphabet.
    config: numbers of words.
  """
  single = {letter for letter in letters if len(letter) == 1}
  usable = [word for word in listed if set(word) <= single]
  usable.sort(key=lambda word: hashlib.sha256(word.encode()).digest())
  held_out = min(config.held_out_words, len(usable) // 10)
  train = usable[2 * held_out :]
  train = train[: config.train_words or len(train)]
  long_words = join_words(train, min(config.long_words, len(train) // 10))
  return {
    "train": [*train, *long_words],
    "dev": usable[:held_out],
    "test": usable[held_out : 2 * held_out],
  }


def join_words(listed: Sequence[str], count: int) -> list[str]:
  """Joins listed words to words of `LONG_WORD` letters, about alike many.

  The lists have words of at most ten letters, and a model that was trained on
  these alone loses letters of longer ones. A word is followed by one that
  begins with its last letter, where there is one: so every letter is doubled
  that ends a word and begins another.

  Args:
    listed: words, in the order in which they are taken.
    count: how many are tried; too short ones and repeated ones are left out.
  """
  starting: dict[str, list[str]] = {}
  for word in listed:
    starting.setdefault(word[0], []).append(word)
  made: list[str] = []
  for number in range(count):
    longest = LONG_WORD[number % len(LONG_WORD)]
    joined, following = "", [listed[number % len(listed)]]
    while following:
      joined += following[number % len(following)]
      following = [
        word
        for word in starting.get(joined[-1], listed)
        if len(joined) + len(word) <= longest
      ]
    if len(joined) >= LONG_WORD[0] and joined not in made:
      made.append(joined)
  return made


def signer_bones(letter_clips: list[clips.Clip]) -> np.ndarray:
  """Bone lengths [K] of the recorded signer, in pixels.

  The projection of a limb is longest where it lies in the image plane, so the
  longest projection in the alphabet (99th percentile) is a lower bound of its
  length. It is multiplied by `DEPTH_MARGIN`, because depth,
  sqrt(length^2 - projection^2), is infinitely sensitive where both are equal:
  without the margin the same letter differed between words by 4.4 % of the
  mean pose's DTW-MJE, with it by 1.8 %.
  """
  lengths: list[list[np.ndarray]] = [[] for _ in range(PROMPT2SIGN50.num_bones)]
  for clip in letter_clips:
    for parent, child, bone in PROMPT2SIGN50.limbs:
      seen = clip.valid[:, parent] & clip.valid[:, child]
      ends = clip.frames[seen][:, [parent, child], :2]
      lengths[bone].append(np.linalg.norm(ends[:, 0] - ends[:, 1], axis=-1))
  return np.array(
    [
      DEPTH_MARGIN * np.percentile(joined, 99) if len(joined) else 0.0
      for joined in map(np.concatenate, lengths)
    ],
    np.float32,
  )


class Builder(streamed_builder.StreamedBuilder):
  """Fingerspelt words as 3-D skeleton sequences."""

  VERSION = tfds.core.Version(records.VERSION)
  RELEASE_NOTES: ClassVar[dict[str, str]] = {"1.0.0": "First release."}
  BUILDER_CONFIGS: ClassVar[list[Config]] = [
    Config(
      name=name,
      description=f"Manual alphabet of {language.name}.",
      alphabet=name,
    )
    for name, language in alphabets.ALPHABETS.items()
  ]
  builder_config: Config
  rate = 0.0  # frames a second of the records; the configuration's if 0

  @property
  def _fps(self) -> float:
    return self.rate or self.builder_config.fps

  def _info(self) -> tfds.core.DatasetInfo:
    return local_info.make(
      self,
      features=records.features(),
      metadata=tfds.core.MetadataDict(),  # the record of the build
      homepage="https://github.com/sign-language-processing/spoken-to-signed-translation",
      license=(
        "Made from the letter recordings of the package spoken-to-signed "
        "(MIT). Most of them come from SpreadTheSign, whose own terms are "
        "stricter (personal, non-commercial use): read them before you "
        "publish or sell anything made from this data."
      ),
    )

  def _split_generators(self, dl_manager: tfds.download.DownloadManager):
    del dl_manager  # the recordings come from an installed package
    config = self.builder_config
    language = alphabets.ALPHABETS[config.alphabet]
    letters = spell.letters(language)
    bones = signer_bones(
      [spell.spell(letter, language, self._fps) for letter in letters]
    )
    metadata: Any = self.info.metadata  # annotated too widely by tfds
    metadata.update(fps=self._fps)
    splits = split_words(words(language.spoken), letters, config)
    progress = tqdm.tqdm(
      total=sum(map(len, splits.values())),
      unit="word",
      desc=f"spelling in {language.name}",
      disable=None,  # shown in a terminal only
    )
    return {
      name: self._generate_examples(listed, bones, progress)
      for name, listed in splits.items()
    }

  def _generate_examples(
    self, listed: list[str], bones: np.ndarray, progress: tqdm.tqdm
  ) -> Iterator[tuple[str, dict]]:
    config = self.builder_config
    language = alphabets.ALPHABETS[config.alphabet]

    def spelt() -> Iterator[list[clips.Clip]]:
      for start in range(0, len(listed), CHUNK):
        chunk = []
        for word in listed[start : start + CHUNK]:
          chunk.append(spell.spell(word, language, self._fps))
          progress.update()
        yield chunk

    def lifted(chunk: list[clips.Clip]) -> list[clips.Clip]:
      results = lifter.lift([clip.frames for clip in chunk], bone_lengths=bones)
      return [
        dataclasses.replace(clip, frames=result.frames, valid=result.valid)
        for clip, result in zip(chunk, results, strict=True)
      ]

    # This process spells the words while the thread lifts them: lifting needs
    # Python's lock only between batches.
    with concurrent.futures.ThreadPoolExecutor(1) as thread:
      for chunk in thread.map(lifted, spelt()):
        for clip in map(clips.canonical, chunk):
          prompt = ""  # of a spoken language without templates
          if prompts.has_templates(language.spoken):
            prompt = prompts.make_prompt(clip.text, language.spoken, clip.name)
          yield (
            clip.name,
            records.from_clip(
              dataclasses.replace(clip, prompt=prompt),
              language=language.code,
              gloss_made=True,
            ),
          )
    if progress.n == progress.total:  # the last split is done
      progress.close()

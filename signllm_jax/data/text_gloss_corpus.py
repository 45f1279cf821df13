"""Texts and their glosses, without poses: what text to gloss learns from.

All languages share one vocabulary of each side. A source begins with the sign
language that is asked for, `<GSL> guten abend`, and every gloss carries its
own, `<GSL_ABEND>` (section 5).
"""

import pathlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from signllm_jax import config
from signllm_jax.core import errors, skeleton
from signllm_jax.core import gloss as gloss_lib
from signllm_jax.core import vocabulary as vocabulary_lib
from signllm_jax.data import batch_plan, corpus_info, datasets
from signllm_jax.formats import splits

_GLOSS_MULTIPLE = 4  # glosses are padded to a multiple of so many tokens


class Pair(NamedTuple):
  """A text and its gloss."""

  name: str
  source: str  # of `gloss.prepend_language`
  gloss: str  # marked tokens


def has_split(settings: config.Data, split: str) -> bool:
  """Whether a language has a split: texts alone often have but `train`."""
  folder = pathlib.Path(settings.folder)
  beside = any(folder.glob("*.text")) and not any(folder.glob("*.skels"))
  return not beside or (folder / f"{split}.text").exists()


def open_pairs(settings: config.Data, split: str) -> list[Pair]:
  """The pairs of a split of one language.

  Args:
    settings: of that language; its folder holds <split>.text (or .prompt, as
      `source` says) and <split>.gloss, or is a data set with glosses that
      `datasets.open_clips` opens.
    split: e.g. `train`.

  Raises:
    DataError: there is neither, or a text has no gloss.
  """
  code, folder = settings.language, pathlib.Path(settings.folder)
  paths = [folder / f"{split}.{kind}" for kind in (settings.source, "gloss")]
  if all(path.exists() for path in paths):
    texts, glosses = (list(splits.read_texts(path)) for path in paths)
    splits.check_lines(paths[1], len(glosses), paths[0], len(texts))
    names = [f"{split}/{i:06d}" for i in range(1, len(texts) + 1)]
  else:
    opened = datasets.open_clips(settings, split)
    listed = [opened[i] for i in range(len(opened))]
    names = [clip.name for clip in listed]
    texts = [datasets.source_text(clip, settings) for clip in listed]
    glosses = [datasets.gloss_text(clip) for clip in listed]
  if code in config.listed(settings.clean):
    glosses = [gloss_lib.clean_phoenix(line) for line in glosses]
  return [
    Pair(
      name, gloss_lib.prepend_language(said, code), gloss_lib.mark(line, code)
    )
    for name, said, line in zip(names, texts, glosses, strict=True)
  ]


class TextGlossCorpus:
  """The training pairs of all languages, counted and put in order."""

  def __init__(
    self, parts: Sequence[config.Data], seed: int, *, rows: int, multiple: int
  ):
    """Reads the pairs.

    Args:
      parts: the settings of each language.
      seed: of the order.
      rows: of a batch.
      multiple: what they are a multiple of.

    Raises:
      DataError: as `open_pairs`, or there are no pairs.
    """
    self.parts, self.codes = parts, [part.language for part in parts]
    self.code = "+".join(self.codes)
    # A gloss of annotations alone is empty when cleaned: nothing to learn.
    opened = [
      [pair for pair in open_pairs(part, "train") if pair.gloss]
      for part in parts
    ]
    for part, found in zip(parts, opened, strict=True):
      if not found:
        raise errors.DataError("no pairs", path=part.folder)
    self.train = [pair for found in opened for pair in found]
    settings = parts[0]
    texts = [pair.source for pair in self.train]
    glosses = [pair.gloss for pair in self.train]
    vocabulary = vocabulary_lib.build_vocabulary(
      texts, settings.tokens, settings.min_count
    )
    known = vocabulary_lib.build_vocabulary(glosses, "words")
    self._sources = [vocabulary.encode(line) for line in texts]
    self._glosses = [known.encode(line)[:-1] for line in glosses]
    self.info = corpus_info.CorpusInfo(
      vocabulary,
      longest_source=max(map(len, self._sources)),
      longest_clip=0,
      fps=settings.fps,
      gloss_vocabulary=known,
      longest_gloss=max(map(len, self._glosses)),
    )
    # Glosses are half as long as texts: a few longer ones in a bucket would
    # lengthen the padding of all.
    lengths = np.array(
      [
        max(len(ids), 2 * len(own))
        for ids, own in zip(self._sources, self._glosses, strict=True)
      ],
      np.int32,
    )
    sizes = [len(found) for found in opened]
    places = batch_plan.balanced_examples(sizes, settings.temperature)
    enough = batch_plan.round_up(len(places), multiple)
    self.plan = batch_plan.BatchPlan(
      lengths[places],
      min(rows, enough),
      settings.bucket,
      seed,
      examples=places,
    )
    self.summary = corpus_info.CorpusSummary(
      self.info,
      lengths,
      mean=np.zeros(skeleton.C, np.float32),
      scale=np.ones((), np.float32),
      seen=np.zeros(skeleton.J, bool),
    )

  def describe(self) -> str:
    """What is learnt from."""
    glosses = self.info.gloss_vocabulary or ()
    return (
      f"pairs       {self.code} {len(self.train):,}; vocabulary "
      f"{len(self.info.vocabulary):,}, glosses {len(glosses):,}"
    )

  def batches(
    self, count: int, fed: np.ndarray | None = None
  ) -> "TextGlossBatches":
    """The first `count` batches; whole, whatever is `fed`."""
    return TextGlossBatches(self._sources, self._glosses, self.plan, count)


class TextGlossBatches:
  """Random access to the batches of a run, for grain.

  A batch is source [B, S] int32 with </s>, gloss [B, G] int32 without, both
  with PAD at the end, and length [B] int32, the source's tokens, 0 in empty
  rows.
  """

  def __init__(
    self,
    encoded: Sequence[np.ndarray],
    glosses: Sequence[np.ndarray],
    order: batch_plan.BatchPlan,
    count: int,
  ):
    self._sources, self._glosses = encoded, glosses
    self._plan, self._count = order, count
    # One padded length a bucket: each pair of lengths is compiled once.
    self._widest: dict[int, int] = {}
    assert order.examples is not None
    for length, i in zip(order.lengths, order.examples, strict=True):
      t = batch_plan.round_up(int(length), order.bucket)
      g = batch_plan.round_up(len(glosses[i]), _GLOSS_MULTIPLE)
      self._widest[t] = max(self._widest.get(t, 0), g)

  def __len__(self) -> int:
    return self._count

  def __getitem__(self, index: int) -> dict[str, np.ndarray]:
    t, ids = self._plan[index]
    rows = self._plan.batch_size
    empty = rows - len(ids)
    listed = [self._sources[int(i)] for i in ids]
    length = np.zeros(rows, np.int32)
    length[: len(ids)] = [len(each) for each in listed]
    end = np.array([vocabulary_lib.EOS], np.int32)
    nothing = np.zeros(0, np.int32)
    glosses = [self._glosses[int(i)] for i in ids]
    return {
      "source": vocabulary_lib.pad([*listed, *[end] * empty], t),
      "gloss": vocabulary_lib.pad(
        [*glosses, *[nothing] * empty], self._widest[t]
      ),
      "length": length,
    }

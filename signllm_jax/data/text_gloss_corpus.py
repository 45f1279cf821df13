"""Pairs of texts and glosses without poses, for text to gloss (section 5).

All languages share one vocabulary of each side. A source begins with its target
sign language, `<GSL> guten abend`, and every gloss token is marked with it,
`<GSL_ABEND>`.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from signllm_jax import config
from signllm_jax.core import errors, foreign_files, paths
from signllm_jax.core import gloss as gloss_lib
from signllm_jax.core import skeleton as skeleton_lib
from signllm_jax.core import vocabulary as vocabulary_lib
from signllm_jax.data import (
  batch_plan,
  corpus_info,
  datasets,
  joining,
  packing,
  text_gloss_batches,
)
from signllm_jax.formats import splits

_DRAWS = 8  # of joined pairs in an epoch, with `data.joined`


class Pair(NamedTuple):
  """A text and its gloss."""

  name: str
  source: str  # of `gloss.prepend_language`
  gloss: str  # marked tokens


def _refuse_other_names(folder: paths.AnyPath) -> None:
  """Refuses files of the split dev under another name.

  Raises:
    DataError: there are any; they would be passed over.
  """
  missing = [
    kind
    for kind in ("text", "gloss")
    if not foreign_files.exists(folder / f"dev.{kind}")
  ]
  for name in ("val", "valid", "validation", "Dev"):
    for kind in missing:
      path = folder / f"{name}.{kind}"
      if foreign_files.exists(path):
        raise errors.DataError(
          "a split of another name, which is not read",
          path=path,
          expected=f"dev.{kind}",
          hint="Rename the files of the split to dev",
        )


def open_pairs(settings: config.Data, split: str) -> list[Pair]:
  """Reads the pairs of a split of one language.

  Args:
    settings: of that language; its folder holds <split>.text (or .prompt, as
      `source` says) and <split>.gloss, or is a data set with glosses that
      `datasets.open_clips` opens.
    split: e.g. `train`.

  Raises:
    DataError: there is neither, or a text has no gloss.
  """
  code, folder = settings.language, paths.resolve(settings.folder)
  _refuse_other_names(folder)
  files = [folder / f"{split}.{kind}" for kind in (settings.source, "gloss")]
  if all(map(foreign_files.exists, files)):
    texts, glosses = (list(splits.read_texts(file)) for file in files)
    splits.check_lines(files[1], len(glosses), files[0], len(texts))
    names = [f"{split}/{i:06d}" for i in range(1, len(texts) + 1)]
  else:
    examples = datasets.open_clips(settings, split)
    clips = [examples[i] for i in range(len(examples))]
    names = [clip.name for clip in clips]
    texts = [datasets.source_text(clip, settings) for clip in clips]
    glosses = [datasets.gloss_text(clip) for clip in clips]
  if code in config.listed(settings.clean_glosses):
    glosses = [gloss_lib.clean_phoenix(gloss) for gloss in glosses]
  return [
    Pair(
      name, gloss_lib.prepend_language(text, code), gloss_lib.mark(gloss, code)
    )
    for name, text, gloss in zip(names, texts, glosses, strict=True)
  ]


class TextGlossCorpus:
  """The training pairs of all languages, with vocabularies and order."""

  def __init__(
    self, parts: Sequence[config.Data], seed: int, *, rows: int, multiple: int
  ):
    """Reads the pairs.

    Args:
      parts: the settings of each language.
      seed: of the order.
      rows: of a batch.
      multiple: of which the rows are a multiple.

    Raises:
      DataError: as `open_pairs`, or there are no pairs.
    """
    self.parts, self.codes = parts, [part.language for part in parts]
    self.code = "+".join(self.codes)
    pairs_of_parts = [_training_pairs(part) for part in parts]
    self.train = [pair for pairs in pairs_of_parts for pair in pairs]
    settings = parts[0]
    texts = [pair.source for pair in self.train]
    glosses = [pair.gloss for pair in self.train]
    vocabulary = vocabulary_lib.build_vocabulary(
      texts, settings.tokens, settings.min_count
    )
    gloss_vocabulary = vocabulary_lib.build_vocabulary(glosses, "words")
    self._sources = [vocabulary.encode(text) for text in texts]
    self._glosses = [gloss_vocabulary.encode(gloss) for gloss in glosses]
    self.info = corpus_info.CorpusInfo(
      vocabulary,
      longest_source=max(map(len, self._sources)),
      longest_clip=0,
      fps=settings.fps,
      gloss_vocabulary=gloss_vocabulary,
      longest_gloss=max(map(len, self._glosses)) - 1,
    )
    row = (  # most tokens of packed or joined pairs: source and gloss
      max(settings.pack, self.info.longest_source),
      max(settings.pack // 2, self.info.longest_gloss + 1),
    )
    self._units = self._draw(list(map(len, pairs_of_parts)), row, seed)
    unit_sources = self._join(joining.source, self._sources)
    unit_glosses = self._join(joining.gloss, self._glosses)
    self._rows = [np.array([i]) for i in range(len(self._units))]
    if settings.pack:
      self._rows = packing.pack(
        list(map(len, unit_sources)), list(map(len, unit_glosses)), row, seed
      )
    self._row_sources = packing.concatenate(unit_sources, self._rows)
    self._row_glosses = packing.concatenate(unit_glosses, self._rows)
    lengths = _lengths(self._row_sources, self._row_glosses)
    most_rows = batch_plan.round_up(len(self._rows), multiple)
    bucket = settings.bucket
    if settings.pack:  # rows of one length
      bucket = batch_plan.round_up(int(lengths.max()), bucket)
    self.plan = batch_plan.BatchPlan(
      lengths, min(rows, most_rows), bucket, seed
    )
    self.summary = _summary_without_poses(self.info, lengths, settings)

  def _draw(
    self, sizes: Sequence[int], longest: tuple[int, int], seed: int
  ) -> list[np.ndarray]:
    """The examples of each pair of an epoch: one, or two that are joined."""
    settings = self.parts[0]
    example_ids = batch_plan.balanced_examples(sizes, settings.temperature)
    if not settings.joined:
      return [np.array([i]) for i in example_ids]
    languages = np.repeat(np.arange(len(sizes)), sizes)[example_ids]
    lengths = np.array(
      [(len(self._sources[i]), len(self._glosses[i])) for i in example_ids]
    )
    return [
      example_ids[unit]
      for number in range(_DRAWS)
      for unit in joining.draw(
        lengths, languages, longest, settings.joined, [seed, 3, number]
      )
    ]

  def _join(
    self,
    join: Callable[[Sequence[np.ndarray]], np.ndarray],
    sequences: Sequence[np.ndarray],
  ) -> list[np.ndarray]:
    """The ids of each pair of an epoch, from those of the examples."""
    return [join([sequences[i] for i in unit]) for unit in self._units]

  def examples(self, step: int) -> list[int]:
    """The pairs of a batch, by number."""
    _, rows = self.plan[step]
    units = [unit for row in rows for unit in self._rows[row]]
    return [int(i) for unit in units for i in self._units[unit]]

  def describe(self) -> str:
    """Languages, size and vocabularies, in a line."""
    glosses = self.info.gloss_vocabulary or ()
    share = self.parts[0].joined
    joined = f"; {share:.0%} joined, {_DRAWS} draws an epoch" if share else ""
    return (
      f"pairs       {self.code} {len(self.train):,}; vocabulary "
      f"{len(self.info.vocabulary):,}, glosses {len(glosses):,}{joined}"
    )

  def batches_of(
    self, split: str, *, rows: int, multiple: int
  ) -> text_gloss_batches.TextGlossBatches:
    """Each pair of another split once, encoded as the training pairs are.

    Args:
      split: e.g. `dev`, which some language has.
      rows: most of a batch.
      multiple: of which the rows are a multiple.

    Raises:
      DataError: as `open_pairs`.
    """
    info, gloss_vocabulary = self.info, self.info.gloss_vocabulary
    assert gloss_vocabulary is not None
    pairs = [
      pair
      for part in self.parts
      if datasets.has_split(part, split)
      for pair in open_pairs(part, split)
      if pair.gloss
    ]
    sources = [
      info.vocabulary.encode(pair.source)[: info.longest_source]
      for pair in pairs
    ]
    glosses = [gloss_vocabulary.encode(pair.gloss) for pair in pairs]
    glosses = [
      np.append(gloss[:-1][: info.longest_gloss], gloss[-1])  # keeps </s>
      for gloss in glosses
    ]
    plan = batch_plan.BatchPlan(
      _lengths(sources, glosses),
      min(rows, batch_plan.round_up(len(pairs), multiple)),
      self.parts[0].bucket,
      seed=0,
    )
    return text_gloss_batches.TextGlossBatches(
      sources, glosses, plan, plan.batches_per_epoch
    )

  def batches(
    self, count: int, rows_of_process: np.ndarray | None = None
  ) -> text_gloss_batches.TextGlossBatches:
    """The first `count` batches; every process reads all rows."""
    del rows_of_process  # the pairs are in memory anyway
    return text_gloss_batches.TextGlossBatches(
      self._row_sources, self._row_glosses, self.plan, count
    )


def _lengths(
  sources: Sequence[np.ndarray], glosses: Sequence[np.ndarray]
) -> np.ndarray:
  """Length [n] int32 of each row of ids, by which rows share a batch.

  Glosses are about half as long as texts; a few longer ones in a bucket would
  lengthen the padding of all its batches.
  """
  both = zip(sources, glosses, strict=True)
  return np.array([max(len(s), 2 * len(g) - 2) for s, g in both], np.int32)


def _training_pairs(settings: config.Data) -> list[Pair]:
  # A gloss of annotations alone is empty after cleaning: nothing to learn.
  pairs = [pair for pair in open_pairs(settings, "train") if pair.gloss]
  if not pairs:
    raise errors.DataError("no pairs", path=settings.folder)
  return pairs


def _summary_without_poses(
  info: corpus_info.CorpusInfo, lengths: np.ndarray, settings: config.Data
) -> corpus_info.CorpusSummary:
  skeleton = skeleton_lib.get(settings.skeleton)
  joints, values = skeleton.num_joints, skeleton.num_values
  return corpus_info.CorpusSummary(
    info,
    lengths,
    mean=np.zeros(values, np.float32),
    scale=np.ones((), np.float32),
    seen=np.zeros(joints, bool),
    bones=np.zeros(skeleton.num_bones, np.float32),
  )

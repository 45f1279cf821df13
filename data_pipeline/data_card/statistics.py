"""Statistics of a built data set, computed in one pass for its data card.

Memory holds the frames of one clip at a time and of a few examples, and of all
clips only counts, a few numbers and the texts.

Dim letters: T frames, J = 50 joints, K = 25 bones.
"""

import collections
import dataclasses
import hashlib
import heapq
import itertools
import os
import pathlib
import unicodedata
from typing import Any, NamedTuple

import numpy as np
import tqdm

from data_pipeline.building import record_reader, verify
from data_pipeline.lifting import bones as bones_lib
from data_pipeline.lifting import quality
from signllm_jax.core import clips as clips_lib
from signllm_jax.core import errors
from signllm_jax.core import vocabulary as vocabulary_lib
from signllm_jax.core.skeleton import PROMPT2SIGN50, Skeleton
from signllm_jax.data import records

EXAMPLES = 3  # clips shown a split
WORST = 3  # clips listed a measure
CHARACTERS_BELOW = 1.5  # words a text on average: then characters are counted


class RankedClip(NamedTuple):
  """A clip and its value in a measure of badness; sorts by the value."""

  value: float
  split: str
  name: str
  text: str


@dataclasses.dataclass
class SplitStatistics:
  """Counts of a split."""

  name: str
  shards: int
  size: int  # bytes on disk
  frames: int = 0
  seconds: list[float] = dataclasses.field(default_factory=list)  # a clip
  skeleton: Skeleton = PROMPT2SIGN50
  unseen: np.ndarray = dataclasses.field(init=False)  # frames without the
  # joint: [J]
  texts: collections.Counter[str] = dataclasses.field(
    default_factory=collections.Counter
  )
  names: set[str] = dataclasses.field(default_factory=set)
  poses: set[bytes] = dataclasses.field(default_factory=set)  # digests
  examples: list[clips_lib.Clip] = dataclasses.field(default_factory=list)

  def __post_init__(self):
    self.unseen = np.zeros(self.skeleton.num_joints, np.int64)

  @property
  def clips(self) -> int:
    """Number of clips."""
    return len(self.seconds)

  def missing(self, part: str) -> float:
    """Share of the part's joints, over all frames, that were not seen."""
    joints = list(self.skeleton.parts[part])
    return float(self.unseen[joints].mean() / max(self.frames, 1))


class Overlap(NamedTuple):
  """Texts, names and poses that two splits share."""

  splits: tuple[str, str]
  texts: list[str]  # sorted
  names: int
  poses: int  # clips with equal numbers in all frames


@dataclasses.dataclass
class DatasetStatistics:
  """Counts of a data set.

  Attributes:
    splits: by name, in the data set's order.
    bones: [clips, K] bone lengths in shoulder widths; NaN where unseen.
    worst: measure of `quality.limited_measures` -> its worst clips, worst
      first.
    faults: limit of `quality.faults` -> clips that fail it.
    faulty: clips that fail any.
    languages, rates, signers: clips of each.
    skeleton: of the clips.
    glosses, prompts: clips that have one.
    rule_glosses: glosses made by rule.
    unsure_glosses: of these, those that may lack a negation.
  """

  splits: dict[str, SplitStatistics]
  bones: np.ndarray
  worst: dict[str, list[RankedClip]]
  faults: collections.Counter[str]
  faulty: int
  languages: collections.Counter[str]
  rates: collections.Counter[float]
  signers: collections.Counter[str]
  skeleton: Skeleton = PROMPT2SIGN50
  glosses: int = 0
  rule_glosses: int = 0
  unsure_glosses: int = 0
  prompts: int = 0

  @property
  def clips(self) -> int:
    """Number of clips."""
    return sum(split.clips for split in self.splits.values())

  @property
  def tokens(self) -> str:
    """Kind of token that is counted: words, or characters of single words."""
    texts = [text for split in self.splits.values() for text in split.texts]
    words = sum(len(text.split()) for text in texts)
    few = words < CHARACTERS_BELOW * len(texts)
    return "characters" if few else "words"

  def vocabulary(self, split: str) -> collections.Counter[str]:
    """Token -> how often it occurs in a split."""
    counts = collections.Counter()
    for sentence, count in self.splits[split].texts.items():
      for token in vocabulary_lib.tokenize(sentence, self.tokens):
        counts[token] += count
    return counts

  def text_lengths(self, split: str) -> list[int]:
    """Tokens of each text of a split."""
    tokens = self.tokens
    return [
      length
      for sentence, count in self.splits[split].texts.items()
      for length in [len(vocabulary_lib.tokenize(sentence, tokens))] * count
    ]

  def overlaps(self) -> list[Overlap]:
    """The overlap of each two splits; texts are compared without case."""
    folded = {
      name: {text.casefold() for text in split.texts if text}
      for name, split in self.splits.items()
    }
    return [
      Overlap(
        (a.name, b.name),
        sorted(folded[a.name] & folded[b.name]),
        len(a.names & b.names),
        len(a.poses & b.poses),
      )
      for a, b in itertools.combinations(self.splits.values(), 2)
    ]


def compute(folder: str | os.PathLike) -> DatasetStatistics:
  """Reads every record of a build once. Progress goes to a terminal's stderr.

  Raises:
    DataError: there is no complete build, or a record is damaged.
  """
  folder = pathlib.Path(folder)
  info = record_reader.open_build(folder)
  skeleton = records.skeleton_of_build(folder)
  stats = DatasetStatistics(
    skeleton=skeleton,
    splits={},
    bones=np.empty((0, skeleton.num_bones)),
    worst={},
    faults=collections.Counter(),
    faulty=0,
    languages=collections.Counter(),
    rates=collections.Counter(),
    signers=collections.Counter(),
  )
  lengths = []
  total = sum(split.num_examples for split in info.splits.values())
  with tqdm.tqdm(
    total=total, unit="clip", desc="counting", disable=None
  ) as bar:
    for name, part in info.splits.items():
      size = sum(path.stat().st_size for path in part.paths)
      split = SplitStatistics(name, len(part.paths), size, skeleton=skeleton)
      stats.splits[name] = split
      ranks = []
      for record in record_reader.read_records(part, info.file_format):
        clip = _to_clip(record, info.config_name, folder, split)
        lengths.append(_count(stats, split, clip))
        _count_fields(stats, record)
        _keep_example(split, ranks, clip)
        bar.update()
  stats.bones = np.reshape(lengths, (-1, skeleton.num_bones))
  for ranked in stats.worst.values():
    ranked.sort(reverse=True)
  return stats


def _to_clip(
  record: dict[str, Any],
  config: str,
  folder: pathlib.Path,
  split: SplitStatistics,
) -> clips_lib.Clip:
  if fault := verify.fault(record, config):
    raise errors.DataError(
      f"record {split.clips} (from 0) of the split {split.name!r}: {fault}",
      path=folder,
      hint="Verify the build; it names every bad record",
    )
  clip = records.to_clip(record)
  clean = " ".join(unicodedata.normalize("NFC", clip.text).split())
  return dataclasses.replace(clip, text=clean)


def _count(
  stats: DatasetStatistics, split: SplitStatistics, clip: clips_lib.Clip
) -> np.ndarray:
  """Adds a clip to the counts; returns its bones [K] in shoulder widths."""
  split.frames += len(clip)
  split.seconds.append(len(clip) / clip.fps)
  split.unseen += (~clip.valid).sum(0)
  split.texts[clip.text] += 1
  split.names.add(clip.name)
  split.poses.add(hashlib.sha256(clip.frames.tobytes()).digest()[:16])
  stats.rates[clip.fps] += 1
  measured = quality.measure(clip)
  faults = quality.faults(measured)
  stats.faulty += bool(faults)
  stats.faults.update(faults.keys())
  for measure, value in quality.limited_measures(measured).items():
    if value:
      ranked = RankedClip(value, split.name, clip.name, clip.text)
      worst = stats.worst.setdefault(measure, [])
      if len(worst) < WORST:
        heapq.heappush(worst, ranked)
      else:
        heapq.heappushpop(worst, ranked)
  skeleton = clip.skeleton
  limbs = bones_lib.limb_lengths(clip.frames, clip.valid, skeleton)
  lengths = bones_lib.bone_lengths(limbs, skeleton)
  return lengths / (quality.shoulder_width(clip) or np.nan)


def _count_fields(stats: DatasetStatistics, record: dict) -> None:
  stats.languages[record["language"]] += 1
  stats.signers[record["signer"]] += 1
  stats.glosses += bool(record["gloss"])
  stats.unsure_glosses += record_reader.has_unsure_gloss(record)
  stats.rule_glosses += bool(record["gloss"]) and bool(record["gloss_made"])
  stats.prompts += bool(record["prompt"])


def _keep_example(
  split: SplitStatistics, ranks: list[bytes], clip: clips_lib.Clip
) -> None:
  """Keeps the clips whose names have the lowest digests: a fixed sample."""
  rank = hashlib.sha256(clip.name.encode()).digest()
  position = sum(other < rank for other in ranks)
  if position < EXAMPLES:
    ranks.insert(position, rank)
    split.examples.insert(position, clip)
    del ranks[EXAMPLES:], split.examples[EXAMPLES:]

"""One pass over a built data set: the numbers behind its data card.

Frames are held of one clip at a time and of a few examples; of the rest only
counts, a few numbers a clip, and the texts.

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
from google.protobuf import message

from data_pipeline.building import record_reader, verify
from data_pipeline.lifting import bones as bones_lib
from data_pipeline.lifting import quality
from signllm_jax.core import clips as clips_lib
from signllm_jax.core import errors, skeleton
from signllm_jax.core import vocabulary as vocabulary_lib
from signllm_jax.data import records

EXAMPLES = 3  # clips shown a split
WORST = 3  # clips listed a measure
CHARACTERS_BELOW = 1.5  # words a text on average: then characters are counted


class Bad(NamedTuple):
  """A clip and how bad it is in a measure; sorts by that."""

  value: float
  split: str
  name: str
  text: str


@dataclasses.dataclass
class Split:
  """What was counted of a split."""

  name: str
  shards: int
  size: int  # bytes on disk
  frames: int = 0
  seconds: list[float] = dataclasses.field(default_factory=list)  # a clip
  unseen: np.ndarray = dataclasses.field(  # frames without the joint: [J]
    default_factory=lambda: np.zeros(skeleton.J, np.int64)
  )
  texts: collections.Counter[str] = dataclasses.field(
    default_factory=collections.Counter
  )
  names: set[str] = dataclasses.field(default_factory=set)
  poses: set[bytes] = dataclasses.field(default_factory=set)  # digests
  examples: list[clips_lib.Clip] = dataclasses.field(default_factory=list)

  @property
  def clips(self) -> int:
    """How many."""
    return len(self.seconds)

  def missing(self, part: str) -> float:
    """Share of the part's joints, over all frames, that were not seen."""
    joints = list(skeleton.PARTS[part])
    return float(self.unseen[joints].mean() / max(self.frames, 1))


class Leak(NamedTuple):
  """What two splits have in common."""

  splits: tuple[str, str]
  texts: list[str]  # sorted
  names: int
  poses: int  # clips with equal numbers in all frames


@dataclasses.dataclass
class Census:
  """What was counted of a data set.

  Attributes:
    splits: by name, in the data set's order.
    bones: [clips, K] bone lengths in shoulder widths; NaN where unseen.
    worst: measure of `quality.badness` -> its worst clips, the worst first.
    faults: limit of `quality.faults` -> clips that fail it.
    faulty: clips that fail any.
    languages, rates, signers: clips of each.
    glosses, made_glosses, prompts: clips that have one.
  """

  splits: dict[str, Split]
  bones: np.ndarray
  worst: dict[str, list[Bad]]
  faults: collections.Counter[str]
  faulty: int
  languages: collections.Counter[str]
  rates: collections.Counter[float]
  signers: collections.Counter[str]
  glosses: int = 0
  made_glosses: int = 0
  prompts: int = 0

  @property
  def tokens(self) -> str:
    """The kind that is counted: words, or characters of single words."""
    texts = [each for split in self.splits.values() for each in split.texts]
    words = sum(len(each.split()) for each in texts)
    few = words < CHARACTERS_BELOW * len(texts)
    return "characters" if few else "words"

  def vocabulary(self, split: str) -> collections.Counter[str]:
    """Token -> how often it occurs in a split."""
    found = collections.Counter()
    for sentence, count in self.splits[split].texts.items():
      for token in vocabulary_lib.tokenize(sentence, self.tokens):
        found[token] += count
    return found

  def text_lengths(self, split: str) -> list[int]:
    """Tokens of each text of a split."""
    tokens = self.tokens
    return [
      length
      for sentence, count in self.splits[split].texts.items()
      for length in [len(vocabulary_lib.tokenize(sentence, tokens))] * count
    ]

  def leaks(self) -> list[Leak]:
    """What each two splits share; texts are compared without case."""
    folded = {
      name: {each.casefold() for each in split.texts if each}
      for name, split in self.splits.items()
    }
    return [
      Leak(
        (a.name, b.name),
        sorted(folded[a.name] & folded[b.name]),
        len(a.names & b.names),
        len(a.poses & b.poses),
      )
      for a, b in itertools.combinations(self.splits.values(), 2)
    ]


def take(folder: str | os.PathLike) -> Census:
  """Reads every record of a build once. Progress goes to a terminal's stderr.

  Raises:
    DataError: there is no complete build, or a record is damaged.
  """
  folder = pathlib.Path(folder)
  info: Any = record_reader.open_build(
    folder
  ).info  # annotated too widely by tfds
  census = Census(
    splits={},
    bones=np.empty((0, skeleton.BONES)),
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
      size = sum(path.stat().length for path in part.filepaths)
      split = Split(name, len(part.filepaths), size)
      census.splits[name] = split
      ranks = []
      for data in record_reader.read_records(part, info.file_format.value):
        record, clip = _decode(data, info, folder, split)
        lengths.append(_count(census, split, clip))
        _count_fields(census, record)
        _keep_example(split, ranks, clip)
        bar.update()
  census.bones = np.reshape(lengths, (-1, skeleton.BONES))
  for found in census.worst.values():
    found.sort(reverse=True)
  return census


def _decode(
  data: bytes, info: Any, folder: pathlib.Path, split: Split
) -> tuple[dict, clips_lib.Clip]:
  try:
    record = info.features.deserialize_example_np(data)
    wrong = verify.fault(record, info.config_name or "")
  except (message.DecodeError, ValueError) as error:
    record, wrong = {}, str(error)
  if wrong:
    raise errors.DataError(
      f"record {split.clips} (from 0) of the split {split.name!r}: {wrong}",
      path=folder,
      hint="Verify the build: that names every bad record",
    )
  clip = records.to_clip(record)
  clean = " ".join(unicodedata.normalize("NFC", clip.text).split())
  return record, dataclasses.replace(clip, text=clean)


def _count(census: Census, split: Split, clip: clips_lib.Clip) -> np.ndarray:
  """Adds a clip to the counts; returns its bones [K] in shoulder widths."""
  split.frames += len(clip)
  split.seconds.append(len(clip) / clip.fps)
  split.unseen += (~clip.valid).sum(0)
  split.texts[clip.text] += 1
  split.names.add(clip.name)
  split.poses.add(hashlib.sha256(clip.frames.tobytes()).digest()[:16])
  census.rates[clip.fps] += 1
  measured = quality.measure(clip)
  wrong = quality.faults(measured)
  census.faulty += bool(wrong)
  census.faults.update(wrong.keys())
  for measure, value in quality.badness(measured).items():
    if value:
      bad = Bad(value, split.name, clip.name, clip.text)
      kept = census.worst.setdefault(measure, [])
      if len(kept) < WORST:
        heapq.heappush(kept, bad)
      else:
        heapq.heappushpop(kept, bad)
  lengths = bones_lib.bone_lengths(
    bones_lib.limb_lengths(clip.frames, clip.valid)
  )
  return lengths / (quality.shoulder_width(clip) or np.nan)


def _count_fields(census: Census, record: dict) -> None:
  census.languages[record["language"].decode()] += 1
  census.signers[record["signer"].decode()] += 1
  census.glosses += bool(record["gloss"])
  census.made_glosses += bool(record["gloss"]) and bool(record["gloss_made"])
  census.prompts += bool(record["prompt"])


def _keep_example(
  split: Split, ranks: list[bytes], clip: clips_lib.Clip
) -> None:
  """Keeps the clips whose names have the lowest digests: chance, but fixed."""
  rank = hashlib.sha256(clip.name.encode()).digest()
  at = sum(each < rank for each in ranks)
  if at < EXAMPLES:
    ranks.insert(at, rank)
    split.examples.insert(at, clip)
    del ranks[EXAMPLES:], split.examples[EXAMPLES:]

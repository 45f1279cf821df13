"""Sets clips of train aside for splits that the source does not have."""

import collections
import dataclasses
import hashlib
import pathlib
import re
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from signllm_jax.core import errors, foreign_files, paths

RECORD = "metadata.json"  # of a build; tfds writes it


@dataclasses.dataclass(frozen=True)
class HeldOut:
  """A request to set clips aside.

  Attributes:
    dev: how many for the split dev: "5%" or "200"; empty for none.
    test: how many for the split test.
    seed: of the choice.
  """

  dev: str = ""
  test: str = ""
  seed: int = 0

  @property
  def sizes(self) -> dict[str, str]:
    """Size of each split that is requested."""
    sizes = {"dev": self.dev, "test": self.test}
    return {split: size for split, size in sizes.items() if size}


NONE = HeldOut()
DEFAULT = "10%"  # each of dev and test, of landmark recordings


def count(size: str, total: int) -> int:
  """The number of clips that a size means; a share gives at least 1.

  Raises:
    UsageError: it is neither a share nor a number.
  """
  if match := re.fullmatch(r"(\d{1,2}(?:\.\d+)?)%", size, re.ASCII):
    if float(match[1]) > 0:
      return max(1, round(total * float(match[1]) / 100))
  elif re.fullmatch(r"[1-9]\d{0,6}", size, re.ASCII):
    return int(size)
  raise errors.UsageError(
    f"{size!r} clips to set aside", expected="a share such as 5% or a number"
  )


def choose(request: HeldOut, names: Sequence[str]) -> dict[str, list[str]]:
  """Names of the clips of each split that is asked for.

  The hashes of seed and name decide: the choice does not depend on the order
  of the clips, and a clip more exchanges few others.

  Args:
    request: how many.
    names: of all clips of train, each once.

  Raises:
    UsageError: none would be left to train on.
  """
  order = sorted(
    names,
    key=lambda name: hashlib.sha256(f"{request.seed} {name}".encode()).digest(),
  )
  chosen, start = {}, 0
  if not order:  # the builder refuses a train without clips
    return chosen
  for split, size in request.sizes.items():
    stop = start + count(size, len(names))
    chosen[split] = sorted(order[start:stop])
    start = stop
  if start >= len(order):
    raise errors.UsageError(
      f"{start} of {len(names)} clips to set aside leave none to train on"
    )
  return chosen


def sign_of(name: str) -> str:
  """The sign of a lifted landmark recording; empty for another clip."""
  return name.rpartition("/")[0]


def with_default(request: HeldOut, names: Iterable[str]) -> HeldOut:
  """The request, or 10 % each for dev and test if it is empty.

  The default holds for landmark recordings of signs, which have no splits.

  Args:
    request: sizes may be empty.
    names: of all lifted clips of train.
  """
  if (
    request.sizes or not (names := list(names)) or not all(map(sign_of, names))
  ):
    return request
  return dataclasses.replace(request, dev=DEFAULT, test=DEFAULT)


def choose_by_sign(
  request: HeldOut, names: Sequence[str]
) -> tuple[dict[str, list[str]], list[str]]:
  """Recordings of each split that is asked for, from every sign.

  A share is of each sign's recordings, a number is divided among the signs in
  proportion; each gives at least 1. Within a sign `choose` decides.

  Args:
    request: how many.
    names: SIGN/RECORDING of all of train, each once.

  Returns:
    The names by split, and the signs of which train keeps all, as they have
    too few recordings.

  Raises:
    UsageError: fewer clips than signs, or no sign has enough recordings.
  """
  signs = collections.defaultdict(list)
  for name in names:
    signs[sign_of(name)].append(name)
  sizes = {split: {} for split in request.sizes}
  for split, size in request.sizes.items():
    sizes[split] = _divide(size, {sign: len(v) for sign, v in signs.items()})
  chosen, whole = {split: [] for split in sizes}, []
  for sign, of_sign in sorted(signs.items()):
    counts = {split: str(sizes[split][sign]) for split in sizes}
    if sum(map(int, counts.values())) >= len(of_sign):
      whole.append(sign)
      continue
    own = HeldOut(seed=request.seed, **counts)
    for split, names_of_split in choose(own, of_sign).items():
      chosen[split] += names_of_split
  if sizes and signs and len(whole) == len(signs):
    raise errors.UsageError(
      f"too few recordings of each of {len(signs)} signs to set some aside",
      expected=f"at least {len(sizes) + 1} of a sign",
    )
  return {split: sorted(each) for split, each in chosen.items()}, whole


def _divide(size: str, totals: dict[str, int]) -> dict[str, int]:
  """The number of recordings of each sign that a size means, at least 1."""
  if size.endswith("%"):
    return {sign: count(size, total) for sign, total in totals.items()}
  counts = dict.fromkeys(sorted(totals), 1)
  if (missing := count(size, 0) - len(totals)) < 0:
    raise errors.UsageError(
      f"{size} recordings of {len(totals)} signs to set aside",
      expected="at least 1 of each sign",
    )
  if missing >= sum(totals.values()):
    raise errors.UsageError(
      f"{size} of {sum(totals.values())} clips to set aside leave none to "
      "train on"
    )
  for _ in range(missing):  # Sainte-Lague's method
    next_sign = max(counts, key=lambda s: totals[s] / (2 * counts[s] + 1))
    counts[next_sign] += 1
  return counts


def check(
  request: HeldOut, present: Iterable[str], source: pathlib.Path
) -> None:
  """Checks a request before the clips are read.

  Args:
    request: how many.
    present: splits that the source has.
    source: the input, for the message.

  Raises:
    UsageError: the source has the split already, or a size is none.
  """
  present = set(present)
  for split, size in request.sizes.items():
    count(size, 0)
    if split in present:
      raise errors.UsageError(
        f"--{split}={size}, but there is a split {split}",
        path=source,
        hint=f"Leave --{split} out, or move its files elsewhere",
      )


def entry_name(entry: Any) -> str:
  """The name of a clip: of .skels, lifted, of keypoints or on Beam."""
  return entry if isinstance(entry, str) else entry.name


def describe(request: HeldOut, chosen: dict[str, list[str]]) -> dict[str, Any]:
  """Record of the clips that were set aside, for the build's metadata."""
  return {
    split: {"size": request.sizes[split], "seed": request.seed, "clips": names}
    for split, names in chosen.items()
  }


class Chosen(msgspec.Struct):
  """Clips that a build set aside as a split, and the request for them."""

  size: str
  seed: int
  clips: list[str]


class Record(msgspec.Struct):
  """Frame rate, set-aside clips and corpus of a build."""

  fps: float | None = None  # builds of version 0.1 do not say
  held_out: dict[str, Chosen] = {}
  corpus: str = ""  # builds before version 0.3 do not say


def read_record(folder: paths.AnyPath) -> Record:
  """Reads what a build says of its rate and its set-aside clips.

  Raises:
    DataError: the file is damaged.
  """
  path = folder / RECORD
  value = foreign_files.read_json(path) if foreign_files.exists(path) else {}
  with foreign_files.parsing(path, "record of a build"):
    return msgspec.convert(value, Record)

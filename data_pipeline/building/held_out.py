"""Sets clips of train aside for splits that the source does not have."""

import dataclasses
import hashlib
import json
import pathlib
import re
from collections.abc import Sequence
from typing import Any

from signllm_jax.core import errors
from signllm_jax.formats import splits

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


def check(request: HeldOut, source: pathlib.Path) -> None:
  """Checks a request before the source is read.

  Raises:
    UsageError: the source has the split already, or a size is none.
  """
  for split, size in request.sizes.items():
    count(size, 0)
    present = (source / split).is_dir() or any(
      (source / f"{split}.{kind}").exists()
      for kind in ("skels", "text", "gloss", "files")
    )
    if present:
      raise errors.UsageError(
        f"--{split}={size}, but there is a split {split}",
        path=source,
        hint=f"Leave --{split} out, or move its files elsewhere",
      )


def entry_name(entry: splits.Entry | str) -> str:
  """The name of a clip of .skels or of lifted clips."""
  return entry.name if isinstance(entry, splits.Entry) else entry


def describe(request: HeldOut, chosen: dict[str, list[str]]) -> dict[str, Any]:
  """Record of the clips that were set aside, for the build's metadata."""
  return {
    split: {"size": request.sizes[split], "seed": request.seed, "clips": names}
    for split, names in chosen.items()
  }


def read_record(folder: pathlib.Path) -> dict[str, Any]:
  """Frame rate and set-aside clips of a build; {} of an older version.

  Raises:
    DataError: the file is damaged.
  """
  path = folder / RECORD
  try:
    record = json.loads(path.read_text(encoding="utf-8"))
  except FileNotFoundError:
    return {}
  except (OSError, ValueError) as error:
    raise errors.DataError(f"damaged: {error}", path=path) from error
  if not isinstance(record, dict):
    raise errors.DataError("not a JSON object", path=path)
  return record

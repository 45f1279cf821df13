"""Finds the true clips of texts of the dev and test splits."""

import threading
import unicodedata
from typing import get_args

from signllm_jax import config
from signllm_jax.core import clips, foreign_files, paths
from signllm_jax.data import datasets
from signllm_jax.web import schema

MAX_CLIPS = 2000  # of a split that are indexed
EXAMPLES = 6


class GroundTruth:
  """Clips of the dev and test splits by their text."""

  def __init__(self, settings: config.Data):
    """Indexes the texts; a split that is not there has none.

    Args:
      settings: of the data a model was trained on.

    Raises:
      DataError: a fault in the data.
    """
    self._opened: dict[schema.Split, datasets.Clips] = {}
    self._places: dict[str, tuple[schema.Split, int]] = {}
    self._lock = threading.Lock()
    for split in get_args(schema.Split):
      # Only training needs a dev split, and nothing a test split.
      if _has_clips(settings, split):
        opened = datasets.open_clips(settings, split)
        self._opened[split] = opened
        for index in range(min(len(opened), MAX_CLIPS)):
          line = datasets.source_text(opened[index], settings)
          self._places.setdefault(_key(line), (split, index))

  @property
  def examples(self) -> list[str]:
    """A few texts whose true clip is known."""
    return list(self._places)[:EXAMPLES]

  def find(self, line: str) -> tuple[schema.Split, clips.Clip] | None:
    """Returns split and clip of a text; None if it is in neither split."""
    place = self._places.get(_key(line))
    if place is None:
      return None
    split, index = place
    with self._lock:
      return split, self._opened[split][index]


def _has_clips(settings: config.Data, split: str) -> bool:
  """Whether there are clips of a split: a folder may have its texts alone."""
  folder = paths.resolve(settings.folder)
  built = foreign_files.exists(folder / "dataset_info.json")
  return datasets.has_split(settings, split) and (
    built or foreign_files.exists(folder / f"{split}.skels")
  )


def _key(line: str) -> str:
  return " ".join(unicodedata.normalize("NFC", line).split())

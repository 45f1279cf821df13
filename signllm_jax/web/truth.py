"""The true clips of texts that a model was never trained on."""

import pathlib
import threading
import unicodedata

from signllm_jax import config
from signllm_jax.core import clips
from signllm_jax.data import datasets

MAX_CLIPS = 2000  # of a split that are looked at
EXAMPLES = 6
_SPLITS = ("dev", "test")


class Truth:
  """Finds clips of the dev and test splits by their text."""

  def __init__(self, settings: config.Data):
    """Reads which texts there are; none if the folder is not there.

    Args:
      settings: of the data a model was trained on.

    Raises:
      DataError: a fault in the data.
    """
    self._opened: dict[str, datasets.Clips] = {}
    self._places: dict[str, tuple[str, int]] = {}
    self._lock = threading.Lock()
    folder = pathlib.Path(settings.folder)
    for split in _SPLITS:
      # Only training needs a dev split, and nothing a test split.
      if _has(folder, split):
        opened = datasets.open_clips(settings, split)
        self._opened[split] = opened
        for index in range(min(len(opened), MAX_CLIPS)):
          line = datasets.source_text(opened[index], settings)
          self._places.setdefault(_key(line), (split, index))

  @property
  def examples(self) -> list[str]:
    """A few texts whose truth is known."""
    return list(self._places)[:EXAMPLES]

  def find(self, line: str) -> tuple[str, clips.Clip] | None:
    """Split and clip of a text; None if it is in neither split."""
    place = self._places.get(_key(line))
    if place is None:
      return None
    split, index = place
    with self._lock:
      return split, self._opened[split][index]


def _has(folder: pathlib.Path, split: str) -> bool:
  built = (
    any(folder.glob(f"*-{split}.*")) and (folder / "dataset_info.json").exists()
  )
  return built or (folder / f"{split}.skels").exists()


def _key(line: str) -> str:
  return " ".join(unicodedata.normalize("NFC", line).split())

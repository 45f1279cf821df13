"""Prompt2Sign since 2025: DWPose's JSON of many languages.

Clips are folders with `json/00000001.json` or `results_dwpose/json/...`; the
export is .skels with 385 numbers a frame. Texts are clips.files and clips.text,
or SPLIT.files and SPLIT.text, beside the clips. Prompt2Sign's tool writes the
same form for anybody's videos, which `--licence` then speaks for.

Source: github.com/SignLLM/Prompt2Sign, tools-new-2025; Fang et al., arXiv
2405.10718.
"""

import pathlib

from data_pipeline.corpora import corpus
from signllm_jax.core import limits, text_files
from signllm_jax.formats import dwpose_skels

CORPUS = corpus.Corpus(
  "Prompt2Sign 2025",
  "Prompt2Sign's material (Fang et al., arXiv 2405.10718) is under CC BY-NC-SA "
  "4.0: no commercial use, same terms for what is made from it. The corpus "
  "behind it has its own terms besides. If these are keypoints of other "
  "videos, state theirs with --licence. Terms: github.com/SignLLM/Prompt2Sign",
)
_KINDS = {"dwpose", "dwpose_npz"}


def holds(found: corpus.Recognised) -> bool:
  """Whether all clips that were found have DWPose's form."""
  sources = [each for of_split in found.splits.values() for each in of_split]
  return bool(sources) and {source.kind for source in sources} <= _KINDS


def is_export(path: pathlib.Path) -> bool:
  """Whether a .skels has 385 numbers a frame, by its first line."""
  for _, line in text_files.read_lines(path, limits.MAX_LINE):
    count = len(line.split())
    return count > 0 and count % dwpose_skels.FRAME == 0 and bool(count % 151)
  return False

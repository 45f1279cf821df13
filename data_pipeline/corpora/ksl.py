"""KSL: Korean Sign Language, words and sentences of AI Hub.

As AI Hub hands it out, OpenPose's JSON in folders NIA_SL_WORD0001_REAL02_F (the
signer, and the view: F is the front) and NIA_SL_..._morpheme.json with the
signs of each clip. The text of a word is its sign. Sentences have signs alone:
their Korean text is not in these files. Other views than the front are left
out.

Source: aihub.or.kr, data set 103.
"""

import pathlib
import re

import msgspec

from data_pipeline.corpora import corpus, folder
from data_pipeline.corpora.corpus import Entry
from signllm_jax.core import foreign_files

CORPUS = corpus.Corpus(
  "KSL, sign language videos of AI Hub",
  "AI Hub's sign language videos (NIA, Korea) are handed out by request, under "
  "AI Hub's terms: ask it before you pass on what is made from them. Terms: "
  "aihub.or.kr",
  ("KSL",),
  fps=30.0,  # assumed, as is the size; the page was not seen
  size=(1920, 1080),
  seen=False,
)
_CLIP = re.compile(r"NIA_SL_(WORD|SEN)(\d+)_([A-Z]+\d+)_([FLRUD])")
_MORPHEMES = "_morpheme.json"


class _Attribute(msgspec.Struct):
  name: str


class _Morpheme(msgspec.Struct):
  start: float
  attributes: list[_Attribute]


class _Morphemes(msgspec.Struct):
  data: list[_Morpheme]


def recognise(
  root: folder.Folder, request: corpus.Request
) -> corpus.Recognised | None:
  """Recognises AI Hub's corpus by the names of its clips."""
  clip = root.match(_CLIP.pattern)
  if not clip:
    return None
  files = sorted(request.path.glob(f"**/NIA_SL_*{_MORPHEMES}"))
  found = corpus.find(
    CORPUS, request, clip, by_split=root.split_folders(), known=files
  )
  entries = {
    name: _read(path, name)
    for path in files
    if _CLIP.fullmatch(name := path.name.removesuffix(_MORPHEMES))
  }
  views = 0
  for split, sources in found.splits.items():
    front = [source for source in sources if _view(source.name) in ("F", "")]
    views += len(sources) - len(front)
    found.splits[split] = front
  if views:
    found.notes.append(
      f"{views} clips from the side, from above or below are left out: the "
      "front shows the same signing"
    )
  of_split = {
    split: {
      source.name: entries[source.name]
      for source in sources
      if source.name in entries
    }
    for split, sources in found.splits.items()
  }
  corpus.join(found, of_split, dict.fromkeys(of_split, f"*{_MORPHEMES}"))
  if any(
    "_SEN" in source.name for each in found.splits.values() for source in each
  ):
    found.notes.append("sentences have signs but no text in these files")
  return found


def _view(name: str) -> str:
  match = _CLIP.fullmatch(name)
  return match[4] if match else ""


def _read(path: pathlib.Path, name: str) -> Entry:
  """The signs of a clip, in the order of their start."""
  match = _CLIP.fullmatch(name)
  value = foreign_files.read_json(path)
  with foreign_files.parsing(path, "list of morphemes"):
    found = msgspec.convert(value, _Morphemes).data
  signs = [
    attribute.name
    for morpheme in sorted(found, key=lambda each: each.start)
    for attribute in morpheme.attributes
  ]
  text = " ".join(signs) if match and match[1] == "WORD" else ""
  gloss = " ".join(sign.replace(" ", "-") for sign in signs)
  return Entry(text, gloss, match[3] if match else "")

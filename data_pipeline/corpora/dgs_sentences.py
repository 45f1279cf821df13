"""Sentences of the Public DGS Corpus: German Sign Language, .pose files.

As handed out by fluent-pose-synthesis: `train_7_original.pose`, the sentence as
it was signed, and `train_7_metadata.json` with its German text and glosses.
`train_7_updated.pose` is the same sentence stitched from dictionary signs of
another signer; it is left out.

Source: github.com/sign-language-processing/fluent-pose-synthesis;
www.sign-lang.uni-hamburg.de/meinedgs/ling/start_en.html.
"""

import dataclasses
import pathlib
import re

import msgspec

from data_pipeline.corpora import corpus, folder
from data_pipeline.keypoints import find_clips, find_splits, sidecar_texts
from data_pipeline.keypoints.clip_source import Source
from signllm_jax.core import errors, foreign_files

CORPUS = corpus.Corpus(
  "Public DGS Corpus, sentences",
  "The Public DGS Corpus (Konrad et al., Universität Hamburg) is made "
  "available for research purposes, under a licence of its own: read it before "
  "you pass on what is made from it. Terms: "
  "www.sign-lang.uni-hamburg.de/meinedgs/ling/license_en.html",
  ("GSL",),
)
_ORIGINAL, _UPDATED, _METADATA = "_original", "_updated", "_metadata"


class _Glosses(msgspec.Struct):
  gloss: list[str] = []


class _Sentence(msgspec.Struct):
  german: str
  glosses: _Glosses = msgspec.field(default_factory=_Glosses)


class _Metadata(msgspec.Struct):
  sentence: _Sentence
  document_id: str = ""


def recognise(
  root: folder.Folder, request: corpus.Request
) -> corpus.Recognised | None:
  """Recognises the sentences by a .pose with its metadata beside it."""
  metadata = root.match(rf".+{_METADATA}")
  if not metadata.endswith(".json") or not root.match(rf".+{_ORIGINAL}"):
    return None
  path = request.path
  files = {file.name: file for file in sorted(path.glob("**/*.json"))}
  stems = {
    name.removesuffix(f"{_METADATA}.json"): f for name, f in files.items()
  }
  found = corpus.Recognised(CORPUS, metadata, fps=request.rate(CORPUS))
  sources = find_clips.find(
    path,
    fps=found.fps,
    size=request.size,
    skeleton=request.skeleton,
    known=list(map(str, files.values())),
    report=found.notes.append,
    leave=found.unread.__setitem__,
  )
  updated, used = 0, set()
  for source in sources:
    if source.name.endswith(_UPDATED):
      updated += 1
      continue
    stem = source.name.removesuffix(_ORIGINAL)
    used.add(stem)
    split = find_splits.split_of(re.sub(r"[_-]?\d+$", "", stem)) or "train"
    found.splits.setdefault(split, []).append(
      _with_text(source, stem, stems.get(stem))
    )
  if updated:
    found.notes.append(
      f"{updated} files *{_UPDATED}.pose are left out: they are stitched from "
      "dictionary signs, not signed"
    )
  if absent := sorted(stems.keys() - used):
    found.notes.append(
      f"{len(absent)} sentences without {_ORIGINAL}.pose:"
      + sidecar_texts.listed("", absent)
    )
  order = {s: found.splits[s] for s in corpus.SPLITS if s in found.splits}
  found.splits = order
  return found


def _with_text(
  source: Source, name: str, metadata: pathlib.Path | None
) -> Source:
  """The clip with its sentence and glosses, or with the fault of those."""
  if metadata is None:
    return dataclasses.replace(source, name=name)
  try:
    value = foreign_files.read_json(metadata)
    with foreign_files.parsing(metadata, "description of a sentence"):
      sentence = msgspec.convert(value, _Metadata).sentence
  except errors.DataError as error:
    return dataclasses.replace(source, name=name, fault=error)
  return dataclasses.replace(
    source,
    name=name,
    text=sentence.german,
    gloss=" ".join(sentence.glosses.gloss),
  )

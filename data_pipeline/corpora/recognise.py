"""Recognises a corpus in the form in which it is downloaded."""

import dataclasses
import pathlib

from data_pipeline.corpora import (
  autsl,
  corpus,
  dgs_sentences,
  folder,
  google,
  how2sign,
  ksl,
  lsa64,
  phoenix14t,
  prompt2sign,
  signsuisse,
  slrtp,
)
from data_pipeline.keypoints import find_splits
from signllm_jax.core import errors, limits, text_files
from signllm_jax.formats import splits

_MODULES = (
  how2sign,
  phoenix14t,
  dgs_sentences,
  google,
  autsl,
  lsa64,
  ksl,
  signsuisse,
  slrtp,
)
RECORDINGS = corpus.Corpus(
  "recordings of signs as MediaPipe's landmarks", corpus.NOT_STATED
)


def recognise(request: corpus.Request) -> corpus.Recognised:
  """Recognises a corpus and finds its clips; reads none of them.

  Args:
    request: the folder and what the user says of it.

  Returns:
    The corpus with its clips by split. A folder of no known form is
    `corpus.UNKNOWN`, with the clips that `find_splits` finds.

  Raises:
    DataError: there are no clips, a table is damaged, or a split is doubtful.
    UsageError: the form needs a picture size.
    StorageError: a folder cannot be read.
  """
  root = folder.Folder(request.path)
  if request.path.is_dir():
    for module in _MODULES:
      if found := module.recognise(root, request):
        return _checked(found, request)
  if request.path.is_dir() and (stems := find_splits.stems(request.path)):
    found = corpus.Recognised(corpus.UNKNOWN, fps=request.rate(corpus.UNKNOWN))
    found.poses = {
      split: _names(request.path, stem) for split, stem in stems.items()
    }
    found.notes += [
      f"{stem}.* is taken as the split {split}"
      for split, stem in stems.items()
      if stem != split
    ]
    first = request.path / f"{next(iter(stems.values()))}.skels"
    if first.is_file() and prompt2sign.is_export(first):
      found.corpus, found.evidence = prompt2sign.CORPUS, first.name
    return found
  found = corpus.find(corpus.UNKNOWN, request, "")
  if any(source.sign for of in found.splits.values() for source in of):
    found.corpus = RECORDINGS
  elif prompt2sign.holds(found):
    found.corpus, found.evidence = prompt2sign.CORPUS, "DWPose's JSON"
  return _checked(found, request)


def _checked(
  found: corpus.Recognised, request: corpus.Request
) -> corpus.Recognised:
  """Refuses a corpus of another language.

  Raises:
    UsageError: it is one.
  """
  if request.language:
    corpus.check_language(found.corpus, request.language, request.path)
  return found


def _names(path: pathlib.Path, stem: str) -> list[str]:
  """A name for each clip of a .skels, as the builder names them."""
  if (path / f"{stem}.files").is_file():
    return list(splits.read_texts(path / f"{stem}.files"))
  if not (path / f"{stem}.text").is_file():
    return []  # the builder reports it
  count = sum(1 for _ in splits.read_texts(path / f"{stem}.text"))
  return [f"{stem}/{number:06d}" for number in range(1, count + 1)]


def with_licence(
  found: corpus.Recognised, licence: str | None
) -> corpus.Recognised:
  """Replaces the terms of a corpus by those that the user states.

  Args:
    found: the corpus.
    licence: a text or the path of a UTF-8 file; None for the known terms.

  Raises:
    DataError: the file is empty, too large or not UTF-8.
  """
  if licence is None:
    return found
  text = licence
  path = pathlib.Path(licence)
  if len(licence) < 4096 and path.is_file():
    text = text_files.read_text(path, limits.MAX_TEXT)
  if not text.strip():
    raise errors.DataError("an empty licence", path=licence or "--licence")
  found.corpus = dataclasses.replace(found.corpus, licence=text.strip())
  return found

"""Finds landmark recordings of signs: SIGN/RECORDING/FRAME.npy, or a .npz.

The text of a recording is the name of its sign, or the text that a file of
names gives it; its gloss is the name in capitals. Files: `mediapipe_arrays.py`.
"""

import dataclasses
import os
import pathlib
from collections.abc import Callable, Iterable

from data_pipeline.keypoints import sidecar_texts
from data_pipeline.keypoints.clip_source import Source
from signllm_jax.core import errors, text_files
from signllm_jax.formats import mediapipe_arrays


class Folders:
  """Collects the recordings among the folders of a tree."""

  def __init__(self):
    self._recordings: list[mediapipe_arrays.Recording] = []
    self._empty: list[str] = []
    self._parents: set[str] = set()
    self._other: list[str] = []

  def add(self, folder: str, names: list[str]) -> list[str]:
    """Adds a folder with the names of its files; returns those of no frame."""
    self._parents.add(os.path.dirname(folder))
    if recording := mediapipe_arrays.group(folder, names):
      self._recordings.append(recording)
      known = set(recording.names)
      other = [name for name in names if name not in known]
      self._other += [os.path.join(folder, name) for name in other]
      return other
    if not names:
      self._empty.append(folder)
    return names

  def sources(self, report: Callable[[str], None]) -> list[Source]:
    """The recordings, with folders that should hold one and are empty.

    Args:
      report: called with a warning about files that are not frames.
    """
    if not self._recordings:
      return []
    if self._other:
      report(
        "files that are not frames beside those of recordings:"
        + sidecar_texts.listed("", self._other)
      )
    signs = {os.path.dirname(each.folder) for each in self._recordings}
    roots = {os.path.dirname(sign) for sign in signs}
    found = [_source(each) for each in self._recordings]
    for folder in self._empty:
      if folder in self._parents:
        continue
      if os.path.dirname(folder) in roots - signs:
        fault = errors.DataError(
          "a sign without recordings", path=folder, expected="a folder a clip"
        )
        name = pathlib.Path(folder).resolve().name
        place = mediapipe_arrays.Recording(folder, ())
        found.append(Source(name, "npy", place, sign=name, fault=fault))
      else:
        found.append(_source(mediapipe_arrays.Recording(folder, ())))
    return found


def in_archive(file: pathlib.Path) -> list[Source]:
  """The recordings of a .npz, an array a sign; a bad array is one bad clip.

  Raises:
    DataError: the file is damaged or holds no arrays of recordings.
  """
  found = []
  for sign, count in mediapipe_arrays.archive_counts(file).items():
    if isinstance(count, int) and "/" in sign:
      count = errors.DataError(
        f"sign {sign[:60]!r}", path=file, expected="a name without a slash"
      )
    if isinstance(count, errors.DataError):
      found.append(Source(sign, "npz", file, member=sign, fault=count))
      continue
    found += [
      Source(name, "npz", file, member=name, sign=sign)
      for name in (f"{sign}/{index}" for index in range(count))
    ]
  return [
    dataclasses.replace(source, text=source.sign, gloss=source.sign.upper())
    for source in found
  ]


def _source(recording: mediapipe_arrays.Recording) -> Source:
  folder = pathlib.Path(recording.folder).resolve()
  sign = folder.parent.name
  return Source(
    f"{sign}/{folder.name}",
    "npy",
    recording,
    text=sign,
    gloss=sign.upper(),
    sign=sign,
  )


def name_signs(
  splits: dict[str, list[Source]], path: str | os.PathLike
) -> dict[str, list[Source]]:
  """Replaces the texts of recordings by those of a file of names.

  Args:
    splits: recordings by split.
    path: a UTF-8 file, `name<TAB>text` a line, every sign once.

  Raises:
    DataError: a line has another form, names a sign again or one that is not
      there; a sign has no line; or the clips are not recordings of signs.
  """
  signs = {source.sign for found in splits.values() for source in found}
  if signs <= {""}:
    raise errors.DataError(
      "names of signs, but the input holds no recordings of signs",
      path=path,
      hint="Leave --names out",
    )
  texts = {}
  for number, raw in text_files.read_lines(path):
    line = text_files.decode_line(raw.rstrip(b"\r\n"), path, number)
    name, tab, text = line.partition("\t")
    if not tab or not name or not text.strip() or "\t" in text:
      raise errors.DataError(
        f"{line[:60]!r}", path=path, line=number, expected="name<TAB>text"
      )
    if name in texts or name not in signs:
      raise errors.DataError(
        f"sign {name[:60]!r} again"
        if name in texts
        else f"no sign {name[:60]!r} in the input",
        path=path,
        line=number,
        expected="each sign of the input once",
      )
    texts[name] = text
  if missing := sorted(signs - {""} - texts.keys()):
    raise errors.DataError(
      f"no line for{sidecar_texts.listed('', missing)}",
      path=path,
      line=len(texts) + 1,
      expected="each sign of the input once",
    )
  return {
    split: [
      dataclasses.replace(source, text=texts.get(source.sign, ""))
      for source in found
    ]
    for split, found in splits.items()
  }


def copies(sources: Iterable[Source]) -> dict[str, str]:
  """Recordings that equal an earlier one of their sign, byte by byte.

  Returns:
    The name of the earlier recording, by the name of the copy. A recording
    that cannot be read is none; reading it reports the fault.
  """
  first: dict[tuple[str, bytes], str] = {}
  found = {}
  for source in sources:
    if not source.sign or source.fault:
      continue
    try:
      digest = mediapipe_arrays.fingerprint(source.recording)
    except (errors.DataError, errors.StorageError):
      continue
    name = first.setdefault((source.sign, digest), source.name)
    if digest and name != source.name:
      found[source.name] = name
  return found

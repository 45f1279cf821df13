"""Prepares typed texts for a model, with notes for the user."""

import dataclasses
import functools
import itertools
import os
import unicodedata
from collections.abc import Callable, Sequence
from typing import NamedTuple

from signllm_jax import config
from signllm_jax.core import (
  clips,
  errors,
  foreign_files,
  limits,
  paths,
  sentences,
  text_files,
)
from signllm_jax.core import vocabulary as vocabulary_lib
from signllm_jax.data import corpus_info, datasets
from signllm_jax.inference import display, letters, pauses

MAX_TOKENS = 1024  # of one text; memory grows with their square


class TextInput(NamedTuple):
  """A text as it was typed, and where it stands if in a file."""

  text: str
  path: str | os.PathLike | None = None
  line: int | None = None


class PreparedText(NamedTuple):
  """A text as the model reads it: NFC, single spaces."""

  text: str
  parts: tuple[str, ...]  # what is signed in one go; `sentences.split`
  notes: tuple[str, ...]  # what the user should know of it
  pauses: tuple[float, ...] = ()  # after each part but the last; `pauses`


@dataclasses.dataclass(frozen=True)
class TextBatch:
  """Prepared texts of a request.

  Attributes:
    sources: what the model reads.
    parts: of each, what is signed in one go.
    true: the clip that is the truth of each; None where there is none.
    notes: what the user should know.
    pauses: of each, after each part but the last; units of `pauses`.
  """

  sources: list[str]
  parts: list[tuple[str, ...]]
  true: list[clips.Clip] | None
  notes: list[str]
  pauses: list[tuple[float, ...]] = dataclasses.field(default_factory=list)


def read_file(path: str | os.PathLike) -> list[TextInput]:
  """The texts of a UTF-8 file, one a line; a last line may lack its end.

  Raises:
    DataError: no such file, too large, not UTF-8, or without texts;
      names the line.
    StorageError: the file cannot be read.
  """
  content = foreign_files.read(path, limits.MAX_INPUT)
  if content.count(b"\n") > limits.MAX_LINES:
    raise errors.DataError(
      "too many lines", path=path, expected=f"at most {limits.MAX_LINES}"
    )
  lines = content.removeprefix(b"\xef\xbb\xbf").split(b"\n")
  if not lines[-1]:
    lines.pop()
  if not lines:
    raise errors.DataError("empty", path=path, expected="one text a line")
  texts = []
  for number, line in enumerate(lines, 1):
    texts.append(
      TextInput(text_files.decode_line(line, path, number), path, number)
    )
  return texts


def prepare(
  typed: TextInput, info: corpus_info.CorpusInfo, spoken: str = ""
) -> PreparedText:
  """The text for a model that was trained on this corpus.

  The case with the fewest unknown tokens is taken: a model of lower-case words
  reads `Hello` as `hello`. A text longer than any in training is signed in
  parts, and so is every word where the model knows no space.

  Args:
    typed: the text.
    info: of the corpus.
    spoken: ISO 639-1 code of the text's language, for `letters.prepare`.

  Raises:
    UsageError: the text is empty, not Unicode or unknown, or has a part of more
      than MAX_TOKENS or a number without words; in a file, a DataError.
  """
  vocabulary = info.vocabulary
  line, notes = _readable(typed, vocabulary, spoken)
  spellable = _spellable(line, vocabulary)
  cases: tuple[Callable[[str], str], ...] = (str, str.lower, str.upper)
  case = min(cases, key=lambda c: len(vocabulary.unknown(c(spellable))))
  spelt = (
    vocabulary.unit == "characters"
    and vocabulary_lib.SPACE not in vocabulary.entries
  )
  split = sentences.split(
    spellable,
    lambda part: len(vocabulary.encode(case(part))),
    info.longest_source,
    words=spelt,
  )
  parts = tuple(map(case, split))
  _check_length(typed, split, parts, info)
  text = case(spellable)
  unknown = [token for part in parts for token in vocabulary.unknown(part)]
  # Spaces are nothing to sign, even where the model knows them.
  tokens = [t for t in vocabulary.tokenize(text) if t != vocabulary_lib.SPACE]
  if len([t for t in unknown if t != vocabulary_lib.SPACE]) == len(tokens):
    raise _refuse(
      typed,
      f"the model knows none of the {_unit(vocabulary)} of "
      f"{display.quote(line)}",
      display.describe(vocabulary),
    )
  seen = vocabulary.tokenize, vocabulary.unknown
  kept = [len(seen[0](p)) > len(seen[1](p)) for p in parts]
  known = tuple(itertools.compress(parts, kept))
  read_as = f"{display.quote(line)} is read as {display.quote(text)}"
  if text != spellable:
    notes.append(f"{read_as}, the case the model knows")
  elif spellable != line:
    notes.append(f"{read_as}, without its punctuation")
  notes += _notes_on_parts(line, split, parts, known, unknown, info)
  spell = functools.partial(_spellable, vocabulary=vocabulary)
  rests = pauses.after_parts(line, split, spell, spelt=spelt)
  return PreparedText(text, known, tuple(notes), pauses.between(rests, kept))


def _normalised(typed: TextInput) -> str:
  """The text in NFC with single spaces; refuses an empty one."""
  try:
    typed.text.encode()
  except UnicodeEncodeError as error:
    raise _refuse(typed, "the text is not Unicode", "UTF-8") from error
  line = " ".join(unicodedata.normalize("NFC", typed.text).split())
  if not line:
    raise _refuse(typed, "the text is empty", "words to sign")
  return line


def _readable(
  typed: TextInput, vocabulary: vocabulary_lib.Vocabulary, spoken: str
) -> tuple[str, list[str]]:
  """The text of `letters.prepare`, with a note if it differs."""
  line = _normalised(typed)
  try:
    read = letters.prepare(line, vocabulary, spoken)
  except errors.UsageError as error:
    raise _refuse(typed, str(error), "") from error
  note = f"{display.quote(line)} is read as {display.quote(read)}"
  return read, [note] * (read != line)


def _check_length(
  typed: TextInput,
  split: Sequence[str],
  parts: Sequence[str],
  info: corpus_info.CorpusInfo,
) -> None:
  """Refuses a part of more than MAX_TOKENS; `split` has the typed case."""
  sizes = [len(info.vocabulary.encode(part)) for part in parts]
  longest = sizes.index(max(sizes))
  if sizes[longest] > MAX_TOKENS:
    raise _refuse(
      typed,
      f"{display.quote(split[longest])} has {sizes[longest]:,} "
      f"{_unit(info.vocabulary)}",
      f"at most {MAX_TOKENS:,}; the longest in training had "
      f"{info.longest_source:,}",
      "Cut it into words",
    )


def _notes_on_parts(
  line: str,
  split: Sequence[str],
  parts: Sequence[str],
  known: Sequence[str],
  unknown: Sequence[str],
  info: corpus_info.CorpusInfo,
) -> list[str]:
  """Notes on unknown tokens, parts left out, joined or very long."""
  quoted, unit = display.quote(line), _unit(info.vocabulary)
  notes = []
  if unknown:
    listing = display.listing(unknown)
    notes.append(f"{quoted}: {unit} the model has never seen: {listing}")
  if left := sorted(set(parts) - set(known)):
    listing = display.listing(left)
    notes.append(f"{quoted}: left out, as nothing is known: {listing}")
  if len(known) > 1:
    notes.append(f"{quoted} is signed in {len(known)} parts, which are joined")
  sizes = [len(info.vocabulary.encode(part)) for part in parts]
  longest = sizes.index(max(sizes))
  if sizes[longest] > info.longest_source:
    notes.append(
      f"{display.quote(split[longest])}: {sizes[longest]} {unit} with the "
      f"end; the longest text in training had {info.longest_source}"
    )
  return notes


def _unit(vocabulary: vocabulary_lib.Vocabulary) -> str:
  return "words" if vocabulary.unit == "words" else "characters"


def _refuse(
  typed: TextInput, problem: str, expected: str, hint: str | None = None
) -> errors.SignLLMError:
  """The error of a text that cannot be signed, with its place in a file."""
  kind = errors.UsageError if typed.path is None else errors.DataError
  return kind(
    problem, path=typed.path, line=typed.line, expected=expected, hint=hint
  )


def _spellable(line: str, vocabulary: vocabulary_lib.Vocabulary) -> str:
  """Removes punctuation that a spelling model does not know.

  A text of punctuation alone is left as it is.
  """
  if vocabulary.unit != "characters":
    return line
  kept = "".join(
    c
    for c in line
    if unicodedata.category(c)[0] != "P" or c in vocabulary.entries
  )
  return " ".join(kept.split()) or line


def prepare_all(
  typed: Sequence[TextInput],
  info: corpus_info.CorpusInfo,
  spoken: str = "",
) -> TextBatch:
  """The task of signing these texts; arguments and errors as of `prepare`."""
  prepared = [prepare(line, info, spoken) for line in typed]
  notes = [note for text in prepared for note in text.notes]
  sources = [text.text for text in prepared]
  parts, rests = [t.parts for t in prepared], [t.pauses for t in prepared]
  return TextBatch(sources, parts, None, notes, rests)


def read_split(
  settings: config.Data,
  info: corpus_info.CorpusInfo,
  split: str,
  count: int = 0,
) -> TextBatch:
  """The task of signing the first `count` texts of a split (0: all).

  The texts go to the model as they went in training.

  Raises:
    DataError: the data are gone, or have no such split, or it is empty.
  """
  folder = paths.resolve(settings.folder)
  if not foreign_files.exists(folder):
    raise errors.DataError(
      "the data this model was trained on are gone",
      path=folder,
      expected=f"their split {split!r}",
      hint="Bring them back, start where the training was started if the "
      "name is relative, or sign texts of your own",
    )
  opened = datasets.open_clips(settings, split)
  true = [opened[i] for i in range(min(len(opened), count or len(opened)))]
  if not true:
    raise errors.DataError(f"the split {split!r} is empty", path=folder)
  lines = [datasets.source_text(clip, settings) for clip in true]
  strange = sum(bool(info.vocabulary.unknown(line)) for line in lines)
  notes = []
  if strange:
    notes.append(
      f"{strange} of {len(lines)} texts have {info.vocabulary.unit} that "
      "the model has never seen"
    )
  return TextBatch(lines, [(line,) for line in lines], true, notes)

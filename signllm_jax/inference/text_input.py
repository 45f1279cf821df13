"""What people type -> what a model can read, and what must be said of it."""

import dataclasses
import os
import pathlib
import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from signllm_jax import config
from signllm_jax.core import clips, errors, sentences, text_files
from signllm_jax.core import vocabulary as vocabulary_lib
from signllm_jax.data import corpus_info, datasets

MAX_FILE = 16 << 20  # bytes of a file of texts
MAX_TOKENS = 1024  # of one text; memory grows with their square
_SHOWN = 60  # characters of a text in a message

# What a question puts in quotation marks; an apostrophe within it stays.
_QUOTED = re.compile(
  r"""["“”„«»]([^"“”„«»]+)["“”„«»]|(?<!\w)['‘‚](.+)['’‘](?!\w)"""
)


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


@dataclasses.dataclass(frozen=True)
class TextBatch:
  """What to sign.

  Attributes:
    sources: what the model reads.
    parts: of each, what is signed in one go.
    true: the clip that is the truth of each; None where there is none.
    notes: what the user should know.
  """

  sources: list[str]
  parts: list[tuple[str, ...]]
  true: list[clips.Clip] | None
  notes: list[str]


def quote(typed: str) -> str:
  """A text in quotes and in one line, cut to what a message can hold."""
  return repr(typed if len(typed) <= _SHOWN else typed[:_SHOWN] + "…")


def read_file(path: str | os.PathLike) -> list[TextInput]:
  """The texts of a UTF-8 file, one a line; a last line may lack its end.

  Raises:
    DataError: no such file, larger than MAX_FILE, not UTF-8, or without texts;
      names the line.
    StorageError: the file cannot be read.
  """
  try:
    with pathlib.Path(path).open("rb") as file:
      content = file.read(MAX_FILE + 1)
  except FileNotFoundError as error:
    raise errors.DataError("no such file", path=path) from error
  except OSError as error:
    raise errors.StorageError(f"cannot be read: {error}", path=path) from error
  if len(content) > MAX_FILE:
    raise errors.DataError(
      f"more than {MAX_FILE} bytes",
      path=path,
      expected="a text file with one text a line",
      hint="Cut it into several files",
    )
  lines = content.removeprefix(b"\xef\xbb\xbf").split(b"\n")
  if not lines[-1]:
    lines.pop()
  if not lines:
    raise errors.DataError("empty", path=path, expected="one text a line")
  found = []
  for number, line in enumerate(lines, 1):
    found.append(
      TextInput(text_files.decode_line(line, path, number), path, number)
    )
  return found


def prepare(typed: TextInput, info: corpus_info.CorpusInfo) -> PreparedText:
  """The text for a model that was trained on this corpus.

  Where another case has fewer unknown tokens, it is taken: a model of
  lower-case words reads `Hello` as `hello`. A text longer than any in training
  is signed in parts, and so is every word where the model knows no space.

  Raises:
    UsageError: the text is empty, not Unicode, has a word longer than
      MAX_TOKENS, or the model knows none of it; in a file, a DataError says
      the same.
  """

  def refuse(
    problem: str, expected: str, hint: str | None = None
  ) -> errors.SignLLMError:
    kind = errors.UsageError if typed.path is None else errors.DataError
    return kind(
      problem, path=typed.path, line=typed.line, expected=expected, hint=hint
    )

  vocabulary = info.vocabulary
  try:
    typed.text.encode()
  except UnicodeEncodeError as error:
    raise refuse("the text is not Unicode", "UTF-8") from error
  asked = " ".join(unicodedata.normalize("NFC", typed.text).split())
  if not asked:
    raise refuse("the text is empty", "words to sign")
  typed_line, asked = asked, _spellable(asked, vocabulary)
  name = "words" if vocabulary.unit == "words" else "characters"
  forms: tuple[Callable[[str], str], ...] = (str, str.lower, str.upper)
  form = min(forms, key=lambda form: len(vocabulary.unknown(form(asked))))

  def size(part: str) -> int:
    return len(vocabulary.encode(form(part)))

  parts = sentences.split(
    asked,
    size,
    info.longest_source,
    words=vocabulary.unit == "characters"
    and vocabulary_lib.SPACE not in vocabulary.entries,
  )
  longest = max(parts, key=size)
  if size(longest) > MAX_TOKENS:
    raise refuse(
      f"{quote(longest)} has {size(longest):,} {name}",
      f"at most {MAX_TOKENS:,}; the longest in training had "
      f"{info.longest_source:,}",
      "Cut it into words",
    )
  read = form(asked)
  unknown = [
    token for part in parts for token in vocabulary.unknown(form(part))
  ]
  quoted = quote(typed_line)
  # Spaces are nothing to sign, even where the model knows them.
  meant = [t for t in vocabulary.tokenize(read) if t != vocabulary_lib.SPACE]
  if len([t for t in unknown if t != vocabulary_lib.SPACE]) == len(meant):
    raise refuse(
      f"the model knows none of the {name} of {quoted}",
      describe_vocabulary(vocabulary),
    )
  notes = []
  if read != asked:
    notes.append(f"{quoted} is read as {quote(read)}, the case the model knows")
  elif asked != typed_line:
    notes.append(f"{quoted} is read as {quote(read)}, without its punctuation")
  if unknown:
    notes.append(
      f"{quoted}: {name} the model has never seen: {_listing(unknown)}"
    )
  read_parts = tuple(map(form, parts))
  known = tuple(
    part
    for part in read_parts
    if len(vocabulary.unknown(part)) < len(vocabulary.tokenize(part))
  )
  if left := sorted(set(read_parts) - set(known)):
    notes.append(f"{quoted}: left out, as nothing is known: {_listing(left)}")
  if len(known) > 1:
    notes.append(f"{quoted} is signed in {len(known)} parts, which are joined")
  if size(longest) > info.longest_source:
    notes.append(
      f"{quote(longest)}: {size(longest)} {name} with the end; the longest "
      f"text in training had {info.longest_source}"
    )
  return PreparedText(read, known, tuple(notes))


def _spellable(line: str, vocabulary: vocabulary_lib.Vocabulary) -> str:
  """The text without punctuation, where a model that spells knows none of it.

  Left as it is where nothing else is in it.
  """
  if vocabulary.unit != "characters":
    return line
  kept = "".join(
    c
    for c in line
    if unicodedata.category(c)[0] != "P" or c in vocabulary.entries
  )
  return " ".join(kept.split()) or line


def quoted_text(question: str, settings: config.Data) -> str:
  """What a model reads of a question such as "How do I sign 'hello'?".

  All of it, if the model learnt from prompts; else what is in quotation marks.

  Raises:
    UsageError: nothing is.
  """
  if settings.source == "prompt":
    return question
  found = _QUOTED.search(question)
  if found is None:
    raise errors.UsageError(
      f"{quote(question)} quotes nothing",
      expected="what to sign in quotation marks: How do I sign 'hello'?",
    )
  return found[1] or found[2]


def prepare_all(
  typed: Sequence[TextInput], info: corpus_info.CorpusInfo
) -> TextBatch:
  """The task of signing these texts; raises what `prepare` raises."""
  prepared = [prepare(line, info) for line in typed]
  notes = [note for text in prepared for note in text.notes]
  sources = [text.text for text in prepared]
  return TextBatch(sources, [text.parts for text in prepared], None, notes)


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
  folder = pathlib.Path(settings.folder)
  if not folder.is_dir():
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


def describe_vocabulary(vocabulary: vocabulary_lib.Vocabulary) -> str:
  """The tokens and scripts a model knows, in a few words."""
  listed = vocabulary.entries[len(vocabulary_lib.SPECIALS) :]
  if vocabulary.unit == "words+characters":  # any word of these is read
    listed = [t[1:] for t in listed if t.startswith(vocabulary_lib.SPACE)]
  known = [t for t in listed if t.isalnum()]
  scripts = " and ".join(sorted({_script(t[0]) for t in known if t.isalpha()}))
  place = f" ({scripts})" if scripts else ""
  if vocabulary.unit != "words":
    return f"some of these {len(known)}{place}: {_listing(sorted(known), 80)}"
  return f"some of its {len(known):,} words{place}, such as {_listing(known)}"


def _script(letter: str) -> str:
  """Its first word in Unicode's name, e.g. Latin; right for most scripts."""
  return unicodedata.name(letter, "Unnamed").split()[0].title()


def _listing(tokens: Iterable[str], limit: int = 10) -> str:
  # Characters of a spelt word are marked as such.
  bare = (
    t[1:] if len(t) > 1 and t[0] == vocabulary_lib.SPACE else t for t in tokens
  )
  once: Sequence[str] = list(dict.fromkeys(bare))
  more = f" and {len(once) - limit:,} more" if len(once) > limit else ""
  return " ".join(quote(token)[1:-1] for token in once[:limit]) + more

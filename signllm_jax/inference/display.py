"""Texts and vocabularies as messages show them."""

import unicodedata
from collections.abc import Iterable, Sequence

from signllm_jax.core import vocabulary as vocabulary_lib

_SHOWN = 60  # characters of a text in a message


def quote(typed: str) -> str:
  """A text in quotes and in one line, cut to what a message can hold."""
  return repr(typed if len(typed) <= _SHOWN else typed[:_SHOWN] + "…")


def describe(vocabulary: vocabulary_lib.Vocabulary) -> str:
  """The tokens and scripts a model knows, in a few words."""
  listed = vocabulary.entries[len(vocabulary_lib.SPECIALS) :]
  if vocabulary.unit == "words+characters":  # any word of these is read
    listed = [t[1:] for t in listed if t.startswith(vocabulary_lib.SPACE)]
  known = [t for t in listed if t.isalnum()]
  scripts = " and ".join(sorted({_script(t[0]) for t in known if t.isalpha()}))
  place = f" ({scripts})" if scripts else ""
  if vocabulary.unit != "words":
    return f"some of these {len(known)}{place}: {listing(sorted(known), 80)}"
  return f"some of its {len(known):,} words{place}, such as {listing(known)}"


def _script(letter: str) -> str:
  """Its first word in Unicode's name, e.g. Latin; right for most scripts."""
  return unicodedata.name(letter, "Unnamed").split()[0].title()


def listing(tokens: Iterable[str], limit: int = 10) -> str:
  """Tokens, each once, and how many are left out."""
  # Characters of a spelt word are marked as such.
  bare = (
    t[1:] if len(t) > 1 and t[0] == vocabulary_lib.SPACE else t for t in tokens
  )
  once: Sequence[str] = list(dict.fromkeys(bare))
  more = f" and {len(once) - limit:,} more" if len(once) > limit else ""
  return " ".join(quote(token)[1:-1] for token in once[:limit]) + more

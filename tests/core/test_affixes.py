"""Affixes of the words of a vocabulary."""

import numpy as np

from signllm_jax.core import affixes, vocabulary


def _names(found: affixes.Affixes, words: vocabulary.Vocabulary, word: str):
  row = found.ids[words.entries.index(word)]
  return [found.known.entries[i] for i in row if i != vocabulary.PAD]


def test_an_affix_is_kept_if_two_words_have_it():
  words = vocabulary.build_vocabulary(
    ["Norden nordwesten nordwestlichen östlichen süden osten ab"], "words"
  )
  found = affixes.Affixes(words)
  assert _names(found, words, "Norden") == ["no-", "nor-", "nord-", "-den"]
  assert _names(found, words, "nordwesten") == [
    "no-",
    "nor-",
    "nord-",
    "nordw-",
    "nordwe-",
    "-ten",
    "-sten",
  ]
  assert _names(found, words, "östlichen") == ["-hen", "-chen"]
  assert _names(found, words, "ab") == []
  assert not found.ids[: len(vocabulary.SPECIALS)].any()


def test_spelt_characters_have_none():
  words = vocabulary.build_vocabulary(
    ["regen regen regnen regnen rest"], "words+characters", 2
  )
  found = affixes.Affixes(words)
  spelt = [e.startswith(vocabulary.SPACE) for e in words.entries]
  assert not found.ids[np.array(spelt)].any()
  assert _names(found, words, "regen") == ["re-", "reg-"]


def test_equal_vocabularies_have_equal_affixes():
  """They are part of the key of a compiled program."""
  one, same, other = (
    affixes.Affixes(vocabulary.build_vocabulary([text], "words"))
    for text in ("regen regnet", "regen regnet", "regen regnet sonne")
  )
  assert one == same and hash(one) == hash(same)
  assert one != other

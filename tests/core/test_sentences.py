"""Splitting of long texts."""

import time

import pytest

from signllm_jax.core import sentences


def words(line: str) -> int:
  return len(line.split())


@pytest.mark.parametrize(
  ("line", "parts"),
  [
    ("It rains. Will it stop? No!", ["It rains.", "Will it stop?", "No!"]),
    ("Dr. Smith has 3.5 kg. He left.", ["Dr. Smith has 3.5 kg.", "He left."]),
    (
      "Am 3. März kommt z. B. Regen. Gut.",
      ["Am 3. März kommt z. B. Regen.", "Gut."],
    ),
    ("„Wirklich?“ fragte sie. Ja.", ["„Wirklich?“ fragte sie.", "Ja."]),
    (
      "am tag regen . in der nacht schnee .",
      ["am tag regen .", "in der nacht schnee ."],
    ),
    ("Il pleut ! Tu viens ? Oui…", ["Il pleut !", "Tu viens ?", "Oui…"]),
    ("Il sig. Rossi parla. Ascolta!", ["Il sig. Rossi parla.", "Ascolta!"]),
    ("¿Llueve? ¡No! Bien.", ["¿Llueve?", "¡No!", "Bien."]),
    ("3. sınıf güzel. Gel!", ["3. sınıf güzel.", "Gel!"]),
    (
      "비가 온다. 눈이 오나요?아니요.",
      ["비가 온다.", "눈이 오나요?", "아니요."],
    ),
    ("下雨了。停了吗？", ["下雨了。", "停了吗？"]),
    ("It was 1990. Then it rained", ["It was 1990.", "Then it rained"]),
  ],
)
def test_sentences(line, parts):
  limit = max(map(words, parts)) if " " in line else 0
  if words(line) > limit:
    assert sentences.split(line, words, limit) == parts
  assert sentences.split(line, words, 99) == [line]


def test_long_sentences_are_cut_at_clauses_and_then_between_words():
  line = "when it rains, we stay, and read all day long; the end"
  assert sentences.split(line, words, 5) == [
    "when it rains, we stay,",
    "and read all day long;",
    "the end",
  ]
  assert sentences.split("a b c d e", words, 2) == ["a b", "c d", "e"]
  assert sentences.split("abc defgh", len, 4) == ["abc", "defgh"]
  assert sentences.split("a b", words, 9, words=True) == ["a", "b"]


def test_splitting_leaves_nothing_out_and_takes_no_time():
  line = "a. b! " * 20_000
  began = time.perf_counter()
  parts = sentences.split(line.strip(), len, 20)
  assert "".join(parts).replace(" ", "") == line.replace(" ", "")
  assert time.perf_counter() - began < 5

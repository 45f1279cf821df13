"""Doubled letters are seen, by measure and by a reader of single letters."""

import warnings

import numpy as np
import pytest

with warnings.catch_warnings():
  # Escapes in the package's own code; seen where Python keeps no bytecode.
  warnings.filterwarnings("ignore", "invalid escape sequence")
  pytest.importorskip("spoken_to_signed.gloss_to_pose")

from benchmarks import letter_reader, letters
from data_pipeline.fingerspelling import (
  alphabets,
  doubled,
  spell,
)
from data_pipeline.fingerspelling import (
  fingerspelling_dataset_builder as builder,
)
from signllm_jax.core import clips
from signllm_jax.core.skeleton import PROMPT2SIGN50

ASL, TSL = alphabets.ALPHABETS["asl"], alphabets.ALPHABETS["tsl"]
WIDTH = 1 / 3  # of the shoulders, in canonical units


@pytest.fixture(scope="module")
def reader() -> letter_reader.Reader:
  return letter_reader.Reader(ASL)


def spelt(word: str, language=ASL) -> clips.Clip:
  return clips.canonical(spell.spell(word, language, 12.5))


def wrist(clip: clips.Clip, side: str) -> np.ndarray:
  return clip.frames[:, PROMPT2SIGN50.hand(side), :2]


def merged(word: str, monkeypatch) -> clips.Clip:
  """Spelt by the package alone, which puts equal letters in a row."""
  with monkeypatch.context() as patch:
    patch.setattr(doubled, "again", lambda before, letter: letter)
    return spelt(word)


@pytest.mark.parametrize("word", ["committee", "bookkeeper", "aaa", "jazz"])
def test_a_reader_sees_doubled_letters(word, reader):
  assert "".join(reader.read(spelt(word))) == word


def test_without_the_movement_they_merge(reader, monkeypatch):
  read = "".join(reader.read(merged("committee", monkeypatch)))
  assert read == "comite"


def test_hard_words_are_read_and_in_no_list(reader):
  listed = set(builder.words("en"))
  for name, words in letters.WORDS.items():
    assert not set(words) & listed
    assert len(set(words)) == len(words) >= 20
    if name == "doubled":
      assert all(any(a + a in word for a in word) for word in words)
    else:
      assert min(map(len, words)) >= 18
    for word in words[::6]:
      assert "".join(reader.read(spelt(word))) == word


def test_a_letter_of_one_hand_is_made_again_at_the_side(monkeypatch):
  """She signs with her right hand, which is on the left of the picture."""
  apart, together = spelt("omma"), merged("omma", monkeypatch)
  longer = round(doubled.SECONDS * apart.fps)
  assert len(apart) - len(together) == pytest.approx(longer, abs=1)
  x = wrist(apart, "right")[:, 0]
  first = np.median(x[11:16])  # of the first m, as of both in the merged word
  assert np.median(wrist(together, "right")[11:22, 0]) == pytest.approx(
    first, abs=0.01
  )
  moved = first - x[16:30].min()
  assert moved == pytest.approx(doubled.ASIDE * WIDTH, abs=0.015)
  still = np.abs(np.diff(wrist(apart, "right"), axis=0)).max(-1) < 0.006
  runs = "".join("h" if held else "-" for held in still[11:30]).split("-")
  assert sum(len(run) >= 3 for run in runs) >= 2  # a hold, and another one


def test_two_hands_part_and_meet_again():
  clip = spelt("baab", TSL)
  gap = np.linalg.norm(wrist(clip, "left") - wrist(clip, "right"), axis=-1)
  middle = gap[len(gap) // 3 : 2 * len(gap) // 3]
  rest = np.median(middle)
  assert middle.max() - rest > 1.2 * doubled.APART * WIDTH
  assert abs(middle[-1] - rest) < 0.01 and abs(middle[0] - rest) < 0.01


def test_a_recording_of_a_doubled_letter_is_used_as_it_is():
  """Italian recordings have them, and show the same movement."""
  language = alphabets.ALPHABETS["ise"]
  assert spell.split_letters("mamma", language) == ["m", "a", "mm", "a"]
  moved = []
  for letter in spell.letters(language):
    if len(letter) == 2:
      clip = spell.recorded(letter, language)
      x, count = wrist(clip, "left")[:, 0], len(clip)
      shoulders = (
        clip.frames[:, PROMPT2SIGN50.joint("left_shoulder"), 0]
        - (clip.frames[:, PROMPT2SIGN50.joint("right_shoulder"), 0])
      )
      moved.append((x[-count // 4] - x[count // 4]) / shoulders.mean())
  assert len(moved) == 14
  assert np.mean(moved) == pytest.approx(doubled.ASIDE, abs=0.08)

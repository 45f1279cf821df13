"""Pauses between words and sentences, measured in frames."""

import dataclasses

import numpy as np
import pytest

from signllm_jax.core import clips, errors
from signllm_jax.core import vocabulary as vocabulary_lib
from signllm_jax.core.skeleton import PROMPT2SIGN50
from signllm_jax.data import corpus_info
from signllm_jax.inference import long_text, pauses, sequences, text_input
from signllm_jax.inference.postprocess import Options


def info(texts, unit) -> corpus_info.CorpusInfo:
  vocabulary = vocabulary_lib.build_vocabulary(texts, unit)
  longest = max(len(vocabulary.encode(text)) for text in texts)
  return corpus_info.CorpusInfo(vocabulary, longest, 21, 25.0)


LETTERS = info(["abcdefghijklmnopqrstuvwxyz"], "characters")


def of(text: str, known: corpus_info.CorpusInfo = LETTERS) -> tuple:
  prepared = text_input.prepare(text_input.TextInput(text), known)
  assert len(prepared.pauses) == len(prepared.parts) - 1
  return prepared.pauses


@pytest.mark.parametrize(
  ("text", "expected"),
  [
    ("hello", ()),
    ("hello world", (1,)),
    ("Hello. My name is Ann.", (3, 1, 1, 1)),
    ("Really? Yes! No", (3, 3)),
    ("hello, world", (1,)),  # a comma ends no sentence
    ("Dr. Who came.", (1, 1)),  # nor does an abbreviation
    ("one ✂ two", (1,)),  # what is unknown is left out
    ("one. ✂✂ two", (3,)),
    ("wait... what", (3,)),
  ],
)
def test_words_that_are_spelt_have_pauses(text, expected):
  assert of(text) == expected


def test_other_models_rest_between_sentences_only():
  words = info(["one two three four"], "words")
  text = "one two three four. one two three four one two three four two."
  assert of(text, words) == (3, 0) or of(text, words)[0] == 3
  assert set(of("one two three four one two three four", words)) == {0}


def sequence(number: int, frames: int = 8) -> sequences.ProducedSequence:
  random = np.random.default_rng(number)
  steps = 0.01 * random.normal(size=(frames, *PROMPT2SIGN50.shape))
  made = clips.Clip(
    np.cumsum(steps, 0).astype(np.float32),
    np.ones((frames, PROMPT2SIGN50.num_joints), bool),
    25.0,
    text=f"word {number}",
  )
  return sequences.ProducedSequence(made, True, None)


@pytest.mark.parametrize("seconds", [0, 0.2, 1])
def test_pauses_in_frames(seconds):
  parts = [sequence(number) for number in range(3)]
  (rests,) = pauses.in_seconds([(1.0, pauses.FULL_STOP)], seconds)
  joined = long_text.join(parts, pauses=rests)
  curve = 6  # 0.24 s at 25 frames a second
  held = [round(25 * seconds), round(75 * seconds)]
  gaps = [
    after.start - before.end
    for before, after in zip(joined.segments, joined.segments[1:], strict=False)
  ]
  assert gaps == [curve + held[0], curve + held[1]]
  for segment, count in zip(joined.segments, held, strict=False):
    still = joined.clip.frames[int(segment.end) - 1 :][: count + 1]
    assert (still == still[0]).all()
  moving = np.abs(np.diff(joined.clip.frames, axis=0)).max((1, 2)) > 0
  assert (~moving).sum() == sum(held)


@pytest.mark.parametrize("rests", [(), (0.2, 0.6)])
def test_frames_that_come_one_by_one_have_the_same_pauses(rests):
  parts = [sequence(number) for number in range(3)]
  whole = long_text.join(parts, pauses=rests).clip
  growing = long_text.IncrementalJoin(3, 25.0, PROMPT2SIGN50, rests)
  known = []
  for number, part in enumerate(parts):
    for t in range(len(part.clip)):
      frame = dataclasses.replace(
        part.clip,
        frames=part.clip.frames[t : t + 1],
        valid=part.clip.valid[t : t + 1],
      )
      known.append(growing.add(number, frame, t + 1 == len(part.clip)))
  frames = np.concatenate([each.frames for each in known])
  np.testing.assert_array_equal(frames, whole.frames)


def test_speed_shortens_pauses():
  parts = [sequence(number) for number in range(2)]
  plain = long_text.join(parts, Options(), [1.0])
  fast = long_text.join(parts, Options(2.0), [1.0])
  assert len(fast.clip) == pytest.approx(len(plain.clip) / 2, abs=1)


@pytest.mark.parametrize("seconds", [-0.1, 5.1, float("nan")])
def test_wrong_pauses(seconds):
  with pytest.raises(errors.UsageError, match="expected 0 to 5"):
    pauses.check(seconds)

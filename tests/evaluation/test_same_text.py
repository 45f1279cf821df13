"""Other recordings of the same text."""

import numpy as np

from signllm_jax.core import clips
from signllm_jax.evaluation import same_text


def _clip(number: int, text: str, length: int = 4) -> clips.Clip:
  frames = np.full((length, 50, 3), number, np.float32)
  return clips.Clip(frames, np.ones((length, 50), bool), name="", text=text)


TRAIN = [_clip(i, "ab"[i % 2]) for i in range(8)]
TEXTS = [clip.text for clip in TRAIN]


def _numbers(listed) -> list[int]:
  return [int(clip.frames[0, 0, 0]) for clip in listed]


def test_each_clip_gets_another_recording_of_its_text():
  true = [_clip(100 + i, "ab"[i % 2]) for i in range(8)]
  found = same_text.find(true, TRAIN, TEXTS)
  assert found.notes == [] and len(found.drawn) == same_text.DRAWS
  for drawn in found.drawn:
    assert [c.text for c in drawn] == [c.text for c in true]
    # All recordings of a text are drawn before one is drawn again.
    assert sorted(_numbers(drawn)) == list(range(8))
  draws = [_numbers(drawn) for drawn in found.drawn]
  assert len({tuple(drawn) for drawn in draws}) > 1
  again = same_text.find(true, TRAIN, TEXTS).drawn
  assert draws == [_numbers(drawn) for drawn in again]
  others = same_text.find(true, TRAIN, TEXTS, seed=1).drawn
  assert draws != [_numbers(drawn) for drawn in others]
  assert _numbers(found.mean) == [3, 4] * 4


def test_a_recording_is_not_another_of_itself():
  for drawn in same_text.find(TRAIN, TRAIN, TEXTS).drawn:
    pairs = zip(_numbers(drawn), range(8), strict=True)
    assert all(a != b and a % 2 == b % 2 for a, b in pairs)
  # A text that is not in training: the other clips of the split.
  true = [_clip(i, "new") for i in range(3)]
  drawn = _numbers(same_text.find(true, TRAIN, TEXTS).drawn[0])
  assert set(drawn) <= {0, 1, 2} and all(a != b for a, b in enumerate(drawn))


def test_no_row_where_a_clip_has_no_other_recording():
  found = same_text.find([_clip(9, "a"), _clip(9, "c")], TRAIN, TEXTS)
  assert found[:2] == ([], []) and "1 of 2 clips" in found.notes[0]
  assert same_text.find([_clip(9, "c")], TRAIN, TEXTS) == ([], [], [])


def test_mean_clip_is_the_mean_of_what_is_shown():
  short, long, hidden = _clip(1, "a", 2), _clip(4, "a", 4), _clip(9, "a", 3)
  hidden.valid[:, 8:29] = False
  hidden.frames[:, 8:29] = 0
  mean = same_text.mean_clip([short, long, hidden])
  assert len(mean) == 3 and mean.valid.all()
  np.testing.assert_allclose(mean.frames[:, :8], 14 / 3, rtol=1e-6)
  np.testing.assert_allclose(mean.frames[:, 8:29], 2.5)
  alone = same_text.mean_clip([hidden, hidden, short])
  assert not alone.valid[:, 8:29].any() and alone.valid[:, 29:].all()
  assert alone.frames[0, 8, 0] == 0
  assert len(same_text.mean_clip([_clip(1, "a", 1)])) == 1


def test_interpolation_to_a_length_keeps_both_ends():
  clip = _clip(0, "a", 5)
  clip.frames[:] = np.arange(5)[:, None, None]
  found = clips.with_frames(clip, 9)
  assert found.fps == clip.fps
  np.testing.assert_allclose(found.frames[:, 0, 0], np.arange(9) / 2)
  assert clips.with_frames(clip, 1).frames[0, 0, 0] == 0

"""Spread within a text against its definition in plain Python."""

import numpy as np
import pytest

from signllm_jax.core import clips
from signllm_jax.core.skeleton import PROMPT2SIGN50
from signllm_jax.evaluation.metrics import catalogue, spread

SPREAD = next(
  m for m in catalogue.pose_metrics(PROMPT2SIGN50) if m.key == "spread"
)


def _clip(seed: int, text: str, length: int, size: float = 1.0) -> clips.Clip:
  random = np.random.default_rng(seed)
  rest = np.random.default_rng(len(text)).normal(0, 1, (1, 50, 3))
  frames = rest + size * random.normal(0, 0.1, (1, 50, 3)).repeat(length, 0)
  valid = np.ones((length, 50), bool)
  return clips.Clip(frames.astype(np.float32), valid, text=text)


def _many(size: float, seed: int = 0) -> list[clips.Clip]:
  texts = ["a"] * 3 + ["bb"] * 6 + ["ccc"]
  return [
    _clip(seed + i, text, 5 + i, size if text != "ccc" else 9)
    for i, text in enumerate(texts)
  ]


def test_spread_is_the_ratio_of_standard_deviations():
  true, made = _many(1.0), _many(2.0)
  # The single clip of "ccc" has no spread and does not count.
  assert SPREAD.score(made, true) == pytest.approx(2, rel=1e-3)
  still = [clip.frames[0].astype(np.float64) for clip in true]
  squares = [
    ((np.stack(group) - np.mean(group, 0)) ** 2).sum(-1)
    * (len(group) / (len(group) - 1))
    for group in (still[:3], still[3:9])
  ]
  total = spread.sums(true, true).sum(0)
  expected = spread.FRAMES * sum(each.sum() for each in squares)
  assert total[0] == pytest.approx(expected, rel=1e-5)
  assert total[1] == 9 * 50 * spread.FRAMES


def test_equal_clips_have_no_spread_and_single_ones_none():
  true = _many(1.0)
  first = {clip.text: clip for clip in reversed(true)}
  made = [first[clip.text] for clip in true]
  assert SPREAD.score(made, true) == 0
  assert np.isnan(SPREAD.score(made[-1:], true[-1:]))


def test_spread_takes_missing_parts():
  true, made = _many(1.0), _many(1.0, seed=50)
  for clip in (*made, *true[::2]):
    clip.valid[:, 8:29] = False
  assert 0.5 < SPREAD.score(made, true) < 2
  for clip in made:
    clip.valid[:] = False
  assert np.isnan(SPREAD.score(made, true))

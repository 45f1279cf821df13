"""Which parts are shown."""

import numpy as np

from signllm_jax.core import clips
from signllm_jax.core.skeleton import PROMPT2SIGN50
from signllm_jax.evaluation.metrics import catalogue, visibility

LEFT = slice(8, 29)


def _clip(text: str, left: int, length: int = 10) -> clips.Clip:
  """Shows the left hand in so many frames, all else in every frame."""
  valid = np.ones((length, 50), bool)
  valid[left:, LEFT] = False
  frames = np.random.default_rng(left).normal(0, 1, (length, 50, 3))
  return clips.Clip(
    np.where(valid[..., None], frames, 0).astype(np.float32), valid, text=text
  )


def test_hidden_parts_are_those_of_no_recording():
  train = [_clip("a", 0), _clip("b", 0), _clip("b", 2)]
  metric = catalogue.hidden_parts(
    visibility.parts_of_texts(train), PROMPT2SIGN50
  )
  true = [_clip("a", 0), _clip("b", 0), _clip("new", 0), _clip("new", 1)]
  assert metric.score(true, true) == 0
  made = [_clip("", 4, 20), _clip("", 10), _clip("", 10), _clip("", 3)]
  # Only "a" never shows the left hand: 4 of 50 produced frames show it.
  assert metric.score(made, true) == 4 / 50


def test_visibility_error_is_the_difference_of_shares():
  true, made = [_clip("a", 5), _clip("b", 10)], [_clip("", 8), _clip("", 2, 4)]
  found = visibility.errors(made, true)
  np.testing.assert_allclose(found, [0.3 / 3, 0.5 / 3])


def test_every_metric_takes_clips_without_whole_parts():
  true = [_clip("a", 0), _clip("a", 6)]
  empty = _clip("a", 0)
  empty.valid[:] = False
  empty.frames[:] = 0
  metrics = (
    *catalogue.pose_metrics(PROMPT2SIGN50),
    catalogue.hidden_parts({}, PROMPT2SIGN50),
  )
  for made in ([_clip("", 0)] * 2, [empty] * 2):
    for a, b in ((made, true), (true, made)):
      for metric in metrics:
        assert not np.isinf(metric.score(a, b)), metric.key

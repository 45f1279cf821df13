"""The range of every field of a configuration that has one."""

from typing import get_args

from signllm_jax import config as config_lib
from signllm_jax import tasks
from signllm_jax.core import errors, skeleton, vocabulary
from signllm_jax.losses import frame_cost

CHOICES = {
  "task": tuple(tasks.TASKS),
  "data.source": ("text", "prompt", "gloss"),
  "data.tokens": vocabulary.TOKEN_UNITS,
  "data.skeleton": skeleton.SKELETONS,
  "model.decoder": ("regression", "flow"),
  "model.activation": ("relu", "gelu"),
  "model.bones": ("free", "fixed"),
  "flow.solver": ("multistep", "euler", "heun"),
  "model.compute_dtype": ("float32", "bfloat16"),
  "loss.kind": ("mse", "l1"),
  "loss.dtw_cost": get_args(frame_cost.Metric),
  "rl.loss": ("", "reward_mse", "policy_gradient"),
  "rl.reward": ("mse", "dtw", "motion", "recognition"),
  "loss.counter_unit": ("share", "frames"),
  "optim.kind": ("adam", "muon"),
  "optim.schedule": ("cosine", "constant", "plateau"),
  "non_finite": ("stop", "skip"),
}
AT_LEAST_ONE = (
  "steps",
  "log_every",
  "data.batch_size",
  "data.bucket",
  "data.max_frames",
  "data.temperature",
  "read.subsample",
  "read.beam",
  "gloss.beam",
  "model.width",
  "model.feed_forward",
  "model.encoder_layers",
  "model.decoder_layers",
  "model.future",
  "model.heads",
  "flow.steps",
  "optim.accumulate",
  "plc.parts",
  "evaluate.batch_size",
  "checkpoint.every",
  "checkpoint.keep",
)
SHARES = (
  "flow.absent",
  "model.dropout",
  "read.label_smoothing",
  "read.token_dropout",
  "read.smooth",
  "gloss.label_smoothing",
  "gloss.source_dropout",
  "gloss.token_dropout",
  "data.joined",
  "plc.floor",
  "optim.ema",
  "optim.beta2",
)
NOT_NEGATIVE = (
  "loss.frames",
  "loss.counter_weight",
  "loss.bones",
  "flow.guidance",
  "flow.temperature",
  "loss.dtw",
  "loss.dtw_window",
  "read.ctc_weight",
  "read.translation_weight",
  "read.stretch",
  "read.jitter",
  "read.length_penalty",
  "gloss.length_penalty",
  "gloss.weight",
  "rl.weight",
  "rl.balance",
  "rl.regression_weight",
  "data.pack",
  "gloss.samples",
  "plc.pool",
  "plc.eta",
  "histograms_every",
  "plc.importance",
  "augment.noise",
  "optim.warmup_steps",
  "optim.weight_decay",
  "seed",
  "patience",
  "non_finite_limit",
  "data.threads",
  "data.workers",
  "evaluate.every",
  "evaluate.clips",
)
POSITIVE = (
  "rl.std",
  "plc.tau",
  "loss.dtw_gamma",
  "optim.learning_rate",
  "optim.clip_norm",
  "evaluate.length_limit",
)


def check(config: config_lib.Experiment) -> None:
  """Refuses values outside the range of their field.

  Raises:
    UsageError: names the field, its value and the values it may have.
  """
  flat = config_lib.flatten(config)
  for name, choices in CHOICES.items():
    if flat[name] not in choices:
      raise errors.UsageError(
        f"--config.{name}={flat[name]!r}",
        expected="one of " + repr(tuple(choices)),
      )
  ranges = (
    (AT_LEAST_ONE, lambda value: value >= 1, "at least 1"),
    (SHARES, lambda value: 0 <= value < 1, "at least 0, less than 1"),
    (NOT_NEGATIVE, lambda value: value >= 0, "at least 0"),
    (POSITIVE, lambda value: value > 0, "more than 0"),
  )
  for names, is_valid, expected in ranges:
    for name in names:
      if not is_valid(flat[name]):
        raise errors.UsageError(
          f"--config.{name}={flat[name]}", expected=expected
        )

"""Refuses configurations that cannot work."""

from signllm_jax import config as config_lib
from signllm_jax.core import errors, vocabulary

_CHOICES = {
  "task": (
    "text_to_pose",
    "mlsf",
    "pose_to_text",
    "text_to_gloss",
    "text2langgloss",
  ),
  "data.source": ("text", "prompt", "gloss"),
  "data.tokens": vocabulary.TOKEN_UNITS,
  "model.activation": ("relu", "gelu"),
  "model.compute_dtype": ("float32", "bfloat16"),
  "loss.kind": ("mse", "l1"),
  "rl.loss": ("", "reward_mse", "policy_gradient"),
  "rl.reward": ("mse", "dtw"),
  "loss.counter_unit": ("share", "frames"),
  "optim.schedule": ("cosine", "constant", "plateau"),
  "non_finite": ("stop", "skip"),
}
_POSITIVE = (
  "steps",
  "log_every",
  "data.batch_size",
  "data.bucket",
  "data.max_frames",
  "read.subsample",
  "read.beam",
  "gloss.beam",
  "model.width",
  "model.future",
  "model.heads",
  "optim.accumulate",
  "plc.parts",
  "evaluate.batch_size",
  "checkpoint.every",
  "checkpoint.keep",
)
_SHARES = (
  "read.label_smoothing",
  "read.token_dropout",
  "read.smooth",
  "gloss.label_smoothing",
  "gloss.source_dropout",
  "gloss.token_dropout",
  "plc.floor",
)
_NOT_NEGATIVE = (
  "read.ctc_weight",
  "read.translation_weight",
  "read.stretch",
  "read.jitter",
  "read.length_penalty",
  "gloss.length_penalty",
  "gloss.weight",
  "rl.weight",
  "rl.regression_weight",
  "plc.pool",
  "plc.eta",
  "plc.importance",
)
_SIGNS = ("text_to_pose", "mlsf", "text2langgloss")  # tasks with poses out


def check(config: config_lib.Experiment) -> None:
  """Refuses values that cannot work, before anything is compiled.

  Raises:
    UsageError: names the field, the value and what it may be.
  """
  flat = config_lib.flatten(config)
  for name, choices in _CHOICES.items():
    if flat[name] not in choices:
      raise errors.UsageError(
        f"--config.{name}={flat[name]!r}", expected="one of " + repr(choices)
      )
  for name in _POSITIVE:
    if flat[name] < 1:
      raise errors.UsageError(
        f"--config.{name}={flat[name]}", expected="at least 1"
      )
  for name in _SHARES:
    if not 0 <= flat[name] < 1:
      raise errors.UsageError(
        f"--config.{name}={flat[name]}", expected="at least 0, less than 1"
      )
  for name in _NOT_NEGATIVE:
    if flat[name] < 0:
      raise errors.UsageError(
        f"--config.{name}={flat[name]}", expected="at least 0"
      )
  if not config.data.folder:
    raise errors.UsageError(
      "no data: --config.data.folder is empty",
      expected="a folder with train.text and train.gloss, or a built one"
      if config.task == "text_to_gloss"
      else "a folder built by `python -m data_pipeline build`, or one with "
      "train.skels and train.text",
    )
  if config.read.subsample.bit_count() != 1:
    raise errors.UsageError(
      f"--config.read.subsample={config.read.subsample}",
      expected="a power of two",
    )
  if config.model.width % (2 * config.model.heads):
    raise errors.UsageError(
      f"--config.model.width={config.model.width}",
      expected=f"an even multiple of model.heads={config.model.heads}",
    )
  if config.data.batch_size % config.optim.accumulate:
    raise errors.UsageError(
      f"--config.data.batch_size={config.data.batch_size}",
      expected=f"a multiple of optim.accumulate={config.optim.accumulate}",
    )
  _check_reinforcement(config)
  if config.data.temperature < 1:
    raise errors.UsageError(
      f"--config.data.temperature={config.data.temperature}",
      expected="at least 1",
    )
  if config.task == "text_to_gloss" and config.data.source == "gloss":
    raise errors.UsageError(
      "--config.data.source='gloss' with task text_to_gloss",
      expected="text or prompt",
    )
  groups = len(config_lib.corpora(config))
  if config.task == "mlsf" and config.data.batch_size % groups:
    raise errors.UsageError(
      f"--config.data.batch_size={config.data.batch_size}",
      expected=f"a multiple of {groups}, the number of languages",
    )
  if unknown := set(config_lib.listed(config.frozen)) - set(
    config_lib.listed(config.data.language)
  ):
    raise errors.UsageError(
      f"--config.frozen={config.frozen!r}",
      expected="codes of --config.data.language, with task mlsf",
      hint=f"Remove {', '.join(sorted(unknown))}",
    )


def _check_reinforcement(config: config_lib.Experiment) -> None:
  """Refuses what `rl` and `plc` cannot do."""
  asked = {"rl.loss": config.rl.loss, "plc.pool": config.plc.pool}
  for name, value in asked.items():
    if value and config.task not in _SIGNS:
      raise errors.UsageError(
        f"--config.{name}={value!r} with task {config.task}",
        expected="one of " + repr(_SIGNS),
        hint="A reward is of poses",
      )
  for name in ("rl.std", "plc.tau"):
    value = config_lib.flatten(config)[name]
    if not value > 0:
      raise errors.UsageError(
        f"--config.{name}={value}", expected="more than 0"
      )
  if config.rl.samples < 2:
    raise errors.UsageError(
      f"--config.rl.samples={config.rl.samples}",
      expected="at least 2: each one's baseline is the others",
    )
  groups = len(config_lib.corpora(config)) if config.task == "mlsf" else 1
  shares = config.plc.parts * groups
  if config.plc.pool and config.data.batch_size % shares:
    raise errors.UsageError(
      f"--config.data.batch_size={config.data.batch_size}",
      expected=f"a multiple of {shares}: plc.parts={config.plc.parts} in each "
      f"of {groups} languages",
    )

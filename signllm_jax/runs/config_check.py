"""Checks a configuration: that its values are allowed and go together."""

from signllm_jax import config as config_lib
from signllm_jax.core import errors
from signllm_jax.runs import (
  config_ranges,
  gloss_check,
  skeleton_check,
  writers,
)

_POSE_TASKS = ("text_to_pose", "mlsf", "text2langgloss")  # they sign


def check(config: config_lib.Experiment) -> None:
  """Refuses values that cannot work, before anything is compiled.

  Raises:
    UsageError: names the field, its value and the values it may have.
  """
  _check_text(config)
  config_ranges.check(config)
  writers.check(config)
  _check_model(config)
  _check_flow(config)
  _check_batch(config)
  _check_reinforcement(config)
  _check_bones(config)
  skeleton_check.check(config)
  _check_dtw(config)
  _check_languages(config)
  gloss_check.check(config)
  if not config.data.folder:
    raise errors.UsageError(
      "no data: --config.data.folder is empty",
      expected="a built data set, or a folder of train.skels and train.text",
    )


def _check_text(config: config_lib.Experiment) -> None:
  """Refuses paths that are not UTF-8: records of a run name them."""
  for name, value in config_lib.flatten(config).items():
    try:
      str(value).encode()
    except UnicodeEncodeError:
      raise errors.UsageError(
        f"--config.{name}={value!a}", expected="UTF-8"
      ) from None


def _check_model(config: config_lib.Experiment) -> None:
  """Refuses shapes that cannot be built."""
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


def _check_flow(config: config_lib.Experiment) -> None:
  """Refuses settings of the regression decoder for the flow decoder."""
  if config.model.decoder != "flow":
    return
  needed = {
    "rl.loss": "",
    "model.future": 1,
    "augment.noise": 0.0,
    "loss.frames": 1.0,
    "loss.parts": "",
    "loss.bones": 0.0,
    "loss.dtw": 0.0,
  }
  flat = config_lib.flatten(config)
  for name, value in needed.items():
    if flat[name] != value:
      raise errors.UsageError(
        f"--config.{name}={flat[name]!r} with --config.model.decoder=flow",
        expected=repr(value),
        hint="It belongs to the regression decoder",
      )


def _check_batch(config: config_lib.Experiment) -> None:
  """Refuses batches that cannot be split."""
  rows = config.data.batch_size
  if rows % config.optim.accumulate:
    raise errors.UsageError(
      f"--config.data.batch_size={rows}",
      expected=f"a multiple of optim.accumulate={config.optim.accumulate}",
    )
  groups = len(config_lib.corpora(config))
  if config.task == "mlsf" and rows % groups:
    raise errors.UsageError(
      f"--config.data.batch_size={rows}",
      expected=f"a multiple of {groups}, the number of languages",
    )


def _check_bones(config: config_lib.Experiment) -> None:
  """Refuses settings of bones where they do not apply."""
  used = {"loss.bones": config.loss.bones, "model.bones": config.model.bones}
  for name, value in used.items():
    if value not in (0, "free") and config.task not in _POSE_TASKS:
      raise errors.UsageError(
        f"--config.{name}={value!r} with task {config.task}",
        expected="one of " + repr(_POSE_TASKS),
      )
  if config.model.bones == "fixed" and config.rl.loss == "policy_gradient":
    raise errors.UsageError(
      "--config.model.bones='fixed' with rl.loss='policy_gradient'",
      expected="model.bones='free': the policy samples joints one by one",
      hint="--config.loss.bones teaches lengths beside the policy gradient",
    )


def _check_dtw(config: config_lib.Experiment) -> None:
  """Refuses soft-DTW without durations, and runs that teach no poses."""
  if config.loss.dtw and config.task not in _POSE_TASKS:
    raise errors.UsageError(
      f"--config.loss.dtw={config.loss.dtw} with task {config.task}",
      expected="one of " + repr(_POSE_TASKS),
    )
  if config.loss.dtw and not config.model.alignment:
    raise errors.UsageError(
      f"--config.loss.dtw={config.loss.dtw} with model.alignment=False",
      expected="model.alignment=True: it compares what the model makes with "
      "its own durations",
    )
  if config.loss.dtw and not config.model.just_counter:
    raise errors.UsageError(
      f"--config.loss.dtw={config.loss.dtw} with model.just_counter=False",
      expected="model.just_counter=True: a decoder that reads its own poses "
      "makes them one by one, and there are no true ones at its own durations",
    )
  taught = config.loss.frames or config.loss.dtw
  if config.rl.loss != "policy_gradient" and not taught:
    raise errors.UsageError(
      "--config.loss.frames=0 without loss.dtw",
      expected="a loss that teaches poses",
    )


def _check_languages(config: config_lib.Experiment) -> None:
  """Refuses frozen languages that the data do not have."""
  known = config_lib.listed(config.data.language)
  unknown = set(config_lib.listed(config.frozen)) - set(known)
  if unknown:
    raise errors.UsageError(
      f"--config.frozen={config.frozen!r}",
      expected="codes of --config.data.language, with task mlsf",
      hint=f"Remove {', '.join(sorted(unknown))}",
    )


def _check_reader(config: config_lib.Experiment) -> None:
  """Refuses a reward by a reader where none can read."""
  used = config.rl.reward == "recognition", bool(config.rl.reader)
  if any(used) and not (all(used) and config.task == "text_to_pose"):
    raise errors.UsageError(
      f"--config.rl.reward={config.rl.reward} with task {config.task} and "
      f"rl.reader={config.rl.reader!r}",
      expected="in text_to_pose 'recognition' with a model that reads, or none",
    )


def _check_reinforcement(config: config_lib.Experiment) -> None:
  """Refuses `rl` and `plc` where they do not apply."""
  used = {"rl.loss": config.rl.loss, "plc.pool": config.plc.pool}
  for name, value in used.items():
    if value and config.task not in _POSE_TASKS:
      raise errors.UsageError(
        f"--config.{name}={value!r} with task {config.task}",
        expected="one of " + repr(_POSE_TASKS),
        hint="Rewards are defined for poses",
      )
  _check_reader(config)
  if config.rl.samples < 2:
    raise errors.UsageError(
      f"--config.rl.samples={config.rl.samples}",
      expected="at least 2: the baseline of a sample is the mean of the others",
    )
  shared = config.rl.balance and not config.rl.regression_weight
  if config.rl.loss == "policy_gradient" and shared:
    raise errors.UsageError(
      f"--config.rl.regression_weight=0 with rl.balance={config.rl.balance}",
      expected="more than 0: the policy's gradient is limited to a share of "
      "the regression's, which would be 0",
      hint="--config.rl.balance=0 trains with the policy gradient alone",
    )
  groups = len(config_lib.corpora(config)) if config.task == "mlsf" else 1
  shares = config.plc.parts * groups
  if config.plc.pool and config.data.batch_size % shares:
    raise errors.UsageError(
      f"--config.data.batch_size={config.data.batch_size}",
      expected=f"a multiple of {shares}: plc.parts={config.plc.parts} in each "
      f"of {groups} languages",
    )

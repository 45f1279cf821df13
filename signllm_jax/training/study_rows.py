"""The rows of the studies: what each changes in the base configuration."""

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from signllm_jax import config as config_lib
from signllm_jax import config_files
from signllm_jax.core import errors
from signllm_jax.runs import config_check

Changes = Mapping[str, Any]  # names of fields with dots -> values

# Every row starts from these values, whatever the base sets.
_OFF: Changes = {
  "model.future": 1,
  "augment.noise": 0.0,
  "rl.loss": "",
  "plc.pool": 0,
}
_FP, _GN = {"model.future": 10}, {"augment.noise": 5.0}
_RL = {"rl.loss": "reward_mse"}
_PLC = {"plc.pool": 2}
_GLOSS = {"task": "text2langgloss"}
# The rows of "signing" switch these off too; "+" adds to the row before it.
_PLAIN: dict[str, Any] = {
  "model.decoder": "regression",
  "model.visibility": False,
  "model.bones": "free",
  "loss.bones": 0.0,
  "loss.dtw": 0.0,
  "optim.ema": 0.0,
}
_VISIBILITY = {"model.visibility": True}
_BONES = _VISIBILITY | {"model.bones": "fixed"}
_DTW = _BONES | {"loss.dtw": 1.0}
_EMA = {"optim.ema": 0.999}
_OWN_POSES = {"model.just_counter": False, "loss.kind": "mse"}
# As `configs/whole_signs_flow.py`; only the width is the base's.
_FLOW = (
  _BONES
  | _EMA
  | {
    "model.decoder": "flow",
    "model.decoder_layers": 4,
    "model.dropout": 0.0,
    "optim.kind": "muon",
    "optim.learning_rate": 2e-3,
    "flow.temperature": 1.2,
    "loss.counter_weight": 1.0,
  }
)
_ROWS: Mapping[str, Mapping[str, Changes]] = {
  "components": {
    "base": {},
    "FP": _FP,
    "GN": _GN,
    "FP + GN": _FP | _GN,
    "gloss mode": _GLOSS,
    "RL": _RL,
    "RL + PLC": _RL | _PLC,
    "policy gradient": {"rl.loss": "policy_gradient"},
  },
  "efficiency": {
    "base": {},
    "RL + PLC": _RL | _PLC,
    "RL + PLC without floor": _RL | _PLC | {"plc.floor": 0.0},
    "RL + PLC hard": _RL | _PLC | {"plc.hard": True},
    "RL + PLC hard and mild": _RL
    | _PLC
    | {"plc.hard": True, "plc.floor": 0.0, "plc.eta": 0.5},
  },
  "signing": {
    "regression": _PLAIN,
    "+ visibility": _PLAIN | _VISIBILITY,
    "+ bones": _PLAIN | _BONES,
    "+ soft-DTW": _PLAIN | _DTW,
    "+ EMA": _PLAIN | _DTW | _EMA,
    "bone loss": _PLAIN | {"loss.bones": 1.0},
    "own poses in": _PLAIN | _VISIBILITY | _OWN_POSES,
    # Progressive Transformers: own poses in, noise on them, squared error.
    "PT's manner": _PLAIN | _OWN_POSES | _GN,
    "policy gradient": _PLAIN | {"rl.loss": "policy_gradient"},
    "flow": _PLAIN | _FLOW,
    "flow with free bones": _PLAIN | _FLOW | {"model.bones": "free"},
  },
}
STUDIES = (*_ROWS, "sizes")
SIZES = ("40M", "120M", "1B")  # of SignLLM, in `configs/signllm.py`
_SHAPE = ("encoder_layers", "decoder_layers", "heads")
_AT_FULL_SIZE = ("compute_dtype", "remat", "scan")


def rows(study: str, base: config_lib.Experiment) -> Mapping[str, Changes]:
  """The changes of every row of a study.

  The rows of "sizes" have SignLLM's sizes, and each again in gloss mode
  (Text2LangGloss). Where the base is narrower than SignLLM's 40M, all widths
  are scaled alike, and only layers, heads and widths change.
  """
  if study != "sizes":
    return _ROWS[study]
  found: dict[str, Changes] = {}
  for size in SIZES:
    found[size] = _shape(size, base)
    found[f"{size} gloss mode"] = {**found[size], **_GLOSS}
  return found


def _shape(size: str, base: config_lib.Experiment) -> Changes:
  full = config_files.load(f"signllm:asl-{size.lower()}")
  scale = width_scale(base)
  multiple = 2 * full.model.heads
  width = max(round(full.model.width * scale / multiple), 1) * multiple
  changes = {f"model.{name}": getattr(full.model, name) for name in _SHAPE}
  changes |= {"model.width": width, "model.feed_forward": 4 * width}
  if scale == 1:
    for name in _AT_FULL_SIZE:
      changes[f"model.{name}"] = getattr(full.model, name)
    changes["optim.learning_rate"] = full.optim.learning_rate
  return changes


def width_scale(base: config_lib.Experiment) -> float:
  """The base's width as a share of the width of SignLLM's 40M."""
  return base.model.width / config_files.load("signllm:asl-40m").model.width


def choose(
  study: str, base: config_lib.Experiment, names: Sequence[str]
) -> list[str]:
  """Returns the rows of these names, or all rows of a study without names.

  Raises:
    UsageError: the study has no such row.
  """
  known = list(rows(study, base))
  chosen = [row.strip() for row in names] or known
  if unknown := [row for row in chosen if row not in known]:
    raise errors.UsageError(
      f"--rows={','.join(unknown)}", expected="some of " + repr(known)
    )
  return chosen


def row_config(
  base: config_lib.Experiment, changes: Changes, seed: int
) -> config_lib.Experiment:
  """Returns the configuration of a row.

  Args:
    base: of the study; not changed.
    changes: of the row.
    seed: of the run.

  Raises:
    UsageError: the changes do not go with the base.
  """
  config = copy.deepcopy(base)
  config.seed = seed
  for name, value in {**_OFF, **changes}.items():
    *sections, field = name.split(".")
    section: Any = config
    for part in sections:
      section = getattr(section, part)
    setattr(section, field, value)
  if config.task == "text2langgloss" and config.data.tokens == "characters":
    # The language's mark is a word; all else stays spelt.
    config.data.tokens, config.data.min_count = "words+characters", 1000
  config_check.check(config)
  return config

"""Values that a configuration may not have, field by field."""

import math

import pytest

from configs import quickstart
from signllm_jax import config
from signllm_jax.core import errors
from signllm_jax.runs import config_check, config_ranges


def _experiment(**fields) -> config.Experiment:
  experiment = quickstart.get_config()
  for name, value in fields.items():
    *sections, field = name.split("__")
    section = experiment
    for part in sections:
      section = getattr(section, part)
    setattr(section, field, value)
  return experiment


_OUT_OF_RANGE = (
  [(name, 0, "at least 1") for name in config_ranges.AT_LEAST_ONE]
  + [(name, 1.0, "less than 1") for name in config_ranges.SHARES]
  + [(name, -0.1, "at least 0") for name in config_ranges.SHARES]
  + [(name, -1, "at least 0") for name in config_ranges.NOT_NEGATIVE]
  + [(name, 0.0, "more than 0") for name in config_ranges.POSITIVE]
  + [(name, math.nan, "more than 0") for name in config_ranges.POSITIVE]
  + [(name, "other", "one of") for name in config_ranges.CHOICES]
)


@pytest.mark.parametrize(("name", "value", "expected"), _OUT_OF_RANGE)
def test_values_out_of_range_are_refused(name, value, expected):
  experiment = _experiment(**{name.replace(".", "__"): value})
  with pytest.raises(errors.UsageError) as refused:
    config_check.check(experiment)
  assert f"--config.{name}={value!r}" in str(refused.value)
  assert expected in str(refused.value)


@pytest.mark.parametrize(
  ("fields", "message"),
  [
    ({"read__subsample": 3}, "subsample=3.*a power of two"),
    ({"model__width": 30, "model__heads": 4}, "an even multiple of model.hea"),
    ({"optim__accumulate": 7}, "a multiple of optim.accumulate=7"),
    ({"frozen": "XXX"}, "frozen='XXX'.*Remove XXX"),
    ({"data__folder": ""}, "data.folder is empty"),
    ({"data__folder": "a\udcff"}, r"data.folder='a\\udcff'; expected UTF-8"),
    ({"rl__samples": 1}, "samples=1.*the mean of the others"),
    ({"task": "text_to_gloss", "data__source": "gloss"}, "text or prompt"),
    ({"task": "pose_to_text", "plc__pool": 2}, "plc.pool=2 with task pose_to"),
  ],
)
def test_values_that_do_not_fit_together_are_refused(fields, message):
  with pytest.raises(errors.UsageError, match=f"(?s){message}"):
    config_check.check(_experiment(**fields))


def test_the_quick_start_is_accepted():
  config_check.check(_experiment())


@pytest.mark.parametrize(
  ("field", "value"),
  [("model.bones", "fixed"), ("loss.bones", 0.1), ("loss.parts", "tail=1")],
)
def test_settings_that_the_skeleton_does_not_have(field, value):
  experiment = config.Experiment(data=config.Data("a", "ASL"))
  experiment.data.skeleton = "dwpose128"
  config_check.check(experiment)
  group, _, name = field.partition(".")
  setattr(getattr(experiment, group), name, value)
  with pytest.raises(errors.UsageError, match=rf"{field}=.*dwpose128"):
    config_check.check(experiment)
  if name == "bones":
    experiment.data.skeleton = "holistic178"
    config_check.check(experiment)

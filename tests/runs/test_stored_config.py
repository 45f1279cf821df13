"""Configurations as JSON, of today and of version 0.1."""

import json
import pathlib

import pytest

from signllm_jax import config
from signllm_jax.core import errors
from signllm_jax.runs import stored_config

OLD = pathlib.Path(__file__).parent / "fixtures" / "config_0_1.json"


def test_what_is_written_is_read():
  experiment = config.Experiment(task="mlsf", steps=3)
  experiment.optim.beta2 = 0.98
  text = stored_config.to_json(experiment)
  assert stored_config.from_json(text) == experiment


def test_version_0_1_is_read():
  experiment = config.Experiment(name="kept", task="mlsf", seed=7, steps=30)
  experiment.data.folder, experiment.data.language = "a,b", "ASL,GSL"
  experiment.data.clean_glosses = "GSL"
  experiment.rl.regression_weight = 0.5
  assert stored_config.from_json(OLD.read_text()) == experiment


@pytest.mark.parametrize("name", sorted(stored_config._REMOVED))
def test_a_removed_field_with_another_value_is_refused(name):
  values = json.loads(OLD.read_text())
  section, field = stored_config._find(values, name)
  assert section[field] == stored_config._REMOVED[name]
  section[field] += 1
  with pytest.raises(errors.DataError, match=f"the field {name} is no longer"):
    stored_config.from_json(json.dumps(values))


def test_no_renamed_or_removed_field_is_one_of_today():
  today = config.flatten(config.Experiment())
  assert not today.keys() & {*stored_config._RENAMED, *stored_config._REMOVED}
  assert today.keys() >= set(stored_config._RENAMED.values())

"""Configurations as JSON, of today and of version 0.1."""

import json
import pathlib

import pytest

from signllm_jax import config
from signllm_jax.core import errors
from signllm_jax.runs import stored_config, workdir

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
  experiment.model.visibility = False
  assert stored_config.from_json(OLD.read_text()) == experiment


@pytest.mark.parametrize("name", sorted(stored_config._CONSTANTS))
def test_another_constant_is_read_but_not_resumed(tmp_path, name):
  values = json.loads(OLD.read_text())
  stored_config.check_resumable(json.dumps(values))
  section, field = stored_config._find(values, name)
  assert section[field] == stored_config._CONSTANTS[name]
  section[field] += 1
  path = tmp_path / "config.json"
  path.write_text(json.dumps(values))
  expected = stored_config.from_json(OLD.read_text())
  assert workdir.read_config(tmp_path) == expected
  with pytest.raises(errors.DataError, match=f"trained with {name}=") as raised:
    workdir.read_config(tmp_path, resume=True)
  assert raised.value.path == path


def test_the_policy_gradient_of_earlier_versions_is_not_resumed(tmp_path):
  values = json.loads(OLD.read_text())
  assert "balance" not in values["rl"]
  values["rl"]["loss"] = "policy_gradient"
  (tmp_path / "config.json").write_text(json.dumps(values))
  assert workdir.read_config(tmp_path).rl.loss == "policy_gradient"
  with pytest.raises(errors.DataError, match=r"without rl\.balance"):
    workdir.read_config(tmp_path, resume=True)


def test_settings_that_change_no_step_are_left_out():
  values = json.loads(OLD.read_text())
  values["data"]["prefetch"] = 3
  values["evaluate"]["max_sequences"] = 5
  text = json.dumps(values)
  stored_config.check_resumable(text)
  expected = stored_config.from_json(OLD.read_text())
  assert stored_config.from_json(text) == expected


def test_no_renamed_or_removed_field_is_one_of_today():
  today = config.flatten(config.Experiment())
  assert not today.keys() & {
    *stored_config._RENAMED,
    *stored_config._CONSTANTS,
    *stored_config._REMOVED,
  }
  assert today.keys() >= set(stored_config._RENAMED.values())

"""Studies: their rows, their runs, and what these say together."""

import json
import math
import pathlib

import numpy as np
import pytest
from helpers import small_steps

from configs import ablation
from signllm_jax import config
from signllm_jax.core import errors
from signllm_jax.evaluation.report import bootstrap, study
from signllm_jax.formats import skels
from signllm_jax.runs import stored_config
from signllm_jax.training import studies


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> config.Experiment:
  folder = tmp_path_factory.mktemp("skels")
  for split, clips in (
    ("train", list(small_steps.SPLIT)),
    ("dev", list(small_steps.SPLIT)[:4]),
  ):
    skels.write(folder / f"{split}.skels", clips)
    for suffix, field in (("text", "text"), ("files", "name")):
      lines = "".join(f"{getattr(clip, field)}\n" for clip in clips)
      (folder / f"{split}.{suffix}").write_text(lines)
  made = small_steps.new_experiment()
  made.steps = 6
  made.data.folder = str(folder)
  made.evaluate = config.Evaluate(every=3, batch_size=8, clips=1)
  return made


ROWS = ["base", "RL + PLC"]


@pytest.mark.slow
def test_a_study_trains_its_rows_once_and_writes_a_table(base, tmp_path):
  plan = studies.Plan("efficiency", base, tmp_path, 1, ROWS)
  assert studies.train_rows(plan) == 0
  report = tmp_path / "rl-plc" / "seed0" / "report.json"
  summary = json.loads(report.read_text())
  assert [each["step"] for each in summary["history"]] == [3, 6]
  seconds = [each["train_seconds"] for each in summary["history"]]
  assert 0 < seconds[0] < seconds[1] == summary["seconds"]["train"]
  drawn = summary["drawn"][""]
  assert drawn["examples"] == 24 and len(drawn["most"]) == 5
  written = report.stat().st_mtime_ns
  assert studies.train_rows(plan) == 0
  assert report.stat().st_mtime_ns == written

  runs = {row: [study.read_run(plan.workdir(row, 0))] for row in ROWS}
  made = study.Study("efficiency", "small", 6, "test", runs)
  text = study.to_markdown(made)
  assert "| RL + PLC |" in text and "27.1 %" in text
  # The base reaches its own last score when it reaches it: 1, by definition.
  line = next(x for x in text.splitlines() if x.strip("| ").startswith("base"))
  assert line.count(" 1.00 ") == 2
  assert study.curves(made).startswith("<svg")
  assert len(json.loads(json.dumps(study.to_json(made)))["runs"]["base"]) == 1


def test_rows_change_the_base_and_nothing_else():
  base = ablation.get_config()
  base.plc.pool = 5  # switched off in every row that does not ask for it
  for rows in studies.ROWS.values():
    for row, changes in rows.items():
      made = studies.row_config(base, changes, 7)
      assert made.seed == 7
      changed = {
        line.split(":")[0] for line in stored_config.differences(base, made)
      }
      allowed = {"seed", "plc.pool", "data.tokens", "data.min_count"}
      assert changed <= allowed | set(changes), row
      assert made.plc.pool == changes.get("plc.pool", 0)
  assert base.plc.pool == 5 and base.seed == 0


def test_rows_that_do_not_go_with_the_base_are_refused():
  base = ablation.get_config()
  base.task = "pose_to_text"
  with pytest.raises(errors.UsageError, match=r"rl\.loss"):
    studies.row_config(base, studies.ROWS["components"]["RL"], 0)


def _run(scores, seconds=1.0):
  history = [
    study.Evaluated(10 * i, seconds * 10 * i, score)
    for i, score in enumerate(scores, 1)
  ]
  return study.Run(history, {"dtw_mje": scores[-1]})


def test_cost_of_the_bases_score_is_a_geometric_mean_over_seeds():
  base = [_run([3, 2, 1, 1]), _run([5, 4, 3, 2])]  # at 30 and 40 steps
  row = [_run([2, 2, 2, 1], 2), _run([3, 2, 2, 2], 2)]  # at 40 and 20
  found = study.ratio(row, base, "step")
  assert math.isclose(found.value, math.sqrt(4 / 3 * 2 / 4))
  logs = np.log([4 / 3, 1 / 2])
  half = 12.7062 * np.std(logs, ddof=1) / math.sqrt(2)  # Student's t, 1 degree
  assert math.isclose(found.high, math.exp(logs.mean() + half), rel_tol=1e-4)
  timed = study.ratio(row, base, "seconds")
  assert math.isclose(timed.value, 2 * found.value)
  assert study.ratio([row[0], _run([9, 9, 9, 9])], base, "step") is None


def test_one_seed_has_no_interval():
  found = bootstrap.over_seeds([2.5])
  assert found.value == 2.5 and math.isnan(found.low)


def test_a_run_that_is_not_there_is_an_error(tmp_path: pathlib.Path):
  assert not study.is_done(tmp_path, 5)
  with pytest.raises(errors.DataError, match="no finished run"):
    study.read_run(tmp_path)

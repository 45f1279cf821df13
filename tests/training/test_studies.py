"""Studies: their rows, their runs, and what these say together."""

import json
import math
import operator
import pathlib

import numpy as np
import pytest
from helpers import small_steps

from configs import ablation, whole_signs
from signllm_jax import config, config_files
from signllm_jax.core import errors
from signllm_jax.evaluation.report import bootstrap, study, study_tables
from signllm_jax.formats import skels
from signllm_jax.runs import stored_config
from signllm_jax.training import studies, study_rows


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
  text = study_tables.to_markdown(made)
  assert "| RL + PLC |" in text and "27.1 %" in text
  # The base reaches its own last score when it reaches it: 1, by definition.
  line = next(x for x in text.splitlines() if x.strip("| ").startswith("base"))
  assert line.count(" 1.00 ") == 2
  assert study_tables.curves(made).startswith("<svg")
  values = json.loads(json.dumps(study_tables.to_json(made)))
  assert len(values["runs"]["base"]) == 1


def test_rows_change_the_base_and_nothing_else():
  for name in study_rows.STUDIES:
    signing = name == "signing"
    base = (whole_signs if signing else ablation).get_config()
    base.plc.pool = 5  # switched off in every row that does not ask for it
    for row, changes in study_rows.rows(name, base).items():
      for field in changes:  # to set a field that is not there is no error
        assert operator.attrgetter(field)(base) is not None, field
      made = study_rows.row_config(base, changes, 7)
      assert made.seed == 7
      changed = {
        line.split(":")[0] for line in stored_config.differences(base, made)
      }
      allowed = {"seed", "plc.pool", "data.tokens", "data.min_count"}
      assert changed <= allowed | set(changes), row
      assert made.plc.pool == changes.get("plc.pool", 0)
    assert base.plc.pool == 5 and base.seed == 0


def test_sizes_keep_the_ratios_of_signllm():
  base = ablation.get_config()
  scaled = study_rows.rows("sizes", base)
  assert list(scaled) == [
    f"{size}{mode}" for size in study_rows.SIZES for mode in ("", " gloss mode")
  ]
  widths = [scaled[size]["model.width"] for size in study_rows.SIZES]
  assert widths == [192, 240, 480]  # of 816, 1024 and 2048, by 192 / 816
  assert "optim.learning_rate" not in scaled["1B"]
  full = study_rows.rows("sizes", config_files.load("signllm:gsl-40m"))
  assert full["1B"]["model.width"] == 2048 and full["1B"]["model.scan"]
  assert full["1B"]["optim.learning_rate"] == 1e-4


def test_rows_are_chosen_by_name():
  base = ablation.get_config()
  found = study_rows.choose("sizes", base, ["40M", " 1B gloss mode"])
  assert found == ["40M", "1B gloss mode"]
  assert len(study_rows.choose("sizes", base, [])) == 6
  # The command line splits names at commas.
  for name in study_rows.STUDIES:
    assert not any("," in row for row in study_rows.rows(name, base))
  with pytest.raises(errors.UsageError, match="2B"):
    study_rows.choose("sizes", base, ["40M", "2B"])


def _scored(motion: float, seconds: float, parameters: int = 7) -> study.Run:
  scores = {
    "motion_share": motion,
    "frechet": 3.0,
    "bone_length_error": 0.1,
    "recognised": 90.0,
  }
  history = [study.Evaluated(5, seconds, 0.5)]
  return study.Run(history, {"dtw_mje": motion}, scores, parameters)


def test_the_row_flow_is_the_configuration():
  start, end = (
    config.flatten(config_files.load(name))
    for name in ("whole_signs", "whole_signs_flow")
  )
  changed = {name: end[name] for name in end if end[name] != start[name]}
  for own in ("name", "steps", "checkpoint.every", "evaluate.every"):
    changed.pop(own)  # of a study; not of a row
  row = study_rows.rows("signing", config_files.load("whole_signs"))["flow"]
  assert changed.items() <= row.items()


def test_curves_of_another_score_are_left_out():
  runs = {"regression": [_scored(0.5, 60)], "flow": [_scored(0.6, 60)]}
  runs["flow"][0].produced["frechet"] = 3.0
  made = study.Study("signing", "b", 5, "test", runs)
  assert "The curves leave out flow" in study_tables.to_markdown(made)
  curves = study_tables.curves(made)
  assert "DTW-MJE of dev" in curves and ">flow<" not in curves
  made = study.Study(
    "signing", "b", 5, "test", {"flow": runs["flow"]}, while_training="test"
  )
  assert "Fréchet distance of test" in study_tables.curves(made)
  assert "leave out" not in study_tables.to_markdown(made)


def test_equal_rows_are_marked_and_references_follow():
  runs = {
    "regression": [_scored(0.5, 60), _scored(0.6, 60)],
    "PT's manner": [_scored(0.5, 90), _scored(0.6, 90)],  # slower, no other
    "policy gradient": [_scored(0.5, 60), _scored(0.7, 60)],
  }
  references = {
    "truth": {"motion_share": 1.0, "frechet": 0.0},
    "same_text": {"motion_share": 1.01, "frechet": 1.5},
    "frozen": {"motion_share": 0.0, "frechet": 9.0},
  }
  made = study.Study("signing", "b", 5, "test", runs, references, "judge")
  assert made.equal_rows() == {"PT's manner": "regression"}
  table = study_tables.to_markdown(made)
  assert " PT's manner (= regression) |" in table and "by judge" in table
  line = next(x for x in table.splitlines() if "another recording of" in x)
  cells = [cell.strip() for cell in line.strip("|").split("|")]
  assert cells[1:5] == ["1.010", "", "1.50", "1.00"]
  assert "frozen" not in table and table.count(" 2.00 [2.00, 2.00] ") == 3


def test_tables_without_a_reader_say_how_to_train_one():
  run = study.Run(
    [study.Evaluated(5, 1, 0.5)],
    dict.fromkeys(
      ("dtw_mje", "share_of_floor", "motion_share", "length_ratio"), 0.5
    ),
  )
  runs = {"base": [run], "GN": [run]}
  made = study.Study("components", "b", 5, "test", runs, folder="some/data")
  table = study_tables.to_markdown(made)
  assert "--config.data.folder=some/data" in table
  assert "GN (= base)" in table and "end of the first epoch" in table
  sizes = {"40M": [run], "1B gloss mode": [run]}
  made = study.Study("sizes", "b", 5, "test", sizes, language="GSL", scale=0.25)
  table = study_tables.to_markdown(made)
  assert "18.61 / 22.76" in table and "17.54 / 21.35" in table
  assert "0.250 of SignLLM's" in table and "0.125" not in table


def test_tables_of_the_paper_have_few_columns_and_the_truth_as_a_row():
  run = _scored(0.5, 90)
  run.produced["share_of_floor"] = 0.25
  run.scores |= {"bleu_4": 0.0, "wer": 10.0}
  references = {
    "truth": {"motion_share": 1.0, "bleu_4": 0.0},
    "frozen": {"motion_share": 0.0, "bleu_4": 0.0},
  }
  made = study.Study("sizes", "b", 5, "test", {"40M": [run]}, references, "r")
  columns = study_tables.to_json(made)["table"]["40M"]
  assert columns["of mean pose"] == "25.0%" and columns["minutes"] == "1.5"
  assert columns["motion test"] == "0.500" and "WER test" not in columns
  table = study_tables.to_markdown(made)
  line = next(x for x in table.splitlines() if "| truth" in x.replace("  ", ""))
  cells = [cell.strip() for cell in line.strip("|").split("|")]
  assert cells[list(columns).index("motion test") + 1] == "1.000"
  assert "frozen" not in table and "fewer than four words" in table


def test_rows_that_do_not_go_with_the_base_are_refused():
  base = ablation.get_config()
  base.task = "pose_to_text"
  with pytest.raises(errors.UsageError, match=r"rl\.loss"):
    study_rows.row_config(base, {"rl.loss": "reward_mse"}, 0)


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

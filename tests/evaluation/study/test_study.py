"""The kit for raters: blinded pairs, results as CSV, and their analysis."""

import csv
import dataclasses
import json
import math
import re

import numpy as np
import pytest
from helpers.random_clips import signing

import signllm_jax.evaluate as evaluate
from signllm_jax.core import errors
from signllm_jax.evaluation import evaluate_clips
from signllm_jax.evaluation.study import analysis, kit, questions

TRUE = [
  dataclasses.replace(signing(s, 12), name=f"secret{s}", text=f"sentence {s}")
  for s in range(6)
]
MADE = [
  dataclasses.replace(signing(s + 9, 12), name=f"secret{s}") for s in range(6)
]


@pytest.fixture(scope="module")
def study(tmp_path_factory):
  folder = tmp_path_factory.mktemp("study")
  patch = pytest.MonkeyPatch()
  real = evaluate_clips.catalogue.pose_metrics
  patch.setattr(
    evaluate_clips.catalogue,
    "pose_metrics",
    lambda skeleton: real(skeleton)[:2],
  )
  scored = evaluate_clips.evaluate([MADE], TRUE, name="ours", place="test")
  patch.undo()
  kit.write(folder, [scored], pairs=5)
  return folder


def _data(folder) -> dict:
  page = (folder / "study.html").read_text()
  found = re.search(r'id="data">(.*?)</script>', page, re.DOTALL)
  assert found
  return json.loads(found[1])


def test_the_page_is_blind_and_loads_nothing(study):
  page = (study / "study.html").read_text()
  words = re.sub(r"data:video/mp4;base64,[^\"]*", "", page)
  for told in ("ours", "truth", "secret", "sentence 1", "RSD"):
    assert told not in words
  assert "default-src 'none'" in page
  assert not re.search(r'(src|href)="(?!data:)', page)
  data, key = _data(study), analysis.read_key(study)
  assert len(data["items"]) == 5 and len(key["clips"]) == 10
  for item in data["items"]:
    clips = [key["clips"][each["clip"]] for each in item["clips"]]
    assert {each["system"] for each in clips} == {"ours", "truth"}
    assert clips[0]["name"] == clips[1]["name"]
    assert all(c["film"].startswith("data:video/mp4") for c in item["clips"])
  keys = [scale["key"] for scale in data["scales"]]
  assert "comprehension" in keys and "naturalness" in keys
  assert all(
    set(each["scores"]) == {"signing_distance", "dtw_mje"}
    for each in key["clips"].values()
  )


def test_reports_of_one_name_are_refused(study, tmp_path):
  scored = evaluate_clips.report.Report({"name": "truth"}, (), TRUE, {}, {}, {})
  with pytest.raises(errors.UsageError, match="names that differ"):
    kit.write(tmp_path, [scored])


def _ratings(folder, path, rater: str, noise: float) -> None:
  """Answers that follow the relative signing distance, with noise."""
  random = np.random.default_rng(len(rater))
  data, key = _data(folder), analysis.read_key(folder)
  with path.open("w", newline="") as file:
    writer = csv.writer(file)
    writer.writerow(analysis.COLUMNS)
    for item in data["items"]:
      for each in item["clips"]:
        clip = key["clips"][each["clip"]]
        score = clip["scores"]["signing_distance"]
        good = 5 - 4 * (score - 0.5) if score else 5
        for question in questions.SCALES:
          value = good if question.better else 6 - good
          value = round(float(np.clip(value + random.normal(0, noise), 1, 5)))
          row = [data["study"], rater, item["item"], each["clip"]]
          writer.writerow([*row, question.key, value, "9.5"])
        best = "1" if clip["system"] == "truth" else "0"
        row = [data["study"], rater, item["item"], each["clip"]]
        writer.writerow([*row, "preferred", best, "9.5"])
        writer.writerow([*row, "paraphrase", 'a, "b"', "9.5"])


def test_the_analysis_of_ratings(study, tmp_path, capsys):
  paths = [tmp_path / f"{name}.csv" for name in ("anna", "ben")]
  for path in paths:
    _ratings(study, path, path.stem, 0.2)
  arguments = [f"--study={study}", "--ratings", *map(str, paths)]
  assert evaluate.main(arguments) == 0
  said = capsys.readouterr().out
  assert "Ratings of 2 raters" in said and "truth 100%" in said
  key = analysis.read_key(study)
  found = analysis.analyse(
    key, [r for path in paths for r in analysis.read_ratings(path, key)]
  )
  assert found.agreement["comprehension"] > 0.8
  assert found.systems["truth"]["comprehension"].value > 4.5
  assert found.systems["truth"]["effort"].value < 1.5
  assert found.preferred == {"truth": 1, "ours": 0}
  for question in ("comprehension", "effort"):
    assert found.metrics["RSD"][question].pearson > 0.3
    assert found.metrics["RSD"][question].clips == 5


def test_alpha_equals_krippendorffs_example():
  """Example C of Krippendorff 2011, interval data: 0.849."""
  nan = math.nan
  raters = [
    [1, 2, 3, 3, 2, 1, 4, 1, 2, nan, nan, nan],
    [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, nan, 3],
    [nan, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, nan],
    [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, nan],
  ]
  units = [
    [x for x in unit if not math.isnan(x)] for unit in zip(*raters, strict=True)
  ]
  assert analysis.alpha(units) == pytest.approx(0.849, abs=5e-4)
  assert math.isnan(analysis.alpha([[3, 3], [3, 3]]))


@pytest.mark.parametrize(
  ("line", "message"),
  [
    ("x,r,1,CLIP,comprehension,3,1", "another study"),
    ("STUDY,r,1,nobody,comprehension,3,1", "no clip"),
    ("STUDY,r,1,CLIP,comprehension,9,1", "answer '9'"),
    ("STUDY,r,1,CLIP,colour,3,1", "no question 'colour'"),
    ("STUDY,r,1,CLIP,preferred,best,1", "answer 'best'"),
    ("STUDY,r,1,CLIP,preferred", "answer None"),
  ],
)
def test_strange_ratings_are_refused(study, tmp_path, line, message):
  key = analysis.read_key(study)
  line = line.replace("STUDY", key["study"])
  line = line.replace("CLIP", next(iter(key["clips"])))
  path = tmp_path / "ratings.csv"
  path.write_text(",".join(analysis.COLUMNS) + f"\n{line}\n")
  with pytest.raises(errors.DataError, match=message) as raised:
    analysis.read_ratings(path, key)
  assert raised.value.line == 2
  with pytest.raises(errors.DataError, match=r"key\.json"):
    analysis.read_key(tmp_path)
  assert evaluate.main(["--ratings", str(path)]) == 1


@pytest.mark.parametrize(
  ("field", "value", "message"),
  [
    ("systems", None, "missing required field `systems`"),
    ("metrics", {"dtw_mje": ["DTW-MJE"]}, "metrics"),
    ("clips", {"a": {"scores": {}}}, "missing required field `system`"),
    ("clips", {"a": {"system": "ours", "scores": {"x": "y"}}}, "scores"),
  ],
)
def test_a_damaged_key_is_refused(study, tmp_path, field, value, message):
  key = analysis.read_key(study)
  key[field] = value
  if value is None:
    del key[field]
  (tmp_path / "key.json").write_text(json.dumps(key))
  with pytest.raises(errors.DataError, match=message):
    analysis.read_key(tmp_path)

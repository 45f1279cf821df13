"""Remarks of a report about its columns."""

from signllm_jax.core.skeleton import PROMPT2SIGN50
from signllm_jax.evaluation.metrics import catalogue
from signllm_jax.evaluation.report import report, tables

FACTS = {
  "protocol": "free",
  "seeds": "One pass.",
  "bootstrap": {"resamples": 10, "seed": 0},
}


def _remark(metrics) -> str:
  notes = tables.notes(report.Report(FACTS, tuple(metrics), (), {}, {}, {}))
  (found,) = (note for note in notes if "Ratios" in note)
  return found


def test_columns_are_listed_by_what_is_good():
  metrics = (*catalogue.pose_metrics(PROMPT2SIGN50), catalogue.COVERAGE)
  ratios, _, rest = _remark(metrics).partition(". Higher is better: ")
  named = ratios.partition(": ")[2].split(", ")
  assert named == [m.head for m in metrics if m.better == "one"]
  assert {"motion", "spread", "SLRTP distance"} <= set(named)
  assert rest.startswith("coverage. In all other columns lower is better")


def test_nothing_is_said_to_be_higher_where_no_column_is():
  assert "Higher" not in _remark(catalogue.pose_metrics(PROMPT2SIGN50))

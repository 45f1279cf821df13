"""Comparison of two models over the same sequences: paired differences."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from signllm_jax.core import errors
from signllm_jax.evaluation.metrics.metric import Metric
from signllm_jax.evaluation.report import bootstrap, report, tables

HEADS = ("metric", "better")
ENDS = ("a - b", "95 % interval", "p")


@dataclasses.dataclass(frozen=True)
class Comparison:
  """Paired bootstrap of the produced rows of two reports.

  Attributes:
    a: a report.
    b: another one over the same sequences.
    differences: metric key -> difference, a - b.
  """

  a: report.Report
  b: report.Report
  differences: Mapping[str, bootstrap.Difference]


def compare(
  a: report.Report, b: report.Report, weights: np.ndarray
) -> Comparison:
  """Compares two reports.

  Raises:
    UsageError: they are not over the same sequences.
  """
  same = len(a.true) == len(b.true) and all(
    x.name == y.name and np.array_equal(x.frames, y.frames)
    for x, y in zip(a.true, b.true, strict=True)
  )
  if not same:
    raise errors.UsageError(
      f"{a.facts['workdir']} has other sequences in {a.facts['split']!r} than "
      f"{b.facts['workdir']}",
      expected="two runs on the same data",
    )
  return Comparison(
    a,
    b,
    {
      m.key: bootstrap.compare(
        m, a.sums["produced"][m.key], b.sums["produced"][m.key], weights
      )
      for m in a.metrics
    },
  )


def cells(compared: Comparison) -> list[list[str]]:
  """Rows of the table, the head first."""
  leaky = compared.a.leaky
  runs = [
    f"{letter}: {run.facts['name']}"
    for letter, run in (("a", compared.a), ("b", compared.b))
  ]
  lines = [[*(["protocol"] if leaky else []), *HEADS, *runs, *ENDS]]
  for m in compared.a.metrics:
    scores = compared.differences[m.key]
    lines.append(
      [
        *(["leaky"] if leaky else []),
        m.head,
        "nearer 1" if m.better == "one" else m.better,
        _format(m, scores.a),
        _format(m, scores.b),
        _format(m, scores.difference, signed=True),
        f"[{_format(m, scores.low, True)}, {_format(m, scores.high, True)}]",
        "–" if math.isnan(scores.p) else f"{scores.p:.3f}",
      ]
    )
  return lines


def _format(metric: Metric, value: float, signed: bool = False) -> str:
  if math.isnan(value):
    return "–"
  style = metric.style.replace("{:", "{:+") if signed else metric.style
  return style.format(value)


def title(compared: Comparison) -> str:
  """The titles of both reports, a line each."""
  a, b = compared.a, compared.b
  return f"a: {tables.title(a)}\nb: {tables.title(b)}"


def notes(compared: Comparison) -> list[str]:
  """Remarks for reading the table."""
  n, facts = len(compared.a.true), compared.a.facts["bootstrap"]
  remarks = [
    f"Paired bootstrap over the same {n} sequences ({facts['resamples']} "
    f"resamples, seed {facts['seed']}). p is two-sided, of no difference; its "
    f"smallest possible value is {2 / (facts['resamples'] + 1):.4f}. "
    f"{len(compared.differences)} metrics are tested at once: one p below "
    "0.05 among them is expected by chance alone.",
  ]
  if n < report.FEW_SEQUENCES:
    remarks.append(f"Only {n} sequences: too few to trust p.")
  if compared.a.leaky:
    remarks.append(
      "Leaky: both models were given true frames (protocol of PT)."
    )
  return remarks


def to_markdown(compared: Comparison) -> str:
  """Formats the comparison as Markdown, for a file and the terminal."""
  return "\n\n".join(
    [title(compared), tables.markdown(cells(compared)), *notes(compared), ""]
  )


def to_json(compared: Comparison) -> dict[str, Any]:
  """Returns the comparison as plain values; undefined numbers are None."""

  def plain(value: float) -> float | None:
    return value if math.isfinite(value) else None

  a, b = compared.a, compared.b
  return {
    "split": a.facts["split"],
    "protocol": a.facts["protocol"],
    "leaky": a.leaky,
    "sequences": len(a.true),
    "bootstrap": a.facts["bootstrap"],
    "a": {key: a.facts[key] for key in ("workdir", "name", "checkpoint")},
    "b": {key: b.facts[key] for key in ("workdir", "name", "checkpoint")},
    "signatures": a.signatures(),
    "metrics": {
      key: {name: plain(value) for name, value in scores._asdict().items()}
      for key, scores in compared.differences.items()
    },
  }

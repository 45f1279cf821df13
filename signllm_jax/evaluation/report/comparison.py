"""Two models over the same sequences: paired differences."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from signllm_jax.core import errors
from signllm_jax.evaluation.metrics.metric import Metric
from signllm_jax.evaluation.report import bootstrap, report, tables

HEADS = ("metric", "better", "a", "b", "a - b", "95 % interval", "p")


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
  """The comparison as a table, its head first."""
  leaky = compared.a.leaky
  lines = [[*(["protocol"] if leaky else []), *HEADS]]
  for m in compared.a.metrics:
    found = compared.differences[m.key]
    lines.append(
      [
        *(["leaky"] if leaky else []),
        m.head,
        "nearer 1" if m.better == "one" else m.better,
        _say(m, found.a),
        _say(m, found.b),
        _say(m, found.difference, signed=True),
        f"[{_say(m, found.low, True)}, {_say(m, found.high, True)}]",
        "–" if math.isnan(found.p) else f"{found.p:.3f}",
      ]
    )
  return lines


def _say(metric: Metric, value: float, signed: bool = False) -> str:
  if math.isnan(value):
    return "–"
  style = metric.style.replace("{:", "{:+") if signed else metric.style
  return style.format(value)


def title(compared: Comparison) -> str:
  """One line: what was compared."""
  a, b = compared.a, compared.b
  return f"a: {tables.title(a)}\nb: {tables.title(b)}"


def notes(compared: Comparison) -> list[str]:
  """What must be known to read the table."""
  n, facts = len(compared.a.true), compared.a.facts["bootstrap"]
  said = [
    f"Paired bootstrap over the same {n} sequences ({facts['resamples']} "
    f"resamples, seed {facts['seed']}). p is two-sided, of no difference; its "
    f"smallest possible value is {2 / (facts['resamples'] + 1):.4f}. "
    f"{len(compared.differences)} metrics are tested at once: one p below "
    "0.05 among them is expected by chance alone.",
  ]
  if n < report.FEW:
    said.append(f"Only {n} sequences: too few to trust p.")
  if compared.a.leaky:
    said.append("Leaky: the truth drove both (protocol of PT).")
  return said


def to_markdown(compared: Comparison) -> str:
  """The comparison as a Markdown file, which the terminal shows as well."""
  return "\n\n".join(
    [title(compared), tables.markdown(cells(compared)), *notes(compared), ""]
  )


def to_json(compared: Comparison) -> dict[str, Any]:
  """The comparison as plain values; undefined numbers are None."""

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
      key: {name: plain(value) for name, value in found._asdict().items()}
      for key, found in compared.differences.items()
    },
  }

"""Writes a report or a comparison into a folder."""

import json
import os
from typing import Any

from signllm_jax.core import atomic_files, paths
from signllm_jax.evaluation.report import comparison, page, report, tables


def write_report(
  folder: str | os.PathLike, scored: report.Report
) -> list[paths.AnyPath]:
  """Writes report.json, report.md and report.html; returns their paths.

  Raises:
    StorageError: a file cannot be written.
  """
  return _write(
    folder,
    {
      "report.json": _json(report.to_json(scored)),
      "report.md": tables.to_markdown(scored),
      "report.html": page.render(scored),
    },
  )


def write_comparison(
  folder: str | os.PathLike, compared: comparison.Comparison
) -> list[paths.AnyPath]:
  """Writes comparison.json, .md and .html; returns their paths.

  Raises:
    StorageError: a file cannot be written.
  """
  return _write(
    folder,
    {
      "comparison.json": _json(comparison.to_json(compared)),
      "comparison.md": comparison.to_markdown(compared),
      "comparison.html": page.render_comparison(compared),
    },
  )


def _write(
  folder: str | os.PathLike, files: dict[str, str]
) -> list[paths.AnyPath]:
  written = []
  for name, text in files.items():
    written.append(paths.resolve(folder, name))
    atomic_files.write_text(written[-1], text)
  return written


def _json(values: dict[str, Any]) -> str:
  return (
    json.dumps(values, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
  )

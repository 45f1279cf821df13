"""The report as one HTML page: no scripts, nothing loaded from elsewhere."""

import base64
import html
import pathlib
import tempfile
from collections.abc import Sequence

import numpy as np

from signllm_jax.core import clips
from signllm_jax.evaluation.report import plots, published, report, tables
from signllm_jax.visualization import render

_SIZE = 180  # pixels, of a clip
_STYLE = """
:root { color-scheme: light dark; --ink: #2b303b; --page: #fff; --line: #d5dae3;
  --soft: #f4f6f8; --warn: #a61e4d }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e7ee; --page: #14171d;
  --line: #39404d; --soft: #1d222b; --warn: #ff8fab } }
body { margin: 0 auto; padding: 1rem; max-width: 76rem; background: var(--page);
  color: var(--ink); font: 16px/1.5 system-ui, sans-serif }
h1 { font-size: 1.4rem } h2 { font-size: 1.15rem; margin-top: 2.2rem }
.wide { overflow-x: auto }
table { border-collapse: collapse; font-size: .85rem;
  font-variant-numeric: tabular-nums }
th, td { padding: .3rem .7rem; border-bottom: 1px solid var(--line);
  text-align: right; white-space: nowrap }
th:first-child, td:first-child { text-align: left; position: sticky; left: 0;
  background: var(--page) }
.scores tbody tr:first-child { font-weight: 600 }
td small { display: block; opacity: .75; font-weight: 400 }
.plots, .clips { display: grid; gap: 1rem;
  grid-template-columns: repeat(auto-fit, minmax(min(22rem, 100%), 1fr)) }
svg, img { max-width: 100%; height: auto }
figure { margin: 0; padding: .7rem; background: var(--soft);
  border-radius: .6rem }
figcaption { font-size: .85rem; overflow-wrap: anywhere }
code { font-size: .8rem; overflow-wrap: anywhere }
.leaky { color: var(--warn); font-weight: 600 }
"""


def page(made: report.Report, examples: int = 3) -> str:
  """The page.

  Args:
    made: the report.
    examples: clips shown of the worst and of the best.
  """
  notes = "".join(f"<p>{html.escape(note)}</p>" for note in tables.notes(made))
  drawn = (plots.intervals(made), plots.distribution(made), plots.lengths(made))
  figures = "".join(f"<figure>{svg}</figure>" for svg in drawn)
  signatures = "".join(
    f"<li><code>{html.escape(line)}</code></li>" for line in made.signatures()
  )
  title = html.escape(tables.title(made))
  mark = ' class="leaky"' if made.leaky else ""
  return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{_STYLE}</style>
</head>
<body>
<main>
<h1{mark}>{title}</h1>
<div class="scores">{_table(tables.cells(made, made.metrics))}</div>
{notes}
<div class="plots">{figures}</div>
{_examples(made, examples)}
<h2>Published figures: {published.CAUTION}</h2>
{_table(tables.published_cells())}
<h2>Signatures</h2>
<p>Numbers may be compared where these are equal.</p>
<ul>{signatures}</ul>
</main>
</body>
</html>
"""


def _table(cells: Sequence[Sequence[str]]) -> str:
  """A table; an interval stands below its score."""

  def cell(value: str) -> str:
    said = html.escape(value)
    start, bracket, rest = said.partition(" [")
    return f"{start}<small>[{rest}</small>" if bracket else said

  heads = "".join(f'<th scope="col">{html.escape(h)}</th>' for h in cells[0])
  lines = "".join(
    f'<tr><th scope="row">{html.escape(line[0])}</th>'
    + "".join(f"<td>{cell(value)}</td>" for value in line[1:])
    + "</tr>"
    for line in cells[1:]
  )
  return (
    f'<div class="wide" tabindex="0" role="region" aria-label="table"><table>'
    f"<thead><tr>{heads}</tr></thead><tbody>{lines}</tbody></table></div>"
  )


def _examples(made: report.Report, count: int) -> str:
  errors = made.each("produced", "dtw_mje")
  order = np.argsort(-errors, kind="stable")
  best = order[::-1][: min(count, len(order) // 2)]
  worst = order[: min(count, len(order) - len(best))]
  parts = []
  for name, chosen in (("Worst", worst), ("Best", best)):
    if not len(chosen):
      continue
    shown = "".join(_example(made, int(i), float(errors[i])) for i in chosen)
    parts.append(
      f"<h2>{name} sequences by DTW-MJE</h2>\n<div class='clips'>{shown}</div>"
    )
  return "\n".join(parts)


def _example(made: report.Report, index: int, error: float) -> str:
  produced, true = made.rows["produced"][index], made.true[index]
  label = "produced (leaky)" if made.leaky else "produced"
  shown = {label: produced, "true": true}
  film, still = (_picture(shown, suffix) for suffix in (".gif", ".png"))
  text = html.escape(true.text, quote=True)
  alt = (
    f"Two skeletons side by side signing “{text}”: {label}, {len(produced)} "
    f"frames, and true, {len(true)} frames"
  )
  return (
    '<figure><picture><source media="(prefers-reduced-motion: reduce)" '
    f'srcset="data:image/png;base64,{still}">'
    f'<img loading="lazy" alt="{alt}" src="data:image/gif;base64,{film}">'
    f"</picture><figcaption>{text}<br>{html.escape(true.name)}: DTW-MJE "
    f"{error:.4f}, {len(produced)} of {len(true)} frames</figcaption></figure>"
  )


def _picture(shown: dict[str, clips.Clip], suffix: str) -> str:
  with tempfile.TemporaryDirectory() as folder:
    path = pathlib.Path(folder, f"a{suffix}")
    render.save(path, shown, size=_SIZE)
    return base64.b64encode(path.read_bytes()).decode()

"""The report of an evaluation: rows of metrics, as a table and as JSON."""

from collections.abc import Mapping

Rows = Mapping[str, Mapping[str, float]]

_COLUMNS = (
  ("dtw_mje", "DTW-MJE", "{:.4f}"),
  ("share_of_floor", "of mean pose", "{:.1%}"),
  ("motion_share", "motion", "{:.3f}"),
  ("length_ratio", "length", "{:.3f}"),
  ("bone_length_error", "bone error", "{:.3f}"),
)


def with_shares(rows: Rows) -> dict[str, dict[str, float]]:
  """Adds each row's DTW-MJE as a share of the mean pose's."""
  floor = rows["mean_pose"]["dtw_mje"]
  return {
    name: {**row, "share_of_floor": row["dtw_mje"] / floor}
    for name, row in rows.items()
  }


def table(rows: Rows, title: str) -> str:
  """A table for the terminal, which is Markdown as well."""
  cells = [["", *(head for _, head, _ in _COLUMNS)]]
  for name, row in with_shares(rows).items():
    cells.append(
      [name.replace("_", " "), *(f.format(row[key]) for key, _, f in _COLUMNS)]
    )
  widths = [max(len(line[i]) for line in cells) for i in range(len(cells[0]))]
  lines = [
    "| " + " | ".join(c.rjust(w) for c, w in zip(line, widths, strict=True))
    for line in cells
  ]
  rule = "|" + "|".join("-" * (w + 1) + ":" for w in widths) + "|"
  return "\n".join(
    [title, "", lines[0] + " |", rule] + [x + " |" for x in lines[1:]]
  )

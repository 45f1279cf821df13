"""Parts of a self-contained HTML page; every text given is escaped.

The page needs no network and no script, follows the reader's light or dark
setting, and fits a phone.
"""

import html
from collections.abc import Iterable, Sequence

_STYLE = """
:root { color-scheme: light dark; --page: #f4f6f8; --card: #fff;
  --edge: #e0e4ec; --ink: #2b303b; --faint: #667085; --mark: #fff6e0;
  --series-0: #2f6fde; --series-1: #c2410c; --series-2: #0b7a68;
  --series-3: #7c4ddb; --missing-0: #e7efe3; --missing-1: #fde3a7;
  --missing-2: #fdb45c; --missing-3: #ea6a2c; --missing-4: #a01818; }
@media (prefers-color-scheme: dark) { :root { --page: #14171c;
  --card: #1d2128; --edge: #333a45; --ink: #e6e9ef; --faint: #9aa4b5;
  --mark: #3a3118; --series-0: #7aa7ff; --series-1: #ff9a5c;
  --series-2: #4fd1b5; --series-3: #b99bff; --missing-0: #2c3a30;
  --missing-1: #6b5a2a; --missing-2: #b07526; --missing-3: #ea6a2c;
  --missing-4: #ff8f8f; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 68rem; padding: 1rem; color: var(--ink);
  background: var(--page); font: 1rem/1.5 system-ui, sans-serif; }
h1 { margin: 0.5rem 0 0; font-size: 1.7rem; overflow-wrap: anywhere; }
h2 { margin: 0 0 0.5rem; font-size: 1.2rem; }
section { margin: 1rem 0; padding: 1rem; border: 1px solid var(--edge);
  border-radius: 12px; background: var(--card); }
section.licence { background: var(--mark); }
.columns { display: grid; gap: 1rem 2rem;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 20rem), 1fr)); }
.columns:not(:first-child) { margin-top: 1rem; }
.scroll { overflow-x: auto; }
.scroll:focus-visible { outline: 2px solid var(--series-0); }
table { border-collapse: collapse; width: 100%; font-size: 0.9rem; }
caption { text-align: start; color: var(--faint); padding-bottom: 0.4rem; }
th, td { padding: 0.3rem 0.7rem 0.3rem 0; text-align: start;
  vertical-align: top; border-top: 1px solid var(--edge); }
.n { text-align: end; font-variant-numeric: tabular-nums;
  white-space: nowrap; }
caption span { display: block; max-width: calc(100vw - 4.2rem); }
tbody th { min-width: 4rem; }
tbody th.long { min-width: 9rem; overflow-wrap: anywhere; }
td.long { min-width: 18rem; overflow-wrap: anywhere; }
td.bar { width: 50%; min-width: 6rem; }
.bar div { height: 0.9rem; margin-top: 0.25rem; border-radius: 3px;
  background: var(--series-0); }
figure { margin: 0; }
figcaption { color: var(--faint); font-size: 0.9rem;
  overflow-wrap: anywhere; }
figure + figure { margin-top: 1rem; }
svg { display: block; width: 100%; max-width: 30rem; height: auto; }
svg * { stroke-linejoin: round; stroke-linecap: butt; }
svg text { font-family: inherit !important; }
img { display: block; min-width: 34rem; width: 100%; border-radius: 8px; }
pre { overflow-x: auto; font-size: 0.85rem; }
.faint { color: var(--faint); }
"""


class Number(str):
  """A number as it is to be read, to the right in its column."""


class Bar(float):
  """A share, as a bar."""


def escape(value: object) -> str:
  """Text for an element or an attribute in quotes."""
  return html.escape(str(value))


def document(title: str, sections: Iterable[str]) -> str:
  """The whole page; empty sections are left out."""
  return (
    '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
    '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
    '<meta http-equiv="Content-Security-Policy" content="default-src '
    "'none'; img-src data:; style-src 'unsafe-inline'\">\n"
    f"<title>{escape(title)}</title>\n"
    f"<style>{_STYLE}</style>\n</head>\n<body>\n<main>\n"
    + "\n".join(filter(None, sections))
    + "\n</main>\n</body>\n</html>\n"
  )


def section(title: str, *parts: str, kind: str = "") -> str:
  """Parts, themselves HTML, under a heading."""
  mark = f' class="{kind}"' if kind else ""
  inside = "\n".join(filter(None, parts))
  return f"<section{mark}>\n<h2>{escape(title)}</h2>\n{inside}\n</section>"


def paragraphs(text: str, kind: str = "") -> str:
  """Text, a paragraph between empty lines."""
  mark = f' class="{kind}"' if kind else ""
  return "\n".join(
    f"<p{mark}>{escape(part)}</p>"
    for part in text.split("\n\n")
    if part.strip()
  )


def columns(*parts: str) -> str:
  """Parts beside one another, or below where there is no room."""
  inside = "\n".join(f"<div>{part}</div>" for part in parts if part)
  return f'<div class="columns">\n{inside}\n</div>'


def figure(picture: str, caption: str) -> str:
  """A picture, HTML, over its caption."""
  text = f'<figcaption dir="auto">{escape(caption)}</figcaption>'
  return f"<figure>\n{picture}\n{text}\n</figure>"


def scroll(label: str, inside: str) -> str:
  """Something wide, to be moved by hand or keys on a narrow screen."""
  return (
    f'<div class="scroll" tabindex="0" role="region" '
    f'aria-label="{escape(label)}">{inside}</div>'
  )


def table(
  caption: str, heads: Sequence[str], rows: Sequence[Sequence[object]]
) -> str:
  """A table; the first cell of a row is its heading.

  Args:
    caption: what it shows.
    heads: of the columns.
    rows: of text, `Number`, int (a number too) and `Bar`.
  """
  body = "\n".join(
    f'<tr><th scope="row" dir="auto"{_long(row[0])}>{escape(row[0])}</th>'
    + "".join(map(_cell, row[1:]))
    + "</tr>"
    for row in rows
  )
  top = "".join(
    f'<th scope="col"{_right(value)}>{escape(head)}</th>'
    for head, value in zip(heads, rows[0] if rows else heads, strict=True)
  )
  return scroll(
    caption,
    f"<table>\n<caption><span>{escape(caption)}</span></caption>\n"
    f"<thead><tr>{top}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>",
  )


def _right(value: object) -> str:
  return ' class="n"' if isinstance(value, int | Number) else ""


def _cell(value: object) -> str:
  if isinstance(value, Bar):
    return f'<td class="bar"><div style="width:{100 * value:.1f}%"></div></td>'
  shown = f"{value:,}" if isinstance(value, int) else escape(value)
  kind = _right(value) or _long(value)
  return f'<td{kind} dir="auto">{shown}</td>'


def _long(value: object) -> str:
  return ' class="long"' if len(str(value)) > 20 else ""

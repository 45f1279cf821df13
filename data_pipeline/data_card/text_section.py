"""The data card's sections on texts, and on what splits have in common."""

from data_pipeline.data_card import html, plots, statistics
from data_pipeline.data_card.html import Bar, Number

TOP = 20  # most frequent tokens listed
SHARED = 5  # texts named that two splits share


def texts(found: statistics.Census) -> str:
  """The section on lengths and vocabulary."""
  tokens = found.tokens
  counts = {name: found.vocabulary(name) for name in found.splits}
  first, seen = next(iter(counts.items()))
  rows = []
  for name, split in found.splits.items():
    unknown = counts[name].keys() - seen.keys()
    rows.append(
      (
        name,
        len(split.texts),
        split.clips - len(split.texts),
        split.texts[""],
        counts[name].total(),
        len(counts[name]),
        Number("–") if name == first else len(unknown),
      )
    )
  every = sum(counts.values(), start=type(seen)())
  if not every:
    return html.section("Texts", html.paragraphs("No clip has a text."))
  top = sorted(every.items(), key=lambda item: (-item[1], item[0]))[:TOP]
  lengths = {name: found.text_lengths(name) for name in found.splits}
  return html.section(
    "Texts",
    html.table(
      f"Texts and {tokens} of each split.",
      (
        *("split", "different texts", "repeated", "empty", tokens),
        *(f"different {tokens}", f"not in {first}"),
      ),
      rows,
    ),
    html.columns(
      html.figure(
        plots.histogram(
          lengths, tokens, "Lengths of texts by split", whole=True
        ),
        "How long the texts are.",
      )
      + html.figure(
        plots.rank_frequency(list(every.values()), tokens),
        f"How often each of the {len(every):,} {tokens} occurs, by rank.",
      ),
      html.table(
        f"The most frequent {tokens}.",
        (tokens, "occurrences", ""),
        [(token, n, Bar(n / top[0][1])) for token, n in top],
      ),
    ),
  )


def leaks(found: statistics.Census) -> str:
  """The section on what splits share; empty for a data set of one split."""
  pairs = found.leaks()
  if not pairs:
    return ""
  rows = [
    (
      " and ".join(leak.splits),
      len(leak.texts),
      leak.names,
      leak.poses,
      "; ".join(leak.texts[:SHARED])
      + ("; …" if len(leak.texts) > SHARED else ""),
    )
    for leak in pairs
  ]
  shared = any(leak.texts or leak.names or leak.poses for leak in pairs)
  return html.section(
    "Shared between splits",
    html.paragraphs(
      "A score on clips or texts that were in training says little."
      if shared
      else "No two splits share a text, a name or a pose sequence."
    ),
    html.table(
      "What two splits have in common: texts (without case), names, clips "
      "whose poses are equal in every number.",
      ("splits", "texts", "names", "poses", "for example"),
      rows,
    ),
  )

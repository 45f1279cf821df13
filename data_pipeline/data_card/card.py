"""The data card: one HTML page that describes a built data set."""

import os
import pathlib
from typing import Any

import numpy as np
from markupsafe import Markup

from data_pipeline.building import record_reader, verify
from data_pipeline.data_card import plots, statistics, text_tables
from data_pipeline.lifting import bones
from signllm_jax.core import atomic_files, errors, languages
from signllm_jax.core.skeleton import PROMPT2SIGN50
from signllm_jax.formats import dataset_info
from signllm_jax.visualization import pages
from signllm_jax.visualization.pages import Number

_NOTICEABLE = 0.005  # smaller shares are rounding
_SHARES = ("body_missing", "hands_missing", "pruned", "flipped", "bone_change")
_PICTURE_SIZE = 200  # pixels, of a frame of an example


def write_card(folder: str | os.PathLike, path: str | os.PathLike) -> None:
  """Writes the data card of a build; equal builds give equal cards.

  Args:
    folder: a build, as `python -m data_pipeline build` leaves it.
    path: the .html file to write, replaced as a whole.

  Raises:
    DataError: there is no complete build, or a record is damaged.
    StorageError: the card cannot be written.
  """
  if not pathlib.Path(path).parent.is_dir():  # now, not after all the counting
    raise errors.StorageError(
      "its folder does not exist", path=path, hint="Make the folder first"
    )
  info = record_reader.open_build(folder)
  corpus = verify.corpus_of(folder)
  page = render(info, statistics.compute(folder), corpus)
  atomic_files.write_text(path, page)


def render(
  info: dataset_info.DatasetInfo,
  stats: statistics.DatasetStatistics,
  corpus: str = "not stated",
) -> str:
  """Renders the card.

  Args:
    info: the build's description.
    stats: its statistics.
    corpus: name of its corpus.
  """
  name = "/".join(filter(None, (info.name, info.config_name)))
  splits = stats.splits.values()
  frames = max(sum(split.frames for split in splits), 1)
  missing = np.sum([split.unseen for split in splits], 0) / frames  # [J]
  parts = tuple(stats.skeleton.parts)
  texts = text_tables.texts(stats)
  overlaps = stats.overlaps()
  return pages.render(
    "data_pipeline.data_card",
    "data_card.html.j2",
    title=f"{name}: data card",
    name=name,
    info=info,
    splits=[_split_row(split) for split in splits],
    fields=[("corpus", corpus), *_fields(stats)],
    texts=texts,
    overlaps=text_tables.overlaps(overlaps),
    any_overlap=any(x.texts or x.names or x.poses for x in overlaps),
    parts=[_words(part) for part in parts],
    missing_parts=[
      (split.name, *(_share(split.missing(part)) for part in parts))
      for split in splits
    ],
    missing_joints=[
      (_words(joint), _share(share))
      for joint, share in zip(stats.skeleton.joints, missing, strict=True)
    ],
    bone_ratios=_bone_ratios(stats),
    failing_clips=_failing_clips(stats),
    worst_clips=_worst_clips(stats),
    examples={split.name: _examples(split) for split in splits},
    plots=_plots(stats, missing, texts),
  )


def _plots(
  stats: statistics.DatasetStatistics,
  missing: np.ndarray,
  texts: text_tables.TextTables | None,
) -> dict[str, Markup]:
  seconds = {split.name: split.seconds for split in stats.splits.values()}
  pictures = {
    "durations": plots.histogram(
      seconds, "seconds", "Lengths of clips by split"
    ),
    "missing": plots.missing(missing, stats.skeleton),
  }
  if stats.skeleton.dims == 3:  # bones of a projection change their lengths
    pictures["bone_lengths"] = plots.bone_lengths(stats.bones, stats.skeleton)
  if texts:
    lengths = {name: stats.text_lengths(name) for name in stats.splits}
    pictures["text_lengths"] = plots.histogram(
      lengths, texts.tokens, "Lengths of texts by split", whole=True
    )
    pictures["rank_frequency"] = plots.rank_frequency(
      list(texts.counts.values()), texts.tokens
    )
  return pictures


def _split_row(split: statistics.SplitStatistics) -> tuple[Any, ...]:
  low, median, high = np.percentile(split.seconds or [0.0], [5, 50, 95])
  return (
    split.name,
    split.clips,
    split.frames,
    Number(f"{sum(split.seconds) / 3600:.3f}"),
    Number(f"{median:.1f} ({low:.1f} to {high:.1f})"),
    split.shards,
    Number(f"{split.size / 2**20:.1f}"),
  )


def _fields(stats: statistics.DatasetStatistics) -> list[tuple[str, str]]:
  signers = [name for name in stats.signers if name]
  glosses = f"{stats.glosses:,} of {stats.clips:,} clips"
  if stats.rule_glosses:
    glosses += f", {stats.rule_glosses:,} of them made by rule"
  if stats.unsure_glosses:
    glosses += f", of which {stats.unsure_glosses:,} may lack a negation"
  return [
    ("sign language", ", ".join(map(_language, sorted(stats.languages)))),
    ("skeleton", stats.skeleton.name),
    ("frames a second", ", ".join(f"{r:g}" for r in sorted(stats.rates))),
    ("signers", f"{len(signers):,}" if signers else "not known"),
    ("gloss", glosses),
    ("prompt", f"{stats.prompts:,} of {stats.clips:,} clips"),
  ]


def _language(code: str) -> str:
  language = languages.LANGUAGES.get(code)
  return f"{language.name} ({code})" if language else code


def _bone_ratios(
  stats: statistics.DatasetStatistics,
) -> list[tuple[str, Number, Number]]:
  if stats.skeleton != PROMPT2SIGN50:
    return []
  ratios = [bones.ratios(lengths) for lengths in stats.bones]
  rows = []
  for name, (_, _, least, most) in bones.RATIOS.items():
    values = [of_clip[name] for of_clip in ratios if name in of_clip]
    median = f"{np.median(values):.2f}" if values else "never seen"
    rows.append((name, Number(median), Number(f"{least:g} to {most:g}")))
  return rows


def _failing_clips(stats: statistics.DatasetStatistics) -> str:
  limits = ", ".join(
    f"{_words(name)}: {count:,}" for name, count in sorted(stats.faults.items())
  )
  sentence = (
    f"{stats.faulty:,} of {stats.clips:,} clips fail a limit of quality"
  )
  return sentence + (f" ({limits})." if limits else ".")


def _worst_clips(stats: statistics.DatasetStatistics) -> list[tuple[Any, ...]]:
  rows = []
  for measure, worst in stats.worst.items():
    share = measure in _SHARES
    for clip in worst:
      if share and clip.value < _NOTICEABLE:
        continue
      value = _share(clip.value) if share else Number(f"{clip.value:,.4g}")
      rows.append((clip.name, clip.split, _words(measure), value, clip.text))
  return rows


def _examples(split: statistics.SplitStatistics) -> list[dict[str, str]]:
  return [
    {
      "name": clip.name,
      "text": clip.text,
      "picture": pages.picture({clip.name: clip}, ".png", _PICTURE_SIZE),
    }
    for clip in split.examples
  ]


def _share(value: float) -> Number:
  return Number(f"{value:.1%}".replace("%", " %"))


def _words(name: str) -> str:
  return name.replace("_", " ")

"""The data card: one HTML page that shows what a built data set holds."""

import base64
import os
import pathlib
import tempfile
from typing import Any

import numpy as np
from PIL import Image

from data_pipeline.building import record_reader
from data_pipeline.data_card import html, plots, statistics, text_section
from data_pipeline.data_card.html import Number
from data_pipeline.lifting import bones
from signllm_jax.core import atomic_files, clips, errors, languages, skeleton
from signllm_jax.visualization import render

_NOTICEABLE = 0.005  # less of a share is rounding
_SHARES = ("body_missing", "hands_missing", "pruned", "flipped", "bone_change")
_PARTS = tuple(skeleton.PARTS)


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
  info: Any = record_reader.open_build(
    folder
  ).info  # annotated too widely by tfds
  found = statistics.take(folder)
  name = "/".join(filter(None, (info.name, info.config_name)))
  page = html.document(
    f"{name}: data card",
    [
      _head(name, info),
      _facts(found),
      text_section.texts(found),
      text_section.leaks(found),
      _missing(found),
      _bones(found),
      _quality(found),
      _examples(found),
      _source(info),
    ],
  )
  atomic_files.write_text(path, page)


def _head(name: str, info: Any) -> str:
  config = info.config_description or ""
  licence = info.redistribution_info.license or "Not stated."
  return "\n".join(
    [
      f"<header>\n<h1>{html.escape(name)}</h1>",
      f'<p class="faint">Data card. Version {html.escape(info.version)}, '
      f"as {html.escape(info.file_format.value)}.</p>",
      html.paragraphs(config),
      html.paragraphs(info.description or ""),
      "</header>",
      html.section("Licence", html.paragraphs(licence), kind="licence"),
    ]
  )


def _facts(found: statistics.Census) -> str:
  rows = []
  for split in found.splits.values():
    low, middle, high = np.percentile(split.seconds or [0.0], [5, 50, 95])
    rows.append(
      (
        split.name,
        split.clips,
        split.frames,
        Number(f"{sum(split.seconds) / 3600:.3f}"),
        Number(f"{middle:.1f} ({low:.1f} to {high:.1f})"),
        split.shards,
        Number(f"{split.size / 2**20:.1f}"),
      )
    )
  heads = ("split", "clips", "frames", "hours", "seconds a clip")
  seconds = {split.name: split.seconds for split in found.splits.values()}
  return html.section(
    "Splits",
    html.table(
      "What each split holds; seconds are the median and the middle 90 %.",
      (*heads, "shards", "MiB"),
      rows,
    ),
    html.columns(
      html.figure(
        plots.histogram(seconds, "seconds", "Lengths of clips by split"),
        "How long the clips are.",
      ),
      html.table("What the records say.", ("field", "value"), _fields(found)),
    ),
  )


def _fields(found: statistics.Census) -> list[tuple[str, str]]:
  total = sum(split.clips for split in found.splits.values())
  signers = [name for name in found.signers if name]
  glosses = f"{found.glosses:,} of {total:,} clips"
  if found.made_glosses:
    glosses += f", {found.made_glosses:,} of them made by rule"
  return [
    ("sign language", ", ".join(map(_language, sorted(found.languages)))),
    ("frames a second", ", ".join(f"{r:g}" for r in sorted(found.rates))),
    ("signers", f"{len(signers):,}" if signers else "not known"),
    ("gloss", glosses),
    ("prompt", f"{found.prompts:,} of {total:,} clips"),
  ]


def _language(code: str) -> str:
  known = languages.LANGUAGES.get(code)
  return f"{known.name} ({code})" if known else code


def _missing(found: statistics.Census) -> str:
  splits = found.splits.values()
  frames = max(sum(split.frames for split in splits), 1)
  shares = np.sum([split.unseen for split in splits], 0) / frames  # [J]
  rows = [
    (split.name, *(_share(split.missing(part)) for part in _PARTS))
    for split in splits
  ]
  joints = [
    (name.replace("_", " "), _share(share))
    for name, share in zip(skeleton.JOINT_NAMES, shares, strict=True)
  ]
  table = html.table(
    "Share of frames without the joint, in all splits.",
    ("joint", "missing"),
    joints,
  )
  return html.section(
    "Missing joints",
    html.columns(
      html.figure(
        plots.missing(shares),
        "Share of frames in which each joint is missing, all splits. The "
        "signer faces you; the hands are drawn large at the sides.",
      ),
      html.table(
        "Share of joints and frames that are missing.",
        ("split", *(part.replace("_", " ") for part in _PARTS)),
        rows,
      ),
    ),
    f"<details><summary>Every joint</summary>\n{table}\n</details>",
  )


def _bones(found: statistics.Census) -> str:
  ratios = [bones.ratios(lengths) for lengths in found.bones]
  rows = []
  for name, (_, _, least, most) in bones.RATIOS.items():
    known = [each[name] for each in ratios if name in each]
    median = f"{np.median(known):.2f}" if known else "never seen"
    rows.append((name, Number(median), Number(f"{least:g} to {most:g}")))
  return html.section(
    "Bones",
    html.columns(
      html.figure(
        plots.bone_lengths(found.bones),
        "Bone lengths in shoulder widths: the median over the clips, and the "
        "middle 90 % of them.",
      ),
      html.table(
        "Ratios of bones: the median over the clips, and the bounds outside "
        "of which no human body is.",
        ("ratio", "median", "human"),
        rows,
      ),
    ),
  )


def _quality(found: statistics.Census) -> str:
  total = sum(split.clips for split in found.splits.values())
  limits = [
    f"{_words(name)}: {count:,}" for name, count in sorted(found.faults.items())
  ]
  said = f"{found.faulty:,} of {total:,} clips fail a limit of quality"
  rows = []
  for measure, worst in found.worst.items():
    share = measure in _SHARES
    for each in worst:
      if share and each.value < _NOTICEABLE:
        continue
      value = _share(each.value) if share else Number(f"{each.value:,.4g}")
      rows.append((each.name, each.split, _words(measure), value, each.text))
  return html.section(
    "Worst clips",
    html.paragraphs(said + (f" ({', '.join(limits)})." if limits else ".")),
    html.table(
      "The worst clips in each measure, good or bad. Jitter is the wrists' "
      "mean jerk in shoulder widths / s³; bone change is the span of the "
      "middle 90 % of a limb's lengths in the clip.",
      ("clip", "split", "measure", "value", "text"),
      rows,
    )
    if rows
    else "",
  )


def _examples(found: statistics.Census) -> str:
  parts = []
  for split in found.splits.values():
    parts.append(f"<h3>{html.escape(split.name)}</h3>")
    parts += [_picture(clip) for clip in split.examples]
  return html.section("Examples, drawn by lot", *parts)


def _picture(clip: clips.Clip) -> str:
  with tempfile.TemporaryDirectory() as folder:
    path = pathlib.Path(folder) / "sheet.png"
    render.save(path, {clip.name: clip}, size=200)
    with Image.open(path) as sheet:
      sheet.quantize(96).save(path, optimize=True)
    data = base64.b64encode(path.read_bytes()).decode()
  label = f"Frames of the clip {clip.name}, evenly spaced in time"
  image = f'<img alt="{html.escape(label)}" src="data:image/png;base64,{data}">'
  return html.figure(
    html.scroll(label, image), f"{clip.name}: {clip.text or 'no text'}"
  )


def _source(info: Any) -> str:
  home = info.homepage or ""
  link = html.escape(home)
  if home.startswith("https://"):
    link = f'<a href="{link}">{link}</a>'
  return html.section(
    "Source and citation",
    f"<p>{link}</p>" if home else "",
    f"<pre>{html.escape(info.citation)}</pre>" if info.citation else "",
  )


def _share(value: float) -> Number:
  return Number(f"{value:.1%}".replace("%", " %"))


def _words(name: str) -> str:
  return name.replace("_", " ")

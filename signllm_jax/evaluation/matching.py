"""Matches produced clips with their references by name."""

import collections
import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

from signllm_jax.core import clips, errors

_SHOWN = 3  # names in a message


class Matched(NamedTuple):
  """Produced clips in the order of their references.

  Attributes:
    produced: with names, texts and glosses of the references.
    true: the references.
    frames: produced lengths, before a change of the frame rate.
    notes: what was done, for the report.
  """

  produced: list[clips.Clip]
  true: list[clips.Clip]
  frames: list[int]
  notes: list[str]


def match(
  produced: Sequence[clips.Clip],
  true: Sequence[clips.Clip],
  partial: bool = False,
) -> Matched:
  """Matches clips by name; a single clip matches a single reference.

  Names are equal, or else equal without their folders and suffixes, where that
  is unambiguous. Produced clips are brought to the frame rate of their
  reference, and the notes say so.

  Args:
    produced: the productions.
    true: the references.
    partial: score the references that have a production, and only these.

  Raises:
    UsageError: no name is common, or a reference has no production.
  """
  if len(produced) == len(true) == 1:
    found, notes = {0: produced[0]}, []
    if _plain(produced[0].name) != _plain(true[0].name):
      notes.append(
        f"The only clip, {produced[0].name!r}, is scored against the only "
        f"reference, {true[0].name!r}."
      )
  else:
    found, notes = _by_name(produced, true)
  missing = [i for i in range(len(true)) if i not in found]
  if not found:
    raise errors.UsageError(
      f"no produced clip has the name of a reference: {_list(produced)} "
      f"against {_list(true)}",
      expected="equal names, with or without folders and suffixes",
      hint="The names of .npz, .h5 and .pt are those of their clips, of "
      ".skels those in .files beside it, of other forms those of the files",
    )
  if missing and not partial:
    raise errors.UsageError(
      f"{len(missing)} of {len(true)} references have no production: "
      + _list([true[i] for i in missing]),
      expected="a production for every reference",
      hint="With --partial only the others are scored, and the report says so",
    )
  if missing:
    notes.append(
      f"{len(missing)} of {len(true)} references have no production and are "
      f"left out: {_list([true[i] for i in missing])}. Scores of a part are "
      "not comparable with those of the whole."
    )
  order = sorted(found)
  return _at_one_rate(
    [found[i] for i in order], [true[i] for i in order], notes
  )


def _by_name(
  produced: Sequence[clips.Clip], true: Sequence[clips.Clip]
) -> tuple[dict[int, clips.Clip], list[str]]:
  """Place of a reference -> its production, and notes."""
  for simplify in (str, _plain):
    names = collections.Counter(simplify(clip.name) for clip in true)
    made = collections.defaultdict(list)
    for clip in produced:
      made[simplify(clip.name)].append(clip)
    ambiguous = [n for n in made if len(made[n]) > 1 or names[n] > 1]
    found = {
      i: made[simplify(clip.name)][0]
      for i, clip in enumerate(true)
      if made.get(simplify(clip.name)) and simplify(clip.name) not in ambiguous
    }
    if found:
      break
  else:
    return {}, []
  spare = len(produced) - len(found)
  notes = []
  if simplify is _plain:
    notes.append("Names are matched without their folders and suffixes.")
  if spare:
    used = {id(clip) for clip in found.values()}
    extra = [clip for clip in produced if id(clip) not in used]
    notes.append(
      f"{spare} produced clips have no reference and are not scored: "
      f"{_list(extra)}."
    )
  return found, notes


def _plain(name: str) -> str:
  """The last part of a name, without a suffix of a file."""
  last = name.replace("\\", "/").rstrip("/").rpartition("/")[2]
  stem, dot, suffix = last.rpartition(".")
  return stem if dot and suffix.isalnum() and len(suffix) <= 5 else last


def _list(listed: Sequence[clips.Clip]) -> str:
  names = ", ".join(repr(clip.name) for clip in listed[:_SHOWN])
  return names + (", ..." if len(listed) > _SHOWN else "")


def _at_one_rate(
  produced: list[clips.Clip], true: list[clips.Clip], notes: list[str]
) -> Matched:
  frames, same, rates = [len(clip) for clip in produced], [], set()
  for made, reference in zip(produced, true, strict=True):
    if abs(made.fps - reference.fps) > 1e-3:
      rates.add((made.fps, reference.fps))
      made = clips.resample(made, reference.fps)
    same.append(
      dataclasses.replace(
        made,
        fps=reference.fps,
        name=reference.name,
        text=reference.text,
        gloss=reference.gloss,
      )
    )
  for own, other in sorted(rates):
    notes.append(
      f"Produced clips at {own:g} frames a second are interpolated to "
      f"{other:g}, the rate of their references. Where a form does not say its "
      "rate, give it with --fps."
    )
  return Matched(same, true, frames, notes)

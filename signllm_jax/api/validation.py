"""Validates the metrics on real signing: `evaluate --validate_metrics`."""

import dataclasses
import os
import pathlib
from collections.abc import Callable, Sequence

import numpy as np

from signllm_jax.core import clips, common_skeleton, errors
from signllm_jax.core.skeleton import PROMPT2SIGN50
from signllm_jax.evaluation import reading
from signllm_jax.evaluation.report import bootstrap
from signllm_jax.evaluation.validation import damages, table, trials
from signllm_jax.inference import load, pose_reader

TRUE, TWIN = "_original", "_updated"  # ends of the names of files of a pair
TRIPLETS = 300  # of recordings, and of spelt words
SIZE, RATE = (640, 480), 15.0  # of landmark recordings, which say neither
_WORDS = 40  # spelt, of several lengths


def validate(
  folders: Sequence[str | os.PathLike],
  *,
  size: tuple[int, int] = SIZE,
  fps: float = RATE,
  back_translation: str | os.PathLike = "",
  resamples: int = bootstrap.RESAMPLES,
  seed: int = 0,
  progress: Callable[[str], None] = lambda head: None,
) -> table.Result:
  """Tries all metrics on sentences with twins, repeated signs and spelling.

  All clips are compared on the 50 joints from the front, without depth.

  Args:
    folders: each holds NAME_original.pose with NAME_updated.pose, the same
      sentence stitched from dictionary signs of another signer; or recordings
      of signs that people repeat (MediaPipe's landmarks, or any clips of which
      several have one text).
    size: width and height of the picture, where a form does not say.
    fps: frames a second, where a form does not say.
    back_translation: work directory of a reader, whose encoder distance and
      likelihood are tried too. Clips are then lifted, at its frame rate.
    resamples: of the bootstrap.
    seed: of the triplets.
    progress: told the name of each metric before it is tried.

  Raises:
    DataError: a folder holds neither, or a sentence lacks its twin.
  """
  pairs, sets, notes = _read(folders, size, fps, seed)
  more = []
  if back_translation:
    reader = load.load_reader(back_translation)
    rate = reader.info.fps
    if pairs:
      pairs = _lifted(pairs[0], rate), _lifted(pairs[1], rate)
    sets = {
      name: trials.Triplets(*(_lifted(group, rate) for group in drawn))
      for name, drawn in sets.items()
    }
    more = _of_reader(reader)
    notes.append(f"Clips are lifted to 3-D, at {rate:g} frames a second.")
  clip = pairs[0][0] if pairs else next(iter(sets.values())).true[0]
  tried = [*trials.measures([clip]), *more]
  found = trials.run(tried, pairs, sets, progress)
  return table.summarise(tried, found, notes, resamples)


def _read(folders, size: tuple[int, int], fps: float, seed: int):
  """Pairs of sentences or None, sets of triplets, and notes."""
  pairs, sets, notes = None, {}, []
  for folder in folders:
    place = pathlib.Path(folder)
    if found := _pairs(place):
      pairs = found
      notes.append(_say_pairs(*found, place))
      continue
    drawn = trials.draw_triplets(
      [common_skeleton.to_front(c) for c in _recordings(place, fps, size)],
      TRIPLETS,
      seed,
    )
    if not drawn.true:
      raise errors.DataError(
        "neither sentences with twins nor repeated signs",
        path=place,
        expected=f"NAME{TRUE}.pose and NAME{TWIN}.pose, or clips of which "
        "several have one text",
      )
    sets[table.SIGNS] = drawn
    notes.append(f"{len(drawn.true)} triplets of recordings of {place.name}.")
  if spelt := _spelling(seed):
    sets[table.LETTERS] = spelt
    notes.append(f"{len(spelt.true)} triplets of words spelt in ASL.")
  else:
    notes.append("No spelling: the extra data (spoken-to-signed) is missing.")
  return pairs, sets, notes


def _lifted(listed: Sequence[clips.Clip], fps: float) -> list[clips.Clip]:
  """Clips of 50 joints from the front in 3-D, canonical, at another rate."""
  from data_pipeline.lifting import lifter

  slow = [clips.resample(clip, fps) for clip in listed]
  scored = [
    np.concatenate([clip.frames, clip.valid[..., None]], -1) for clip in slow
  ]
  return [
    clips.canonical(
      dataclasses.replace(
        clip, frames=made.frames, valid=made.valid, skeleton=PROMPT2SIGN50
      )
    )
    for clip, made in zip(slow, lifter.lift(scored), strict=True)
  ]


def _of_reader(reader: pose_reader.Reader) -> list[trials.Measure]:
  """Distance in the encoder of a reader, and likelihood of the true text."""

  def unlikely(produced, true) -> np.ndarray:
    return -reader.likelihoods(produced, [clip.text for clip in true])

  def apart(produced, true) -> np.ndarray:
    return reading.encoder_distance(reader, produced, true)

  return [
    trials.Measure("encoder_distance", "encoder distance", apart),
    trials.Measure("likelihood", "likelihood", unlikely),
  ]


def _pairs(
  place: pathlib.Path,
) -> tuple[list[clips.Clip], list[clips.Clip]] | None:
  """Sentences and their twins, by name; None where there are none."""
  originals = sorted(place.glob(f"*{TRUE}.pose")) if place.is_dir() else []
  if not originals:
    return None
  twins = [f.with_name(f.name.replace(TRUE, TWIN)) for f in originals]
  for file in twins:
    if not file.exists():
      raise errors.DataError("no such file", path=file, hint="A pair lacks it")
  return [_front(f) for f in originals], [_front(f) for f in twins]


def _front(file: pathlib.Path) -> clips.Clip:
  from signllm_jax.formats import pose

  keypoints = pose.read_keypoints(file)
  return clips.canonical(common_skeleton.of_keypoints(keypoints))


def _say_pairs(
  true: Sequence[clips.Clip], twins: Sequence[clips.Clip], place: pathlib.Path
) -> str:
  copies = sum(trials.equal(a, b) for a, b in zip(true, twins, strict=True))
  said = f"{len(true)} sentences with twins of {place.name}."
  if copies:
    said += (
      f" {copies} twins are copies of their sentence: every metric ranks them "
      "first; “rank, differing” leaves them out."
    )
  return said


def _recordings(
  place: pathlib.Path, fps: float, size: tuple[int, int]
) -> list[clips.Clip]:
  """All recordings that can be read and show the shoulders."""
  from data_pipeline.keypoints import find_clips

  # An archive may lie beside samples of it in another form.
  archives = sorted(place.glob("*.npz")) if place.is_dir() else []
  found = []
  for each in archives or [place]:
    for source in find_clips.find(each, fps=fps, size=size):
      if source.text:
        clip = common_skeleton.of_keypoints(source.read())
        found.append(clips.canonical(clip))
  return found


def _spelling(seed: int) -> trials.Triplets | None:
  """Spelt words with altered copies, and words that differ in two letters."""
  try:
    from data_pipeline.fingerspelling import spell
    from signllm_jax.core import languages
  except ImportError:
    return None
  language = languages.LANGUAGES["ASL"]
  random = np.random.default_rng(seed)
  letters = [x for x in spell.letters(language) if len(x) == 1]
  drawn = trials.Triplets([], [], [])
  for i in range(_WORDS):
    word = list(random.choice(letters, 3 + i % 5))
    other = list(word)
    for place in random.choice(len(word), 2, replace=False):
      other[place] = random.choice([x for x in letters if x != word[place]])
    true, rival = (_spelt(spell, "".join(w), language) for w in (word, other))
    drawn.true.append(true)
    drawn.same.append(_altered(_spelt(spell, "".join(word), language), random))
    drawn.other.append(_altered(rival, random))
  return drawn


def _spelt(spell, word: str, language) -> clips.Clip:
  made = spell.spell(word, language, 25.0)
  keypoints = clips.Keypoints(made.frames, made.fps, name=word, text=word)
  return clips.canonical(common_skeleton.of_keypoints(keypoints))


def _altered(clip: clips.Clip, random: np.random.Generator) -> clips.Clip:
  """Another speed, another size of the hands, and noise of the detector."""
  slow = damages.speed_up(clip, float(random.uniform(0.6, 1.5)))
  frames, size = slow.frames.copy(), float(random.uniform(0.85, 1.15))
  for side in ("left", "right"):
    hand = list(slow.skeleton.parts[f"{side}_hand"])
    frames[:, hand] = frames[:, hand[:1]] * (1 - size) + frames[:, hand] * size
  frames = frames + random.normal(0, 0.01 / 3, frames.shape)
  frames = np.where(slow.valid[..., None], frames, 0).astype(np.float32)
  return dataclasses.replace(slow, frames=frames)

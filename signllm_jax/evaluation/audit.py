"""The audit of a report: whether truth was given, or poses were copied.

Four questions sort the figures of the field: are the lengths those of the
truth, are poses copied from training, does a row score above the truth's own,
is the first frame the truth's? Each has an answer in every report, with the
clips named. A finding is evidence, not proof; the thresholds are:

  lengths   at least SHARE of the clips have exactly the true length, and at
            most CHANCE of the clips of other texts do.
  training  a clip is copied exactly where at least half of its frames equal a
            training frame or lie between two (EXACT), nearly where half are
            nearer to one than NEAR of what is usual for true clips. Found where
            at least FEW of the clips are, and more often than true clips are.
  truth     the same of a clip's own true frames; the first frame by itself.
  above     a score of a reader above that of the true clips, beyond chance.
"""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from signllm_jax.core import clips
from signllm_jax.data import datasets
from signllm_jax.evaluation.metrics import metric
from signllm_jax.evaluation.metrics import text as text_metrics
from signllm_jax.evaluation.report import bootstrap, report
from signllm_jax.evaluation.report.findings import (
  CLEAR,
  FOUND,
  UNKNOWN,
  Finding,
)

SHARE, CHANCE = 0.9, 0.5
EXACT = 1e-3  # root mean square of a frame's differences, shoulder widths
NEAR = 0.25
FEW = 0.1
_LEAST = 4  # clips, to find anything in lengths
_FRAMES = 4_000  # produced frames that are compared with training
_CHUNK = 4_096  # training frames at a time


def add(
  result: report.Report,
  frames: Sequence[int] | None,
  training: datasets.Clips | Sequence[clips.Clip] | None,
  weights: np.ndarray,
  texts_only: bool = False,
) -> report.Report:
  """Adds the audit of the produced clips to a report.

  Args:
    result: with all its columns, also those of a reader.
    frames: lengths of the produced clips as they came; None: as they are.
    training: clips that the system learnt from; None if unknown.
    weights: of `bootstrap.resample`.
    texts_only: the clips were made here, from texts alone; equal lengths then
      show that the model knows them.
  """
  made, true = result.rows["produced"], result.true
  if frames is None:
    frames = [len(clip) for clip in made]
  of_texts = {m.key for m in text_metrics.TEXT}
  read = [m for m in result.metrics if m.key in of_texts]
  findings = [
    lengths(frames, true, texts_only),
    first_frames(made, true),
    truth_frames(made, true),
    training_frames(made, true, training),
    above_truth(read, result.sums, weights),
  ]
  return dataclasses.replace(result, audit=findings)


def lengths(
  frames: Sequence[int], true: Sequence[clips.Clip], texts_only: bool = False
) -> Finding:
  """Whether produced lengths are those of the truth.

  Args:
    frames: produced lengths, as they came.
    true: the true clips.
    texts_only: the clips were made here, from texts alone.
  """
  made, given = np.array(frames), np.array([len(clip) for clip in true])
  equal = made == given
  chance = float((made[:, None] == given[None]).mean())
  share = float(equal.mean())
  said = (
    f"{share:.0%} of the clips have exactly the true length; of clips of other "
    f"texts {chance:.0%} would."
  )
  if chance > CHANCE:
    said += " True lengths hardly differ, so this shows nothing."
    return Finding("lengths", UNKNOWN, said, [])
  if len(true) < _LEAST:
    return Finding("lengths", UNKNOWN, f"{said} Too few clips to judge.", [])
  if share >= SHARE and texts_only:
    said += " The model was given texts only, so these follow from the text."
    return Finding("lengths", CLEAR, said, [])
  if share >= SHARE:
    said += " Lengths or counters of the truth were given."
    named = [clip.name for clip, e in zip(true, equal, strict=True) if e]
    return Finding("lengths", FOUND, said, named)
  return Finding("lengths", CLEAR, said, [])


def first_frames(
  produced: Sequence[clips.Clip], true: Sequence[clips.Clip]
) -> Finding:
  """Whether clips begin with the true first frame."""
  equal = [
    _apart(_vectors(a)[:1], _vectors(b)[:1])[0] < EXACT
    for a, b in zip(produced, true, strict=True)
  ]
  named = [clip.name for clip, e in zip(true, equal, strict=True) if e]
  said = f"{len(named)} of {len(true)} clips begin with the true first frame."
  found = len(named) > FEW * len(true)
  if found:
    said += " It was given."
  return Finding("first_frame", FOUND if found else CLEAR, said, named)


def truth_frames(
  produced: Sequence[clips.Clip], true: Sequence[clips.Clip]
) -> Finding:
  """Whether half of a clip's frames are frames of its own true clip."""
  named = []
  for made, reference in zip(produced, true, strict=True):
    nearest = _nearest(_vectors(made), _vectors(reference))
    if (nearest < EXACT).mean() >= 0.5:
      named.append(reference.name)
  said = f"{len(named)} of {len(true)} clips consist of frames of their truth."
  found = len(named) > FEW * len(true)
  return Finding("truth_frames", FOUND if found else CLEAR, said, named)


def training_frames(
  produced: Sequence[clips.Clip],
  true: Sequence[clips.Clip],
  training: datasets.Clips | Sequence[clips.Clip] | None,
) -> Finding:
  """Whether clips are made of training frames, exactly or nearly."""
  if training is None or not len(training):
    said = "No training clips were given (--training), so copies are not seen."
    return Finding("training", UNKNOWN, said, [])
  made, real = (_sampled(group) for group in (produced, true))
  near_made, near_real = _nearest_of_many(
    [np.concatenate(made), np.concatenate(real)], training
  )
  usual = float(np.median(near_real))
  exact, near = _copies(near_made, made, usual)
  true_exact, true_near = _copies(near_real, real, usual)
  named = [c.name for c, e in zip(true, exact | near, strict=True) if e]
  said = (
    f"{exact.mean():.0%} of the clips consist of training frames exactly, "
    f"{near.mean():.0%} nearly (of the true clips {true_exact.mean():.0%} and "
    f"{true_near.mean():.0%}). The median distance to the nearest training "
    f"frame is {np.median(near_made):.3f} shoulder widths; of true frames "
    f"{usual:.3f}."
  )
  found = (
    exact.mean() > FEW + true_exact.mean()
    or near.mean() > FEW + true_near.mean()
  )
  if found:
    said += " Poses are copied from training."
    return Finding("training", FOUND, said, named)
  return Finding("training", CLEAR, said, [])


def _copies(
  nearest: np.ndarray, sampled: Sequence[np.ndarray], usual: float
) -> tuple[np.ndarray, np.ndarray]:
  """Whether half of each clip's frames are copies, exact and near: [n] each."""
  ends = np.cumsum([len(frames) for frames in sampled])[:-1]
  parts = np.split(nearest, ends)
  limits = (EXACT, max(NEAR * usual, EXACT))
  exact, near = (
    np.array([(part < limit).mean() >= 0.5 for part in parts])
    for limit in limits
  )
  return exact, near


def above_truth(
  metrics: Sequence[metric.Metric],
  sums: Mapping[str, Mapping[str, np.ndarray]],
  weights: np.ndarray,
) -> Finding:
  """Whether a reader reads produced clips better than true ones.

  Args:
    metrics: the columns of the reader; none without one.
    sums: row -> key -> [draws, n, k], of `report.Report`.
    weights: of `bootstrap.resample`.
  """
  if not metrics:
    said = "No reader (--back_translation): every other column gives the truth "
    return Finding("above_truth", UNKNOWN, said + "the best score.", [])
  beyond = []
  for m in metrics:
    found = bootstrap.compare(
      m, sums["produced"][m.key], sums["truth"][m.key], weights
    )
    better = found.difference if m.better == "higher" else -found.difference
    if better > 0 and (found.low > 0 or found.high < 0):
      beyond.append(m.head)
  if beyond:
    said = (
      f"Produced clips are read better than true ones ({', '.join(beyond)}): "
      "the reader rewards something else than signing."
    )
    return Finding("above_truth", FOUND, said, [])
  said = "No score of the reader is above the truth's own, beyond chance."
  return Finding("above_truth", CLEAR, said, [])


def _vectors(clip: clips.Clip) -> np.ndarray:
  """Frames [T, C] in shoulder widths, over the root of C; missing are 0."""
  flat = clip.frames.reshape(len(clip), -1).astype(np.float32)
  return flat / (clips.SHOULDER_WIDTH * np.sqrt(flat.shape[1]))


def _apart(a: np.ndarray, b: np.ndarray) -> np.ndarray:
  return np.linalg.norm(a - b, axis=-1)


def _nearest(
  frames: np.ndarray, others: np.ndarray, ends: Sequence[int] | np.ndarray = ()
) -> np.ndarray:
  """Distance [T] of each frame to the nearest of the others.

  Frames between two consecutive others, as of a clip at another rate, are
  measured against the line between them. The nearest is found by products,
  whose rounding does not matter; distances are computed by differences.

  Args:
    frames: [T, C].
    others: [N, C], clips one after another.
    ends: where a further clip begins among the others.
  """
  squares = (others**2).sum(-1) - 2 * frames @ others.T
  at = squares.argmin(1)
  origin = others[at]
  found = _apart(frames, origin)
  for step in (-1, 1):
    near = np.clip(at + step, 0, len(others) - 1)
    crosses = np.isin(np.maximum(at, near), ends)
    line = others[np.where(crosses, at, near)] - origin
    along = ((frames - origin) * line).sum(-1)
    share = np.clip(along / np.maximum((line**2).sum(-1), 1e-12), 0, 1)
    found = np.minimum(found, _apart(frames, origin + share[:, None] * line))
  return found


def _sampled(group: Sequence[clips.Clip]) -> list[np.ndarray]:
  """Vectors of evenly spaced frames of each clip, _FRAMES in all at most."""
  most = max(4, _FRAMES // len(group))
  found = []
  for clip in group:
    count = min(len(clip), most)
    index = np.linspace(0, len(clip) - 1, count).round().astype(int)
    found.append(_vectors(clip)[index])
  return found


def _nearest_of_many(
  groups: Sequence[np.ndarray],
  training: datasets.Clips | Sequence[clips.Clip],
) -> list[np.ndarray]:
  """Distances of frames to the nearest of all training frames."""
  best = [np.full(len(group), np.inf, np.float32) for group in groups]
  held: list[np.ndarray] = []
  size = 0

  def compare() -> None:
    others = np.concatenate(held)
    ends = np.cumsum([len(frames) for frames in held])[:-1]
    for i, group in enumerate(groups):
      best[i] = np.minimum(best[i], _nearest(group, others, ends))

  for i in range(len(training)):
    held.append(_vectors(training[i]))
    size += len(held[-1])
    if size >= _CHUNK:
      compare()
      held, size = [], 0
  if held:
    compare()
  return best

"""Lifts the keypoints of some clips; nothing is written."""

import dataclasses
import itertools
from collections.abc import Iterator, Sequence

import numpy as np

from data_pipeline.keypoints import cleaning, find_clips
from data_pipeline.lifting import hanging, lifted_folder, lifter, quality
from data_pipeline.texts import normalisation
from signllm_jax.core import clips, errors, reduction
from signllm_jax.core import skeleton as skeleton_lib
from signllm_jax.core.skeleton import PROMPT2SIGN50


@dataclasses.dataclass(frozen=True)
class Result:
  """What became of a clip.

  Attributes:
    name: of the clip.
    clip: lifted, in the unit of the published stages; None if the policy drops
      it or it is bad.
    measured: its quality; None if it is bad.
    fault: of a bad clip; else None.
    stages: of a lifted clip, if they are wanted.
  """

  name: str
  clip: clips.Clip | None = None
  measured: quality.Quality | None = None
  fault: errors.SignLLMError | None = None
  stages: tuple[np.ndarray, ...] | None = None


def lift(
  read: Sequence[
    tuple[find_clips.Source, clips.Keypoints | errors.SignLLMError]
  ],
  options: lifted_folder.Options,
  keep_stages: bool = False,
) -> Iterator[Result]:
  """Lifts clips; a bad one does not stop the others.

  The result of a clip does not depend on those beside it.

  Args:
    read: clips as `read_clips.read_all` yields them.
    options: of lifting.
    keep_stages: whether the stages of lifting are wanted.

  Yields:
    A result of every clip, in any order.
  """
  skeleton = skeleton_lib.get(options.skeleton)
  lifts = skeleton == PROMPT2SIGN50 or skeleton.lifted_from is not None
  # Quality as read, and keypoints as the policy keeps them.
  pairs: list[tuple[quality.Quality, clips.Keypoints]] = []
  for source, keypoints in read:
    if isinstance(keypoints, errors.SignLLMError):
      yield Result(source.name, fault=keypoints)
      continue
    if not keypoints.valid.any():
      fault = errors.DataError(
        f"no joint is detected in any of {len(keypoints)} frames"
      )
      yield Result(source.name, fault=fault)
      continue
    measured = quality.measure(
      reduction.reduce(keypoints, PROMPT2SIGN50) if lifts else keypoints
    )
    kept = quality.apply(options.policy, keypoints, measured)
    if kept is None:
      yield Result(source.name, measured=measured)
      continue
    try:
      if options.condense:
        kept = quality.condense(kept, options.condense)
    except errors.DataError as error:  # of its rate
      yield Result(source.name, fault=error)
      continue
    pairs.append((measured, kept))
  if not lifts:
    yield from itertools.starmap(_take, pairs)
    return
  bodies = [reduction.reduce(kept, PROMPT2SIGN50) for _, kept in pairs]
  results = lifter.lift(
    [body.frames for body in bodies],
    mode=options.mode,
    keep_stages=keep_stages,
  )
  for (measured, kept), body, result in zip(
    pairs, bodies, results, strict=True
  ):
    yield _finish(measured, kept, body, result, skeleton)


def _take(measured: quality.Quality, kept: clips.Keypoints) -> Result:
  """Keypoints of a skeleton that is not lifted, as a clip."""
  try:
    clip = _cleaned(kept.as_clip())
  except errors.DataError as error:
    return Result(kept.name, fault=error)
  return Result(kept.name, clip, measured)


def _finish(
  measured: quality.Quality,
  kept: clips.Keypoints,
  body: clips.Keypoints,
  result: lifter.Lifted,
  skeleton: skeleton_lib.Skeleton,
) -> Result:
  try:
    clip = _to_clip(kept, body, result, skeleton)
  except errors.DataError as error:  # of its text
    return Result(kept.name, fault=error)
  measured = quality.with_lifted(measured, result)
  return Result(kept.name, clip, measured, stages=result.stages)


def _to_clip(
  keypoints: clips.Keypoints,
  body: clips.Keypoints,
  result: lifter.Lifted,
  skeleton: skeleton_lib.Skeleton,
) -> clips.Clip:
  """The lifted clip in the unit of the published stages, its text cleaned.

  Args:
    keypoints: of the skeleton, or of the one that it is lifted from.
    body: their joints of prompt2sign50.
    result: these, lifted.
    skeleton: of the clip.
  """
  _, centre, scale = cleaning.normalise(body.frames)
  places, valid = result.frames, result.valid
  if skeleton != PROMPT2SIGN50:
    places, valid = hanging.hang(keypoints, result, skeleton)
  frames = (places - np.append(centre, 0)) / scale
  frames = np.where(valid[..., None], frames, 0).astype(np.float32)
  texts = keypoints.name, keypoints.text, keypoints.gloss
  clip = clips.Clip(frames, valid, keypoints.fps, *texts, skeleton=skeleton)
  return _cleaned(clip)


def _cleaned(clip: clips.Clip) -> clips.Clip:
  """The clip with its text and gloss cleaned."""
  return dataclasses.replace(
    clip,
    text=clip.text and normalisation.clean(clip.text),
    gloss=clip.gloss and normalisation.clean(clip.gloss),
  )

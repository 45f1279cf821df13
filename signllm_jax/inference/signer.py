"""A trained model that signs texts, as the Python API gives it."""

import dataclasses
import os
import warnings
from collections.abc import Iterator, Sequence
from typing import overload

import numpy as np

from signllm_jax.inference import clip as clip_lib
from signllm_jax.inference import (
  display,
  long_text,
  pauses,
  postprocess,
  text_input,
  text_signer,
)


class Signer(text_signer.TextSigner):
  """Signs texts: `signer("hello")` is a clip.

  Equal calls give equal frames, bit for bit. A model with a generative decoder
  (`model.decoder=flow`) signs a text in another way with another `seed`.
  """

  @property
  def languages(self) -> tuple[str, ...]:
    """Codes of the sign languages it knows."""
    return tuple(self.infos)

  def __repr__(self) -> str:
    known = [code or "one language" for code in self.infos]
    rates = {f"{info.fps:g}" for info in self.infos.values()}
    return (
      f"Signer({self.path!r}: {', '.join(known)}, "
      f"{' or '.join(sorted(rates))} fps)"
    )

  @overload
  def __call__(
    self,
    texts: str,
    *,
    mode: str = ...,
    language: str = ...,
    speed: float = ...,
    smooth: bool = ...,
    constant_bones: bool = ...,
    pause: float = ...,
    samples: int = ...,
    judge: str | os.PathLike = ...,
    seed: int | None = ...,
  ) -> clip_lib.Clip: ...

  @overload
  def __call__(
    self,
    texts: Sequence[str],
    *,
    mode: str = ...,
    language: str = ...,
    speed: float = ...,
    smooth: bool = ...,
    constant_bones: bool = ...,
    pause: float = ...,
    samples: int = ...,
    judge: str | os.PathLike = ...,
    seed: int | None = ...,
  ) -> list[clip_lib.Clip]: ...

  def __call__(
    self,
    texts: str | Sequence[str],
    *,
    mode: str = "text",
    language: str = "",
    speed: float = 1.0,
    smooth: bool = False,
    constant_bones: bool = False,
    pause: float = pauses.SECONDS,
    samples: int = 1,
    judge: str | os.PathLike = "",
    seed: int | None = None,
  ) -> clip_lib.Clip | list[clip_lib.Clip]:
    """Signs a text, or several in batches.

    A text longer than any in training is signed in parts, which are joined.
    Unknown words, another case and an end by the frame limit are warnings.

    Args:
      texts: a text, or several.
      mode: "text", as it stands; "prompt", a question that quotes what to sign
        and may name the language ("How do I sign 'sea' in GSL?"); "gloss", for
        a model that reads glosses.
      language: code of the sign language, if the model knows several and no
        text names one.
      speed: of signing, 0.25 to 4 times the model's own.
      smooth: removes jitter (one-euro filter).
      constant_bones: gives each bone its median length.
      pause: seconds between spelt words, 0 to 5; thrice that between sentences.
      samples: signs each text so often, poses sampled by the run's `rl.std`,
        and keeps the best by the judge.
      judge: work directory of a model that reads poses.
      seed: 0 to 2**32 - 1; 0 by default. A generative decoder
        (`model.decoder=flow`) signs by seed and place of the text in the call.
        With `samples` it is theirs. Other models warn of it.

    Returns:
      A clip for a text, a list of clips for several, in order.

    Raises:
      UsageError: the request cannot be met.
      NonFiniteError: the model gives NaN or infinity.
      StorageError: every checkpoint is damaged.
    """
    options = postprocess.Options(speed, smooth, constant_bones)
    postprocess.check(options)
    pauses.check(pause)
    text_signer.check_samples(samples, judge)
    self._check_seed(seed, sampled=bool(judge))
    if not (lines := [texts] if isinstance(texts, str) else list(texts)):
      return []
    code, batch = self._prepare(lines, mode, language)
    seed = seed or 0
    sampler = self.best_of(code, samples, judge, seed) if judge else None
    rests = pauses.in_seconds(batch.pauses, pause)
    how = {"seed": seed, "sampler": sampler, "pauses": rests}
    signed = self.sign(batch.parts, code, options, **how)
    clips = list(map(_finished_clip, signed))
    return clips[0] if isinstance(texts, str) else clips

  def stream(
    self,
    text: str,
    *,
    mode: str = "text",
    language: str = "",
    pause: float = pauses.SECONDS,
    seed: int | None = None,
  ) -> Iterator[np.ndarray]:
    """Signs a text and yields its frames as they come.

    The frames are those of a call with this text alone, bit for bit. The
    regression decoder computes them in chunks of 32, a generative decoder all
    frames of a part of the text at once.

    Args:
      text: as of a call.
      mode: as of a call.
      language: as of a call.
      pause: as of a call.
      seed: as of a call.

    Yields:
      Frames [J, D] float32, in canonical units.

    Raises:
      UsageError, NonFiniteError, StorageError: as a call.
    """
    self._check_seed(seed, sampled=False)
    pauses.check(pause)
    code, batch = self._prepare([text], mode, language)
    producer = self.producer(code)
    rests = pauses.in_seconds(batch.pauses, pause)
    for chunk in long_text.stream(
      producer,
      batch.parts,
      producer.batch_size,
      [seed or 0],
      pauses=rests,
    ):
      yield from chunk.clip.frames

  def _check_seed(self, seed: int | None, *, sampled: bool) -> None:
    """Checks a seed; a warning of the caller's line where it has no effect."""
    if seed is None:
      return
    text_signer.check_seed(seed)
    if not (self.stochastic or sampled):
      warnings.warn(text_signer.SEED_NOTE, stacklevel=3)

  def _prepare(
    self, texts: Sequence[str], mode: str, language: str
  ) -> tuple[str, text_input.TextBatch]:
    """`prepare`, with its notes as warnings of the caller's line."""
    code, batch = self.prepare(texts, mode=mode, language=language)
    for note in batch.notes:
      warnings.warn(note, stacklevel=3)
    return code, batch


def _finished_clip(signed: long_text.SignedText) -> clip_lib.Clip:
  """The public clip of a text; a warning where the frame limit ended it."""
  if not signed.finished:
    warnings.warn(
      f"{display.quote(signed.clip.text)} was cut off at the frame limit: "
      "the model did not come to an end",
      stacklevel=4,
    )
  clip = dataclasses.replace(signed.clip, name=signed.clip.text)
  return clip_lib.Clip.of(clip)

"""A trained model that signs texts: the one place that commands and API use.

A `Signer` prepares texts (questions, long texts, languages), signs them in
batches, joins the parts of long ones and postprocesses the clips.
"""

import dataclasses
import os
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import overload

import numpy as np

from signllm_jax import config as config_lib
from signllm_jax.core import errors
from signllm_jax.data import corpus_info
from signllm_jax.inference import clip as clip_lib
from signllm_jax.inference import (
  display,
  load,
  long_text,
  pose_reader,
  postprocess,
  rerank,
  sequences,
  text_input,
)
from signllm_jax.inference import producer as producer_lib
from signllm_jax.runs import restore

MODES = ("text", "prompt", "gloss")


class Signer:
  """Signs texts with the model of a work directory or of a model file.

  Parameters are read at first use. Equal calls give equal frames, bit for bit.

  Attributes:
    path: where the model lies.
    config: of its training.
    infos: vocabulary, lengths and frame rate of each language, by its code.
    language: the code that is taken where a call names none; may be empty.
  """

  def __init__(
    self, path: str | os.PathLike, language: str = "", dtype: str = ""
  ):
    """Reads the description of a model.

    Args:
      path: work directory of a run, or a model file.
      language: code of the sign language that is taken where a call names
        none, such as ASL; may be empty.
      dtype: of matrix products, float32 or bfloat16; as trained if empty.

    Raises:
      UsageError: neither, or the model does not know the language.
      DataError: it is damaged.
    """
    self.path = os.fspath(path)
    self.config: config_lib.Experiment
    self.infos: Mapping[str, corpus_info.CorpusInfo]
    self.config, self.infos = self._described = restore.describe(path)
    self._dtype, self.language = dtype, ""
    self.language = self.choose(language).code if language else ""
    self._restored: restore.Restored | None = None
    self._producers: dict[str, producer_lib.Producer] = {}
    self._readers: dict[str, pose_reader.Reader] = {}

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
    samples: int = ...,
    judge: str | os.PathLike = ...,
    seed: int = ...,
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
    samples: int = ...,
    judge: str | os.PathLike = ...,
    seed: int = ...,
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
    samples: int = 1,
    judge: str | os.PathLike = "",
    seed: int = 0,
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
      samples: signs each text so often, poses sampled by the run's `rl.std`,
        and keeps the best by the judge.
      judge: work directory of a model that reads poses.
      seed: of the samples.

    Returns:
      A clip for a text, a list of clips for several, in order.

    Raises:
      UsageError: the request cannot be met.
      NonFiniteError: the model gives NaN or infinity.
      StorageError: every checkpoint is damaged.
    """
    options = postprocess.Options(speed, smooth, constant_bones)
    postprocess.check(options)
    check_samples(samples, judge)
    lines = [texts] if isinstance(texts, str) else list(texts)
    if not lines:
      return []
    code, batch = self._prepare(lines, mode, language)
    sampler = self.best_of(code, samples, judge, seed) if judge else None
    signed = self.sign(batch.parts, code, options, sampler=sampler)
    clips = [_finished_clip(text) for text in signed]
    return clips[0] if isinstance(texts, str) else clips

  def stream(
    self, text: str, *, mode: str = "text", language: str = ""
  ) -> Iterator[np.ndarray]:
    """Signs a text and yields its frames as they come.

    The frames are those of a call with this text alone, bit for bit. The model
    computes them in chunks of 32.

    Args:
      text: as of a call.
      mode: as of a call.
      language: as of a call.

    Yields:
      Frames [50, 3] float32, in canonical units.

    Raises:
      UsageError, NonFiniteError, StorageError: as a call.
    """
    code, batch = self._prepare([text], mode, language)
    producer = self.producer(code)
    for chunk in long_text.stream(producer, batch.parts, producer.batch_size):
      yield from chunk.frames

  def prepare(
    self,
    texts: Sequence[str | text_input.TextInput],
    *,
    mode: str = "text",
    language: str = "",
  ) -> tuple[str, text_input.TextBatch]:
    """Chooses the sign language and prepares texts for the model.

    Args:
      texts: as typed, and where they stand if in a file.
      mode: as of a call.
      language: as of a call.

    Returns:
      The code of the language, and the texts in parts with notes.

    Raises:
      UsageError: an unknown mode or language, or a text that cannot be signed.
      DataError: the same of a text in a file.
    """
    lines = [
      text_input.TextInput(text) if isinstance(text, str) else text
      for text in texts
    ]
    chosen = self.choose(language, [line.text for line in lines])
    self._check_mode(mode, chosen.settings.source)
    if mode == "prompt":
      lines = [
        line._replace(text=text_input.quoted_text(line.text, chosen.settings))
        for line in lines
      ]
    return chosen.code, text_input.prepare_all(lines, chosen.info)

  def prepare_split(
    self, split: str, count: int = 0, language: str = ""
  ) -> tuple[str, text_input.TextBatch]:
    """Prepares the texts of a split of the training data, with their truth.

    Args:
      split: train, dev or test.
      count: the first texts alone; 0 for all.
      language: as of a call.

    Raises:
      UsageError: as `choose`.
      DataError: the data are gone, or have no such split, or it is empty.
    """
    chosen = self.choose(language)
    batch = text_input.read_split(chosen.settings, chosen.info, split, count)
    return chosen.code, batch

  def choose(
    self, language: str = "", texts: Sequence[str] = ()
  ) -> load.Chosen:
    """The language of a call: named by it, by its texts, or by `load`.

    Raises:
      UsageError: the model knows several and none is named, or not that one.
    """
    return load.choose(self._described, language or self.language, texts)

  def producer(self, language: str) -> producer_lib.Producer:
    """The model of a language, by its code; loaded at first use.

    Raises:
      UsageError: the model does not sign, or nothing was saved yet.
      StorageError: every checkpoint is damaged.
    """
    if language not in self._producers:
      if self._restored is None:
        self._restored = restore.restore(self.path)
      self._producers[language] = load.build_producer(
        self._restored, self.path, language, self._dtype
      )
    return self._producers[language]

  def best_of(
    self, language: str, samples: int, judge: str | os.PathLike, seed: int = 0
  ) -> rerank.BestOf:
    """Signs each text several times and keeps what a judge reads best.

    Args:
      language: its code.
      samples: of each text.
      judge: work directory of a model that reads poses.
      seed: of the samples.

    Raises:
      UsageError: as `rerank.BestOf`, or the judge does not read.
    """
    key = os.fspath(judge)
    if key not in self._readers:
      self._readers[key] = load.load_reader(judge)
    return rerank.BestOf(
      self.producer(language),
      self._readers[key],
      samples,
      self.config.rl.std,
      seed,
    )

  def sign(
    self,
    texts: Sequence[Sequence[str]],
    language: str,
    options: postprocess.Options = postprocess.UNCHANGED,
    *,
    sampler: sequences.BatchProducer | None = None,
    on_frames: Callable[[int], object] = lambda frames: None,
  ) -> Iterator[long_text.SignedText]:
    """Signs prepared texts; see `long_text.sign`.

    Args:
      texts: the parts of each text, of `prepare`.
      language: its code.
      options: of the postprocessing.
      sampler: of `best_of`; the model itself if not given.
      on_frames: called after each batch with its number of frames.
    """
    producer = sampler or self.producer(language)
    return long_text.sign(producer, texts, options, on_frames)

  def _prepare(
    self, texts: Sequence[str], mode: str, language: str
  ) -> tuple[str, text_input.TextBatch]:
    """`prepare`, with its notes as warnings of the caller's line."""
    code, batch = self.prepare(texts, mode=mode, language=language)
    for note in batch.notes:
      warnings.warn(note, stacklevel=3)
    return code, batch

  def _check_mode(self, mode: str, source: str) -> None:
    if mode not in MODES:
      raise errors.UsageError(
        f"mode {mode!r}", expected="one of " + ", ".join(MODES)
      )
    if mode == "gloss" and source != "gloss":
      raise errors.UsageError(
        f"mode 'gloss' of a model that reads a {source}",
        path=self.path,
        expected="a model trained with data.source=gloss",
      )


def check_samples(samples: int, judge: str | os.PathLike) -> None:
  """Refuses several samples without a judge, and a judge of one sample.

  Raises:
    UsageError: names both options.
  """
  if (samples > 1) != bool(judge):
    raise errors.UsageError(
      "--samples and --judge go together",
      hint="Train what reads with --config=configs/back_translation.py",
    )


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

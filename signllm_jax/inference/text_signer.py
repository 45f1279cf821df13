"""Prepares texts and signs them with a trained model, in batches.

Commands, server and API stand on a `TextSigner`, so that questions, long texts,
languages and postprocessing are handled in one place.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence

from signllm_jax import config as config_lib
from signllm_jax.core import errors, languages
from signllm_jax.data import corpus_info
from signllm_jax.inference import (
  load,
  long_text,
  pose_reader,
  postprocess,
  questions,
  rerank,
  sequences,
  text_input,
)
from signllm_jax.inference import producer as producer_lib
from signllm_jax.runs import restore

MODES = ("text", "prompt", "gloss")
MAX_SEED = 2**32 - 1
SEED_NOTE = (
  "the seed has no effect: this model is deterministic and signs a text in one "
  "way"
)


class TextSigner:
  """Signs texts with the model of a work directory or of a model file.

  Parameters are read at first use. Equal calls give equal frames, bit for bit;
  those of a generative decoder also depend on a seed.

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
  def stochastic(self) -> bool:
    """Whether its clips depend on a seed (the generative decoder)."""
    return self.config.model.decoder == "flow"

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
      mode: as of `signer.Signer`.
      language: as of `signer.Signer`.

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
        line._replace(text=questions.quoted_text(line.text, chosen.settings))
        for line in lines
      ]
    spoken = languages.spoken_with(chosen.code)
    return chosen.code, text_input.prepare_all(lines, chosen.info, spoken)

  def prepare_split(
    self, split: str, count: int = 0, language: str = ""
  ) -> tuple[str, text_input.TextBatch]:
    """Prepares the texts of a split of the training data, with their truth.

    Args:
      split: train, dev or test.
      count: the first texts alone; 0 for all.
      language: as of `signer.Signer`.

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
    seed: int = 0,
    sampler: sequences.BatchProducer | None = None,
    on_frames: Callable[[int], object] = lambda frames: None,
    pauses: Sequence[Sequence[float]] | None = None,
  ) -> Iterator[long_text.SignedText]:
    """Signs prepared texts; see `long_text.sign`.

    Args:
      texts: the parts of each text, of `prepare`.
      language: its code.
      options: of the postprocessing.
      seed: of a generative decoder, 0 to `MAX_SEED`; others sign a text in one
        way.
      sampler: of `best_of`, with its own seed; the model itself if not given.
      on_frames: called after each batch with its number of frames.
      pauses: of each text, in seconds after each part but the last.
    """
    own = long_text.SeededProducer(self.producer(language), seed)
    return long_text.sign(sampler or own, texts, options, on_frames, pauses)

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


def check_seed(seed: int) -> None:
  """Refuses a seed that is not in range.

  Raises:
    UsageError: says what is.
  """
  if not 0 <= seed <= MAX_SEED:
    raise errors.UsageError(f"seed {seed}", expected=f"0 to {MAX_SEED}")


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

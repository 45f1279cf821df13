"""Loads a trained model that signs."""

import os

from signllm_jax.inference import signer
from signllm_jax.parallel import compilation_cache


def load(
  path: str | os.PathLike, language: str = "", dtype: str = ""
) -> signer.Signer:
  """Loads a trained model: `load("runs/quickstart")("hello")` is a clip.

  Compiled programs are kept in the user's cache folder.

  Args:
    path: work directory of a run, whose best checkpoint is taken, or a model
      file of `signllm_jax.export_model`, or its folder (`--hub`). No code of
      theirs is run.
    language: code of the sign language, such as ASL, that is taken where a call
      names none; only a model of several needs it.
    dtype: of matrix products, float32 or bfloat16; as trained if empty.

  Raises:
    UsageError: nothing of the kind, nothing was saved in it yet, the model does
      not sign, or does not know the language.
    DataError: the model file is damaged.
    StorageError: every checkpoint is damaged.
  """
  compilation_cache.enable()
  loaded = signer.Signer(path, language, dtype)
  loaded.producer(loaded.language or loaded.languages[0])
  return loaded

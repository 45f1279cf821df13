"""A trained model, ready to sign or to read.

It lies in the work directory of a run, as its best checkpoint, or in a model
file that `export_model` made of one: every door takes either.
"""

import dataclasses
import os
import pathlib
from collections.abc import Iterable
from typing import Any, NamedTuple

import jax

from signllm_jax import config as config_lib
from signllm_jax.core import errors, languages
from signllm_jax.data import corpus_info
from signllm_jax.inference import (
  gloss_first,
  glosser,
  model_file,
  pose_reader,
  producer,
)
from signllm_jax.parallel import sharding
from signllm_jax.runs import (
  checkpoint_manifest,
  checkpointer,
  train_state,
  workdir,
)


def sizes(infos: dict[str, corpus_info.CorpusInfo]) -> train_state.Sizes:
  """Of the language with most."""
  each = infos.values()
  return train_state.Sizes(
    max(len(one.vocabulary) for one in each),
    max(
      len(one.gloss_vocabulary) if one.gloss_vocabulary else 0 for one in each
    ),
    max(one.num_clips for one in each),
  )


Model = producer.Producer | pose_reader.Reader | glosser.Glosser


def generator(
  config: config_lib.Experiment,
  infos: dict[str, corpus_info.CorpusInfo],
  state: train_state.TrainState,
  code: str,
  mesh: jax.sharding.Mesh,
) -> Model:
  """What signs, reads or glosses a language with the parameters of a state.

  Args:
    config: of the run.
    infos: of the corpora of all its languages, in their order.
    state: of the run.
    code: of the language.
    mesh: where to compute.
  """
  group, index = state.group, list(infos).index(code)
  statistics = group.statistics
  if config.method == "mlsf":
    group = train_state.take_group(state, index)
    statistics = group.statistics
  elif config.method == "text2langgloss":
    statistics = jax.tree.map(lambda x: x[index], statistics)
  graph = train_state.graph(config, sizes(infos))
  model = graph, group.params, statistics, infos[code]
  if config.method == "pose_to_text":
    return pose_reader.Reader(*model, config, mesh)
  if config.method == "text_to_gloss":
    return _glosser(config, infos, state, code, mesh)
  shape = {
    "limit": int(infos[code].longest_clip * config.evaluate.length_limit),
    "batch_size": config.evaluate.batch_size,
    "mesh": mesh,
  }
  if config.method == "text2langgloss":
    first = _glosser(config, infos, state, code, mesh)
    return gloss_first.Producer(*model, glosser=first, **shape)
  return producer.Producer(*model, **shape)


def _glosser(
  config: config_lib.Experiment,
  infos: dict[str, corpus_info.CorpusInfo],
  state: train_state.TrainState,
  code: str,
  mesh: jax.sharding.Mesh,
) -> glosser.Glosser:
  """What writes glosses: the model, or the first half of Text2LangGloss."""
  params: Any = state.params
  if config.method == "text2langgloss":
    params = params["text"]
  alone = dataclasses.replace(config, method="text_to_gloss")
  graph = train_state.graph(alone, sizes(infos))
  return glosser.Glosser(graph, params, infos[code], code, config, mesh)


class Chosen(NamedTuple):
  """One language of a trained model."""

  code: str
  settings: config_lib.Data  # of its corpus alone
  info: corpus_info.CorpusInfo


def describe(path: str | os.PathLike) -> model_file.Described:
  """Configuration and corpus info of a work directory or a model file.

  Raises:
    UsageError: neither.
    DataError: it is damaged.
  """
  if model_file.is_one(path):
    return model_file.read_description(path)
  return model_file.Described(
    workdir.read_config(path), workdir.read_corpus_infos(path)
  )


def choose(
  path: str | os.PathLike, language: str = "", texts: Iterable[str] = ()
) -> Chosen:
  """A language of a model.

  Args:
    path: work directory or model file.
    language: code of the sign language, in any case; may be empty where there
      is only one, or where the texts name one.
    texts: what is asked for, such as "How do you sign 'sea' in German Sign
      Language?".

  Raises:
    UsageError: neither, or the model does not know the language.
    DataError: it is damaged.
  """
  config, infos = describe(path)
  asked = language.upper().replace("_", "-")
  settings = {each.language: each for each in config_lib.corpora(config)}
  if not asked and len(infos) == 1:
    (asked,) = infos
  if not asked:
    named = {code for text in texts for code in languages.mentioned_in(text)}
    if len(named) == 1:
      (asked,) = named
      language = asked
  if asked not in infos:
    names = {code: languages.LANGUAGES.get(code) for code in infos}
    known = " or ".join(
      f"{code} ({known.name})" if known else code or "none by name"
      for code, known in names.items()
    )
    raise errors.UsageError(
      f"--language={language}: this model signs {known}"
      if language
      else f"which sign language? This model signs {known}",
      hint="Name one of them, or a --workdir that was trained on the other"
      if language
      else "Name it with --language",
    )
  return Chosen(asked, settings[asked], infos[asked])


class Restored(NamedTuple):
  """A run as its best checkpoint or a model file holds it, on one device."""

  config: config_lib.Experiment
  infos: dict[str, corpus_info.CorpusInfo]
  mesh: jax.sharding.Mesh
  state: train_state.TrainState


def restore(path: str | os.PathLike) -> Restored:
  """The best checkpoint of a work directory, or a model file.

  Raises:
    UsageError: neither, or nothing was saved yet.
    DataError: the file is damaged.
    StorageError: every checkpoint is damaged.
  """
  config, infos = describe(path)
  config.mesh = config_lib.Mesh()
  codes = list(infos) if config.method == "mlsf" else []
  mesh = sharding.make_mesh(config.mesh, jax.devices()[:1])
  abstract = train_state.abstract_state(config, sizes(infos), mesh, codes)
  if model_file.is_one(path):
    state = model_file.read(path, abstract)
    return Restored(config, infos, mesh, state)
  with checkpointer.Checkpoints(_checkpoints(path), keep=None) as saved:
    restored = saved.restore(abstract, best=True)
  if restored is None:
    raise _nothing_saved(path)
  return Restored(config, infos, mesh, restored[1])


def identify(path: str | os.PathLike) -> dict[str, Any]:
  """Step and digest of what `restore` takes.

  Where the best one is damaged it would take another; a report of that must
  not be mistaken for one of the best.

  Raises:
    UsageError: nothing was saved yet.
    StorageError: the best checkpoint is damaged.
  """
  if model_file.is_one(path):
    return model_file.identify(path)
  folder = _checkpoints(path)
  with checkpointer.Checkpoints(folder, keep=None) as saved:
    step = saved.best()
    if step is None:
      step = max(saved.steps(), default=None)
  if step is None:
    raise _nothing_saved(path)
  try:
    kept = checkpoint_manifest.read(folder / str(step))
    checkpoint_manifest.verify(folder / str(step), kept["leaves"])
  except checkpoint_manifest.Damaged as error:
    raise errors.StorageError(
      f"damaged: {error}",
      path=folder / str(step),
      hint="Start the training again: it sets the checkpoint aside",
    ) from error
  return {"step": step, "digest": kept["digest"]}


def _checkpoints(path: str | os.PathLike) -> pathlib.Path:
  return pathlib.Path(path, "checkpoints")


def _nothing_saved(path: str | os.PathLike) -> errors.UsageError:
  return errors.UsageError(
    "no checkpoint", path=path, hint="Train first, or wait for the first save"
  )


def load_producer(
  path: str | os.PathLike, language: str = "", dtype: str = ""
) -> producer.Producer:
  """A model, ready to sign.

  Args:
    path: work directory or model file.
    language: as of `choose`.
    dtype: of matrix products, float32 or bfloat16; as it was trained if empty.

  Raises:
    UsageError: as `choose`, or the model reads, or nothing was saved yet.
    StorageError: every checkpoint is damaged.
  """
  loaded = _load(path, language, dtype)
  if isinstance(loaded, pose_reader.Reader):
    raise errors.UsageError(
      "a model that reads poses (method pose_to_text)",
      path=path,
      expected="one that signs",
      hint="Name it with --back_translation of signllm_jax.evaluate",
    )
  if isinstance(loaded, glosser.Glosser):
    raise errors.UsageError(
      "a model that writes glosses (method text_to_gloss)",
      path=path,
      expected="one that signs",
      hint="Let signllm_jax.produce write them: --out=NAME.gloss",
    )
  return loaded


def load_glosser(
  path: str | os.PathLike, language: str = ""
) -> glosser.Glosser:
  """What writes the glosses of a work directory's model.

  Args:
    path: work directory or model file.
    language: as of `choose`.

  Raises:
    UsageError: as `choose`, or the model writes none, or nothing was saved yet.
    StorageError: every checkpoint is damaged.
  """
  code = choose(path, language).code
  config, infos, mesh, state = restore(path)
  if config.method not in ("text_to_gloss", "text2langgloss"):
    raise errors.UsageError(
      "a model that writes no glosses",
      path=path,
      expected="method text_to_gloss or text2langgloss",
    )
  return _glosser(config, infos, state, code, mesh)


def load_reader(path: str | os.PathLike) -> pose_reader.Reader:
  """The model of pose to text of a work directory: its best checkpoint.

  Raises:
    UsageError: not a work directory, another method, or nothing was saved.
    StorageError: every checkpoint is damaged.
  """
  loaded = _load(path)
  if not isinstance(loaded, pose_reader.Reader):
    raise errors.UsageError(
      "not a model that reads poses",
      path=path,
      expected="one that reads poses (method pose_to_text)",
      hint="Train one with --config=configs/back_translation.py",
    )
  return loaded


def _load(
  path: str | os.PathLike, language: str = "", dtype: str = ""
) -> Model:
  code = choose(path, language).code
  config, infos, mesh, state = restore(path)
  config.model.compute_dtype = dtype or config.model.compute_dtype
  return generator(config, infos, state, code, mesh)

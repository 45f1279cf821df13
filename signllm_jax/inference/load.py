"""Loads trained models: producers, readers and glossers."""

import dataclasses
import os
from collections.abc import Iterable
from typing import Any, NamedTuple

import jax

from signllm_jax import config as config_lib
from signllm_jax.core import errors, languages, skeleton
from signllm_jax.data import corpus_info
from signllm_jax.data import sizes as sizes_lib
from signllm_jax.inference import (
  flow_solver,
  gloss_first,
  gloss_flags,
  glosser,
  pose_reader,
  producer,
)
from signllm_jax.runs import restore, train_state

Model = producer.Producer | pose_reader.Reader | glosser.Glosser


def generator(
  config: config_lib.Experiment,
  infos: dict[str, corpus_info.CorpusInfo],
  state: train_state.TrainState,
  code: str,
  mesh: jax.sharding.Mesh,
) -> Model:
  """Builds the model of a language from the weights of a state.

  The weights are their moving average where the run keeps it (`optim.ema`).

  Args:
    config: of the run.
    infos: of the corpora of all its languages, in their order.
    state: of the run.
    code: of the language.
    mesh: where to compute.
  """
  group, index = state.group, list(infos).index(code)
  statistics = group.statistics
  if config.task == "mlsf":
    group = train_state.take_group(state, index)
    statistics = group.statistics
  elif config.task == "text2langgloss":
    statistics = jax.tree.map(lambda x: x[index], statistics)
  graph = train_state.graph(config, sizes_lib.sizes_of(config, infos))
  model = graph, group.weights, statistics, infos[code]
  if config.task == "pose_to_text":
    return pose_reader.Reader(*model, config, mesh)
  if config.task == "text_to_gloss":
    return _glosser(config, infos, state, code, mesh)
  shape = {
    "skeleton": skeleton.get(config.data.skeleton),
    "limit": max(
      int(infos[code].longest_clip * config.evaluate.length_limit), 1
    ),
    "batch_size": config.evaluate.batch_size,
    "mesh": mesh,
    "solver": flow_solver.Solver.of(config.flow)
    if config.model.decoder == "flow"
    else None,
  }
  if config.task == "text2langgloss":
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
  weights = [_gloss_weights(config, infos, state)]
  return glosser.Glosser(weights, infos[code], code, config, mesh)


def _gloss_weights(
  config: config_lib.Experiment,
  infos: dict[str, corpus_info.CorpusInfo],
  state: train_state.TrainState,
) -> glosser.Weights:
  """What writes glosses: the whole model, or half of Text2LangGloss."""
  params: Any = state.group.weights
  if config.task == "text2langgloss":
    params = params["text"]
  alone = dataclasses.replace(config, task="text_to_gloss")
  graph = train_state.graph(alone, sizes_lib.sizes_of(alone, infos))
  return glosser.Weights(graph, params)


class Chosen(NamedTuple):
  """One language of a trained model."""

  code: str
  settings: config_lib.Data  # of its corpus alone
  info: corpus_info.CorpusInfo


def choose(
  described: restore.Description,
  language: str = "",
  texts: Iterable[str] = (),
) -> Chosen:
  """A language of a model.

  Args:
    described: configuration and corpus info of the model.
    language: code of the sign language, in any case; may be empty where there
      is only one, or where the texts name one.
    texts: what to sign, such as "How do you sign 'sea' in German Sign
      Language?".

  Raises:
    UsageError: none is named, or the model does not know it.
  """
  config, infos = described
  code = language.upper().replace("_", "-")
  settings = {data.language: data for data in config_lib.corpora(config)}
  if not code and len(infos) == 1:
    (code,) = infos
  if not code:
    named = {code for text in texts for code in languages.mentioned_in(text)}
    if len(named) == 1:
      (code,) = named
      language = code
  if code not in infos:
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
  return Chosen(code, settings[code], infos[code])


def load_producer(
  path: str | os.PathLike, language: str = ""
) -> producer.Producer:
  """Loads a model that signs.

  Args:
    path: work directory or model file.
    language: as of `choose`.

  Raises:
    UsageError: as `choose`, or the model reads, or nothing was saved yet.
    StorageError: every checkpoint is damaged.
  """
  code = choose(restore.describe(path), language).code
  return build_producer(restore.restore(path), path, code)


def build_producer(
  restored: restore.Restored,
  path: str | os.PathLike,
  code: str,
  dtype: str = "",
) -> producer.Producer:
  """Builds a restored model in one of its languages.

  Args:
    restored: of `restore.restore`.
    path: where it was restored from, for messages.
    code: of the language.
    dtype: of matrix products, float32 or bfloat16; as it was trained if empty.

  Raises:
    UsageError: the model does not sign.
  """
  model = _build(restored, code, dtype)
  if isinstance(model, pose_reader.Reader):
    raise errors.UsageError(
      "a model that reads poses (task pose_to_text)",
      path=path,
      expected="one that signs",
      hint="Name it with --back_translation of signllm_jax.evaluate",
    )
  if isinstance(model, glosser.Glosser):
    raise errors.UsageError(
      "a model that writes glosses (task text_to_gloss)",
      path=path,
      expected="one that signs",
      hint="Let signllm_jax.produce write them: --out=NAME.gloss",
    )
  return model


def load_glosser(
  path: str | os.PathLike,
  language: str = "",
  options: gloss_flags.GlossOptions = gloss_flags.AS_TRAINED,
) -> glosser.Glosser:
  """Loads the glosser of a trained model, or of several that write together.

  Args:
    path: work directory or model file.
    language: as of `choose`.
    options: further models, and how to search.

  Raises:
    UsageError: as `choose`, or a model writes none, or nothing was saved yet,
      or the models have different vocabularies.
    StorageError: every checkpoint is damaged.
  """
  options.check()
  code = choose(restore.describe(path), language).code
  config, infos, mesh, state = restored = _restore_glosser(path)
  config = dataclasses.replace(config, gloss=options.apply(config.gloss))
  weights = [_gloss_weights(config, infos, state)]
  for further in options.ensemble:
    other = _restore_glosser(further)
    if _tokens(other, code) != _tokens(restored, code):
      raise errors.UsageError(
        "a model with other vocabularies",
        path=further,
        expected=f"those of {os.fspath(path)}: the same data and tokens",
      )
    weights.append(_gloss_weights(other.config, other.infos, other.state))
  return glosser.Glosser(weights, infos[code], code, config, mesh)


def _restore_glosser(path: str | os.PathLike) -> restore.Restored:
  restored = restore.restore(path)
  if restored.config.task not in ("text_to_gloss", "text2langgloss"):
    raise errors.UsageError(
      "a model that writes no glosses",
      path=path,
      expected="task text_to_gloss or text2langgloss",
    )
  return restored


def _tokens(
  restored: restore.Restored, code: str
) -> list[tuple[str, tuple[str, ...]]]:
  """Unit and entries of both vocabularies; none without the language."""
  info = restored.infos.get(code)
  known = (info.vocabulary, info.gloss_vocabulary) if info else ()
  return [(each.unit, each.entries) for each in known if each]


def load_reader(path: str | os.PathLike) -> pose_reader.Reader:
  """The model of pose to text of a work directory: its best checkpoint.

  Raises:
    UsageError: not a work directory, another task, or nothing was saved.
    StorageError: every checkpoint is damaged.
  """
  code = choose(restore.describe(path)).code
  loaded = _build(restore.restore(path), code)
  if not isinstance(loaded, pose_reader.Reader):
    raise errors.UsageError(
      "not a model that reads poses",
      path=path,
      expected="one that reads poses (task pose_to_text)",
      hint="Train one with --config=configs/back_translation.py",
    )
  return loaded


def _build(restored: restore.Restored, code: str, dtype: str = "") -> Model:
  config, infos, mesh, state = restored
  model = dataclasses.replace(
    config.model, compute_dtype=dtype or config.model.compute_dtype
  )
  config = dataclasses.replace(config, model=model)
  return generator(config, infos, state, code, mesh)

"""Compares a run with the one that its work directory belongs to."""

import json

from signllm_jax import config as config_lib
from signllm_jax.core import errors, paths
from signllm_jax.data import corpus_info
from signllm_jax.runs import stored_config

# Fields that may differ when a run is resumed: they change how long, where and
# how often, but not what a step computes. Everything else needs another work
# directory. `steps` may differ although schedules end there, because training
# longer is common; so may the folder of the data, whose content is compared.
MAY_CHANGE = (
  "name",
  "steps",
  "patience",
  "log_every",
  "histograms_every",
  "writers",
  "non_finite",
  "non_finite_limit",
  "compilation_cache",
  "data.folder",
  "data.threads",
  "data.workers",
  "mesh.",
  "flow.steps",
  "flow.solver",
  "flow.guidance",
  "flow.temperature",
  "read.beam",
  "read.length_penalty",
  "gloss.beam",
  "gloss.length_penalty",
  "gloss.samples",
  "evaluate.",
  "checkpoint.",
)


def compare_config(
  stored: config_lib.Experiment,
  config: config_lib.Experiment,
  path: paths.AnyPath,
) -> bool:
  """Compares a configuration with the stored one.

  Args:
    stored: of the work directory.
    config: of the run that resumes.
    path: the work directory, for messages.

  Returns:
    Whether fields differ that may.

  Raises:
    UsageError: a field differs that may not.
  """
  changed = stored_config.differences(stored, config)
  refused = [line for line in changed if not _may_change(line.split(":")[0])]
  if refused:
    raise errors.UsageError(
      "this work directory belongs to another configuration: "
      + "; ".join(refused),
      path=path,
      hint="Use another --workdir for a new run, or the old values to go on",
    )
  return bool(changed)


def _may_change(field: str) -> bool:
  return any(
    field.startswith(name) if name.endswith(".") else field == name
    for name in MAY_CHANGE
  )


def compare_corpora(
  stored: dict[str, corpus_info.CorpusInfo],
  infos: dict[str, corpus_info.CorpusInfo],
  path: paths.AnyPath,
) -> None:
  """Compares corpus info with the stored one.

  Args:
    stored: of the work directory, by language.
    infos: of the data of the run that resumes.
    path: the file of the stored one, for messages.

  Raises:
    UsageError: the run was trained on other data.
  """
  old, new = (
    json.loads(corpus_info.to_json(each))["languages"]
    for each in (stored, infos)
  )
  changed = [f"language {code!r}" for code in sorted(set(old) ^ set(new))]
  for code in set(old) & set(new):
    changed += [
      f"{code} {name}: {len(before)} entries -> {len(after)}, not the same"
      if isinstance(before, list)
      else f"{code} {name}: {before!r} -> {after!r}"
      for name, before in old[code].items()
      for after in [new[code][name]]
      if before != after
    ]
  if changed:
    raise errors.UsageError(
      "the data are not those this run was trained on: " + "; ".join(changed),
      path=path,
      hint="Bring the data back, or use another --workdir",
    )

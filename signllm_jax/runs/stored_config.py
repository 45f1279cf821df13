"""The configuration as JSON: stored with a run, read back, compared."""

import dataclasses
import json
from typing import Any

from signllm_jax.config import Experiment, flatten
from signllm_jax.core import errors

# Names in files of version 0.1 -> names of today.
_RENAMED = {
  "method": "task",
  "data.clean": "data.clean_glosses",
  "rl.anchor": "rl.regression_weight",
}
# Fields in files of version 0.1 that are constants today, with their values.
_REMOVED: dict[str, Any] = {
  "data.prefetch": 8,
  "optim.final_share": 0.01,
  "optim.plateau_patience": 7,
  "optim.plateau_factor": 0.7,
  "optim.plateau_min": 2e-4,
  "optim.beta1": 0.9,
  "evaluate.max_sequences": 0,
}


def to_json(config: Experiment) -> str:
  """Readable JSON of all fields."""
  return json.dumps(dataclasses.asdict(config), indent=2) + "\n"


def from_json(text: str) -> Experiment:
  """Reads `to_json`, of this version or of version 0.1.

  Raises:
    DataError: not such JSON; an unknown field; a field that was removed, with
      another value than the constant in its place.
  """
  try:
    values = json.loads(text)
  except json.JSONDecodeError as error:
    raise errors.DataError(f"not JSON: {error}") from error
  if not isinstance(values, dict):
    raise errors.DataError("not a configuration", expected="a JSON object")
  _upgrade(values)
  return _build(Experiment, values)


def differences(old: Experiment, new: Experiment) -> list[str]:
  """Fields that differ, as `name: old -> new`."""
  a, b = flatten(old), flatten(new)
  return [
    f"{name}: {a[name]!r} -> {b[name]!r}" for name in a if a[name] != b[name]
  ]


def _upgrade(values: dict[str, Any]) -> None:
  """Brings the fields of version 0.1 up to date, in place.

  Raises:
    DataError: a field that was removed has another value.
  """
  for name, constant in _REMOVED.items():
    section, field = _find(values, name)
    if field in section and section.pop(field) != constant:
      raise errors.DataError(
        f"the field {name} is no longer there",
        expected=f"{constant!r}, which is a constant today",
        hint="Go on with version 0.1 of signllm_jax, or train anew",
      )
  for name, new_name in _RENAMED.items():
    section, field = _find(values, name)
    if field in section:
      section[_find(values, new_name)[1]] = section.pop(field)


def _find(values: dict[str, Any], name: str) -> tuple[dict[str, Any], str]:
  """The section that may hold a field, and the field's name in it."""
  *sections, field = name.split(".")
  for section in sections:
    inner = values.get(section)
    values = inner if isinstance(inner, dict) else {}
  return values, field


def _build(kind: Any, values: dict[str, Any]) -> Any:
  """An instance of a dataclass of the configuration."""
  types = {field.name: field.type for field in dataclasses.fields(kind)}
  if unknown := set(values) - set(types):
    raise errors.DataError(
      "unknown configuration fields " + ", ".join(sorted(unknown)),
      hint="It was written by another version of signllm_jax",
    )
  return kind(
    **{
      name: _build(types[name], value) if isinstance(value, dict) else value
      for name, value in values.items()
    }
  )

"""The configuration as JSON: stored with a run, read back, compared."""

import dataclasses
import json
from typing import Any

from signllm_jax.config import Experiment, flatten
from signllm_jax.core import errors, foreign_files

# Names in files of version 0.1 -> names of today.
_RENAMED = {
  "method": "task",
  "data.clean": "data.clean_glosses",
  "rl.anchor": "rl.regression_weight",
}
# Optimiser settings in files of version 0.1 that are constants today. A run
# with another value signs as before, but cannot be resumed exactly.
_CONSTANTS: dict[str, Any] = {
  "optim.final_share": 0.01,
  "optim.plateau_patience": 7,
  "optim.plateau_factor": 0.7,
  "optim.plateau_min": 2e-4,
  "optim.beta1": 0.9,
}
# Settings that files of earlier versions lack -> what those versions did.
_ABSENT: dict[str, Any] = {"model.visibility": False}
# Settings of version 0.1 that changed neither a step nor what is produced.
_REMOVED = ("data.prefetch", "evaluate.max_sequences")


def to_json(config: Experiment) -> str:
  """Readable JSON of all fields."""
  return json.dumps(dataclasses.asdict(config), indent=2) + "\n"


def from_json(text: str) -> Experiment:
  """Reads `to_json`, of this version or of version 0.1.

  Raises:
    DataError: not such JSON, or an unknown field.
  """
  return from_values(_parse(text))


def from_values(values: Any) -> Experiment:
  """The configuration that the JSON object of `to_json` describes.

  Raises:
    DataError: as `from_json`; a field is of another type than its default.
  """
  if not isinstance(values, dict):
    raise errors.DataError("not a configuration", expected="a JSON object")
  for name in (*_CONSTANTS, *_REMOVED):
    section, field = _find(values, name)
    section.pop(field, None)
  for name, new_name in _RENAMED.items():
    section, field = _find(values, name)
    if field in section:
      section[_find(values, new_name)[1]] = section.pop(field)
  for name, value in _ABSENT.items():
    section, field = _find(values, name)
    section.setdefault(field, value)
  return _build(Experiment, values)


def check_resumable(text: str) -> None:
  """Refuses a configuration that this version trains otherwise.

  Raises:
    DataError: not JSON of a configuration, a setting of version 0.1 whose
      value differs from the constant in its place, or the policy gradient of
      a version before `rl.balance`; names it.
  """
  values = _parse(text)
  rl, _ = _find(values, "rl.balance")
  if rl.get("loss") == "policy_gradient" and "balance" not in rl:
    raise errors.DataError(
      "the run was trained with rl.loss='policy_gradient' without rl.balance",
      expected="a run that this version began: its policy gradient is another",
      hint="It can be signed with and evaluated, but only the version that "
      "trained it resumes its training",
    )
  for name, constant in _CONSTANTS.items():
    section, field = _find(values, name)
    if section.get(field, constant) != constant:
      raise errors.DataError(
        f"the run was trained with {name}={section[field]!r}",
        expected=f"{constant!r}, a constant of this version",
        hint="It can be signed with and evaluated, but only version 0.1 of "
        "signllm_jax resumes its training",
      )


def _parse(text: str) -> dict[str, Any]:
  """The JSON object of a configuration."""
  values = foreign_files.parse_json(text)
  if not isinstance(values, dict):
    raise errors.DataError("not a configuration", expected="a JSON object")
  return values


def differences(old: Experiment, new: Experiment) -> list[str]:
  """Fields that differ, as `name: old -> new`."""
  a, b = flatten(old), flatten(new)
  return [
    f"{name}: {a[name]!r} -> {b[name]!r}" for name in a if a[name] != b[name]
  ]


def _find(values: dict[str, Any], name: str) -> tuple[dict[str, Any], str]:
  """The section that may hold a field, and the field's name in it."""
  *sections, field = name.split(".")
  for section in sections:
    inner = values.get(section)
    values = inner if isinstance(inner, dict) else {}
  return values, field


def _build(kind: Any, values: dict[str, Any]) -> Any:
  """An instance of a dataclass of the configuration."""
  default = kind()
  known = {field.name for field in dataclasses.fields(kind)}
  if unknown := set(values) - known:
    raise errors.DataError(
      "unknown configuration fields " + ", ".join(sorted(unknown)),
      hint="It was written by another version of signllm_jax",
    )
  return kind(
    **{
      name: _field(getattr(default, name), name, value)
      for name, value in values.items()
    }
  )


def _field(default: Any, name: str, value: Any) -> Any:
  """A value of a field, of the type of its default: JSON allows any."""
  if dataclasses.is_dataclass(default) and isinstance(value, dict):
    return _build(type(default), value)
  kinds = (int, float) if type(default) is float else ()
  if type(value) not in (type(default), *kinds):
    raise errors.DataError(
      f"{name} is {repr(value)[:60]}",
      expected=f"a value of type {type(default).__name__}",
    )
  return value

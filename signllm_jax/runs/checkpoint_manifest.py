"""Manifests of checkpoints: leaves, files and their SHA-256.

Orbax does not detect flipped bits, so every committed step has a
`manifest.json` with size and SHA-256 of all its files, and of itself.
"""

import contextlib
import datetime
import hashlib
import json
import math
import os
import pathlib
from collections.abc import Iterator
from typing import Annotated, Any

import msgspec

from signllm_jax.core import errors, paths
from signllm_jax.runs import fault_injection

VERSION = 2  # of the format; newer ones are refused, older ones are read
NAME = "manifest.json"


class Damaged(Exception):
  """A step is damaged; names the file, what was found and expected."""


class _Fields(msgspec.Struct):
  """The fields of a manifest and their types."""

  version: int
  step: int
  leaves: dict[str, str]
  files: dict[str, str]
  digest: str
  score: float | None = None
  # Of the files below the step's; only in buckets, since version 2.
  folder: Annotated[str, msgspec.Meta(pattern="^(save-[0-9a-f]{12})?$")] = ""


def _render(manifest: dict[str, Any]) -> str:
  """Formats a manifest as JSON, with the SHA-256 of its other fields."""
  body = {name: manifest[name] for name in sorted(manifest) if name != "seal"}
  seal = hashlib.sha256(json.dumps(body).encode()).hexdigest()
  return json.dumps({"seal": seal, **body}, indent=1) + "\n"


def read(step: pathlib.Path) -> dict[str, Any]:
  """Reads the manifest of a committed step.

  Raises:
    Damaged: it is absent, not as it was written, or of another step than the
      name of the folder says.
    DataError: it is of a newer version.
    PermissionError: it may not be read.
  """
  path = step / NAME
  if path.exists() and not path.is_file():  # a pipe would block
    raise Damaged(f"{NAME}: expected a regular file")
  try:
    data = path.read_bytes()
  except PermissionError:
    raise
  except OSError as error:
    raise Damaged(f"{NAME}: {error}; expected a manifest") from error
  return parse(data, step)


def parse(data: bytes, step: paths.AnyPath) -> dict[str, Any]:
  """Parses the manifest that lies in the folder of a step.

  Raises:
    Damaged, DataError: as `read`.
  """
  try:
    text = data.decode()
    manifest = json.loads(text)
    version = manifest["version"]
    whole = text == _render(manifest)
  except (ValueError, RecursionError, KeyError, TypeError) as error:
    raise Damaged(f"{NAME}: {error}; expected a manifest") from error
  # Checked before the seal, which a newer version may compute differently.
  if isinstance(version, int) and version > VERSION:
    raise errors.DataError(
      f"checkpoint of format version {version}",
      path=step,
      expected=f"at most {VERSION}",
      hint="It was written by a newer signllm_jax: upgrade to read it",
    )
  if not whole:
    raise Damaged(f"{NAME}: not as it was written")
  _check_fields(step, manifest)
  return manifest


def _check_fields(step: paths.AnyPath, manifest: dict[str, Any]) -> None:
  """Checks the types of the fields, and that the step is the folder's.

  A copy that was put back under another number is whole in itself.
  """
  try:
    fields = msgspec.convert(manifest, _Fields)
  except msgspec.ValidationError as error:
    raise Damaged(f"{NAME}: {error}") from error
  if fields.score is not None and not math.isfinite(fields.score):
    raise Damaged(f"{NAME}: score {fields.score}; expected a finite number")
  if str(fields.step) != step.name:
    raise Damaged(
      f"{NAME}: found step {fields.step}, expected {step.name} as its folder"
    )


def sync_folder(folder: str | os.PathLike) -> None:
  """Flushes the entries of a folder to disk."""
  descriptor = os.open(folder, os.O_RDONLY)
  try:
    os.fsync(descriptor)
  finally:
    os.close(descriptor)


def measure(step: pathlib.Path, *, sync: bool = False) -> dict[str, str]:
  """Maps files of a step to "<bytes> bytes, SHA-256 <hex>".

  Args:
    step: folder of the step; its manifest is left out.
    sync: also flush the files to disk.

  Raises:
    Damaged: an entry is not a regular file; links are not followed.
  """
  files = {}
  for folder, folders, names in os.walk(step):
    links = [name for name in folders if os.path.islink(f"{folder}/{name}")]
    for path in (pathlib.Path(folder, name) for name in names + links):
      name = path.relative_to(step).as_posix()
      if path.is_symlink() or not path.is_file():
        raise Damaged(f"{name}: expected a regular file")
      if name == NAME:
        continue
      with path.open("rb") as file:
        sha = hashlib.file_digest(file, "sha256").hexdigest()
        files[name] = f"{file.tell()} bytes, SHA-256 {sha}"
        if sync:
          os.fsync(file.fileno())
    if sync:
      sync_folder(folder)
  return files


def _differences(found: dict[str, str], expected: dict[str, str]) -> str:
  """Lists the first five names whose values differ; empty if none do."""
  wrong = [
    f"{name}: found {found.get(name, 'none')}, "
    f"expected {expected.get(name, 'none')}"
    for name in sorted(found | expected)
    if found.get(name) != expected.get(name)
  ]
  more = [f"{len(wrong) - 5} more"] if len(wrong) > 5 else []
  return "; ".join(wrong[:5] + more)


def write(step: pathlib.Path, fields: dict[str, Any]) -> None:
  """Adds the manifest to a step whose files are complete; flushes all to disk.

  Args:
    step: folder of the step.
    fields: besides the files: step, score, digest, leaves.

  Raises:
    OSError: the files cannot be read or the manifest cannot be written.
  """
  files = measure(step, sync=True)
  # The first version knows no folders; what has none is readable by it.
  version = VERSION if "folder" in fields else 1
  text = _render({"version": version, **fields, "files": files})
  part = step / f"{NAME}.part"
  with part.open("w", encoding="utf-8") as file:
    file.write(text[: len(text) // 2])
    file.flush()
    fault_injection.point("manifest_half_written")
    file.write(text[len(text) // 2 :])
    file.flush()
    os.fsync(file.fileno())
  os.replace(part, step / NAME)
  sync_folder(step)
  fault_injection.point("manifest_written")


def verify(step: pathlib.Path, leaves: dict[str, str]) -> None:
  """Checks that a step is of this configuration and as it was written.

  Args:
    step: folder of the step.
    leaves: paths, dtypes and shapes of the state to restore.

  Raises:
    Damaged: names the files.
    UsageError: names the leaves that differ.
    DataError: it is of a newer version.
  """
  manifest = read(step)
  check_leaves(manifest, leaves, step)
  check_files(measure(step), files_of(manifest))


def files_of(manifest: dict[str, Any]) -> dict[str, str]:
  """Files of a manifest, as `measure` finds them in the folder of its step."""
  folder = manifest.get("folder", "")
  return {
    f"{folder}/{name}".removeprefix("/"): value
    for name, value in manifest["files"].items()
  }


def check_leaves(
  manifest: dict[str, Any], leaves: dict[str, str], step: paths.AnyPath
) -> None:
  """Raises a UsageError that names the leaves that differ."""
  if wrong := _differences(manifest["leaves"], leaves):
    raise errors.UsageError(
      f"a state of another configuration: {wrong}",
      path=step,
      hint="Use the configuration it was trained with, or another --workdir",
    )


def check_files(found: dict[str, str], expected: dict[str, str]) -> None:
  """Raises Damaged, naming the files that differ; arguments as of `measure`."""
  if wrong := _differences(found, expected):
    raise Damaged(wrong)


def quarantine_name(folder: Any, step: int) -> Any:
  """A new path in the folder of the damaged steps."""
  now = datetime.datetime.now(datetime.UTC)
  return folder / f"{step}-{now:%Y%m%dT%H%M%S.%fZ}"


@contextlib.contextmanager
def quarantining(step: paths.AnyPath, target: paths.AnyPath) -> Iterator[None]:
  """Turns errors of moving a damaged step into a StorageError."""
  try:
    yield
  except OSError as error:
    raise errors.StorageError(
      f"damaged, and cannot be moved to {target.parent}: {error}", path=step
    ) from error

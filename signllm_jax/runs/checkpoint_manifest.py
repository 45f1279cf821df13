"""What a checkpoint holds: leaves, files and their SHA-256.

Orbax restores flipped bits without a word, so every committed step carries a
`manifest.json` with size and SHA-256 of all its files, and of itself.
"""

import datetime
import hashlib
import json
import os
import pathlib
from typing import Any

from signllm_jax.core import errors
from signllm_jax.runs import fault_injection

VERSION = 1  # of the format; newer ones are refused, older ones are read
NAME = "manifest.json"


class Damaged(Exception):
  """What is wrong with a step: file, found, expected."""


def _render(manifest: dict[str, Any]) -> str:
  """JSON with the SHA-256 of its other fields, so that it is checked too."""
  body = {name: manifest[name] for name in sorted(manifest) if name != "seal"}
  seal = hashlib.sha256(json.dumps(body).encode()).hexdigest()
  return json.dumps({"seal": seal, **body}, indent=1) + "\n"


def read(step: pathlib.Path) -> dict[str, Any]:
  """The manifest of a step.

  Raises:
    Damaged: it is absent or not as it was written.
    DataError: of a newer version.
    PermissionError: it may not be read.
  """
  try:
    text = (step / NAME).read_bytes().decode()
    manifest = json.loads(text)
    version = manifest["version"]
    whole = text == _render(manifest)
  except PermissionError:
    raise
  except (OSError, ValueError, RecursionError, KeyError, TypeError) as error:
    raise Damaged(f"{NAME}: {error}; expected a manifest") from error
  # Before the seal, which a newer version may compute in another way.
  if isinstance(version, int) and version > VERSION:
    raise errors.DataError(
      f"checkpoint of format version {version}",
      path=step,
      expected=f"at most {VERSION}",
      hint="It was written by a newer signllm_jax: upgrade to read it",
    )
  if not whole:
    raise Damaged(f"{NAME}: not as it was written")
  return manifest


def sync_folder(folder: str | os.PathLike) -> None:
  """Puts the names in a folder on disk."""
  descriptor = os.open(folder, os.O_RDONLY)
  try:
    os.fsync(descriptor)
  finally:
    os.close(descriptor)


def _measure(step: pathlib.Path, *, sync: bool) -> dict[str, str]:
  """Files under `step` but the manifest -> "<bytes> bytes, SHA-256 <hex>".

  Args:
    step: folder of the step.
    sync: also put them on disk.

  Raises:
    Damaged: something is not a regular file; no link is followed.
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
  """The first five names whose values differ; empty if none do."""
  wrong = [
    f"{name}: found {found.get(name, 'none')}, "
    f"expected {expected.get(name, 'none')}"
    for name in sorted(found | expected)
    if found.get(name) != expected.get(name)
  ]
  more = [f"{len(wrong) - 5} more"] if len(wrong) > 5 else []
  return "; ".join(wrong[:5] + more)


def write(step: pathlib.Path, fields: dict[str, Any]) -> None:
  """Adds the manifest to a step whose files are complete; all is on disk then.

  Args:
    step: folder of the step.
    fields: besides the files: step, score, digest, leaves.

  Raises:
    OSError: the disk is full, or worse.
  """
  files = _measure(step, sync=True)
  text = _render({"version": VERSION, **fields, "files": files})
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
    leaves: paths, dtypes and shapes of the state wanted.

  Raises:
    Damaged: names the files.
    UsageError: names the leaves that differ.
    DataError: of a newer version.
  """
  manifest = read(step)
  if wrong := _differences(manifest["leaves"], leaves):
    raise errors.UsageError(
      f"a state of another configuration: {wrong}",
      path=step,
      hint="Use the configuration it was trained with, or another --workdir",
    )
  if wrong := _differences(_measure(step, sync=False), manifest["files"]):
    raise Damaged(wrong)


def quarantine_of(folder: pathlib.Path) -> pathlib.Path:
  """Where damaged steps of a folder of checkpoints go."""
  return folder.parent / "quarantine"


def move_to_quarantine(step: pathlib.Path) -> pathlib.Path:
  """Moves a damaged step, for a person to look at; returns the new path.

  Raises:
    StorageError: it cannot be moved.
  """
  now = datetime.datetime.now(datetime.UTC)
  target = quarantine_of(step.parent) / f"{step.name}-{now:%Y%m%dT%H%M%S.%fZ}"
  try:
    target.parent.mkdir(exist_ok=True)
    os.rename(step, target)
  except OSError as error:
    raise errors.StorageError(
      f"damaged, and cannot be moved to {target.parent}: {error}", path=step
    ) from error
  return target

"""Checkpoints: written in the background, verified before they are restored.

A step is staged: Orbax writes the arrays, then `checkpoint_manifest` adds the
manifest. A rename to `<folder>/<step>` commits it (`step_folders`), in a bucket
the upload of the manifest (`step_objects`); only then are older steps deleted.
So a committed step is whole, or was damaged later and is moved to
`<folder>/../quarantine`.
"""

import concurrent.futures
import contextlib
import functools
import math
import os
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import jax

from signllm_jax.core import errors, paths
from signllm_jax.parallel import processes
from signllm_jax.runs import (
  checkpoint_manifest,
  fault_injection,
  host_copy,
)
from signllm_jax.runs import steps as steps_lib

SAVE_TIMEOUT_S = 900.0  # seconds that one save may take in the background

_NONE = -1  # instead of a step


class Checkpoints:
  """The checkpoints in one folder.

  Every process of a run opens them and calls the same methods; process 0
  writes. One run at a time may write (`workdir` holds the lock), others read.
  """

  def __init__(
    self,
    folder: str | os.PathLike,
    *,
    keep: int | None,
    may_commit: Callable[[], None] | None = None,
  ):
    """Opens or makes the folder and removes unfinished saves.

    Args:
      folder: of checkpoints alone.
      keep: number of latest steps that are kept, besides the step with the
        lowest score. None: only read and change nothing on disk, not even
        damaged steps.
      may_commit: raises where this process has lost a bucket to another.

    Raises:
      StorageError: the folder cannot be made or read.
    """
    self._folder = paths.absolute(folder)
    self._store = steps_lib.open_steps(self._folder, may_commit)
    self._keep = keep
    self._first = jax.process_index() == 0
    self._saving: tuple[int, float, concurrent.futures.Future] | None = None
    try:
      if keep is not None and self._first:
        self._store.prepare()
      self.steps()  # fails here if it cannot be read
    except OSError as error:
      raise errors.StorageError(str(error), path=self._folder) from error

  def __enter__(self) -> "Checkpoints":
    return self

  def __exit__(self, kind, error, trace) -> None:
    try:
      self.wait()
    except errors.StorageError as failure:
      if error is None:
        raise
      print(failure, file=sys.stderr)  # the first error is the one to raise
    finally:
      self._store.close()

  def wait(self) -> None:
    """Waits until the last save is on disk.

    Raises:
      StorageError: the save failed or takes longer than `SAVE_TIMEOUT_S`.
    """
    if self._saving is None:
      return
    (step, started, future), self._saving = self._saving, None
    path = self._store.path(step)
    try:
      left = started + SAVE_TIMEOUT_S - time.monotonic()
      error = future.exception(max(left, 0))
    except TimeoutError:
      problem = f"saving is not done after {SAVE_TIMEOUT_S:g} s"
      raise errors.StorageError(problem, path=path) from None
    if error is not None:
      raise self._failed(step, error) from error

  def _failed(self, step: int, error: BaseException) -> errors.StorageError:
    return errors.StorageError(
      f"saving failed: {error}",
      path=self._store.path(step),
      hint="Make room, then start again: it goes on from the step before",
    )

  def steps(self) -> list[int]:
    """Committed steps on disk, ascending."""
    return self._store.committed()

  @property
  def scores(self) -> dict[int, float]:
    """Scores by step, of the steps that were saved with one."""
    scores = {}
    for step in self.steps():
      try:
        score = self.manifest(step)["score"]
      except checkpoint_manifest.Damaged:
        continue  # `restore` reports it and sets it aside
      if score is not None:
        scores[step] = score
    return scores

  def best(self) -> int | None:
    """Returns the step with the lowest score, the earliest of equals."""
    scores = self.scores
    return next(iter(steps_lib.by_preference([*scores], scores)), None)

  def manifest(self, step: int) -> dict[str, Any]:
    """The manifest of a committed step; raises `Damaged` as its reader."""
    return self._store.manifest(step)

  def verify(self, step: int) -> dict[str, Any]:
    """Checks the files of a step; returns its manifest, or raises `Damaged`."""
    manifest = self.manifest(step)
    self._store.verify(step, manifest["leaves"])
    return manifest

  def save(
    self,
    step: int,
    state: Any,
    *,
    score: float | None = None,
    gradient_norms: dict[str, Any] | None = None,
  ) -> None:
    """Saves in the background; returns when the state may be donated.

    A step that is already there is left as it is, but one without a score is
    replaced by one with a score: it was saved by a stop inside its evaluation.

    Args:
      step: its number.
      state: pytree of jax.Array; typed keys are allowed, empty arrays are not.
      score: of the evaluation at this step, if there was one; lower is better.
      gradient_norms: the history of gradient norms up to this step, as JSON.

    Raises:
      StorageError: the previous save failed.
      NonFiniteError: the score is NaN or infinite.
    """
    assert self._keep is not None, "opened for reading"
    self.wait()
    if score is not None and not math.isfinite(score):
      raise errors.NonFiniteError(f"score {score} of step {step}")
    flat = host_copy.flatten(state)
    leaves, host = host_copy.describe(flat), host_copy.to_host(flat)
    try:
      if processes.decide_on_first(lambda: self._is_saved(step, score)):
        return
      fault_injection.point("save_started")
      finish_writing = self._store.start_writing(step, host)
    except Exception as error:  # Orbax and TensorStore raise many types
      raise self._failed(step, error) from error
    score = None if score is None else float(score)
    fields = {"step": step, "score": score, "leaves": leaves}
    fields["gradient_norms"] = gradient_norms
    future: concurrent.futures.Future[None] = concurrent.futures.Future()

    def work() -> None:
      try:
        finish_writing()
        fault_injection.point("arrays_committed")
        if self._first:
          fields["digest"] = host_copy.digest_of(leaves, host)
          self._commit(step, fields)
      except Exception as error:  # `wait` raises it in the trainer's thread
        # Files that cannot be removed now are removed at the next start.
        with contextlib.suppress(OSError):
          if self._first:
            self._store.remove_leftovers()
        future.set_exception(error)
      else:
        future.set_result(None)

    self._saving = step, time.monotonic(), future
    # A daemon, so that a stalled disk cannot keep the process from ending.
    threading.Thread(target=work, name="checkpoint", daemon=True).start()

  def _commit(self, step: int, fields: dict[str, Any]) -> None:
    fields |= self._store.fields(step)
    checkpoint_manifest.write(self._store.staged(step), fields)
    self._store.publish(step)
    assert self._keep is not None
    for old in sorted(set(self.steps()[: -self._keep]) - {self.best()}):
      self._store.delete(old)

  def _is_saved(self, step: int, score: float | None) -> bool:
    there = self._store.is_committed(step)
    return there and (score is None or step in self.scores)

  def restore(
    self, abstract: Any, *, best: bool = False
  ) -> tuple[int, Any] | None:
    """Restores the newest step that is whole, or the best one.

    Damaged steps are reported on stderr and set aside, and the previous (or
    next best) step is taken.

    Args:
      abstract: pytree of jax.ShapeDtypeStruct with the shardings to restore to;
        the number of devices may differ from that of the save.
      best: begin with the lowest score; steps without a score come last.

    Returns:
      Step and state; None if nothing was ever saved here.

    Raises:
      UsageError: the saved state has other leaves (another configuration).
      DataError: written by a newer version.
      StorageError: there were steps, but none is whole.
    """
    leaves = host_copy.describe(host_copy.flatten(abstract))
    damaged: set[int] = set()
    choose = functools.partial(self._choose, leaves, best, damaged)
    while (step := processes.decide_on_first(choose)) != _NONE:
      path = self._store.path(step)
      try:
        expected = self.manifest(step)["digest"]
        arrays = self._store.load(step, host_copy.to_load(abstract))
      except Exception as error:  # Orbax and TensorStore raise many types
        raise errors.StorageError(
          f"its files are whole, but reading them failed: {error}", path=path
        ) from error
      state = host_copy.assemble(abstract, arrays)
      actual = host_copy.digest(state)
      if actual == expected:
        return step, state
      damaged.add(step)
      if self._first:
        self._set_aside(step, f"digest: found {actual}, expected {expected}")
    return None

  def _choose(
    self, leaves: dict[str, str], best: bool, damaged: set[int]
  ) -> int:
    scores = self.scores if best else None
    for step in steps_lib.by_preference(self.steps(), scores):
      if step in damaged:
        continue
      try:
        self._store.verify(step, leaves)
        return step
      except PermissionError as error:
        path = self._store.path(step)
        raise errors.StorageError(str(error), path=path) from error
      except (checkpoint_manifest.Damaged, OSError) as reason:
        damaged.add(step)
        self._set_aside(step, str(reason))
    quarantine = self._store.quarantine
    if damaged or (quarantine.exists() and any(quarantine.iterdir())):
      raise errors.StorageError(
        "every checkpoint is damaged",
        path=self._folder,
        hint=f"See {quarantine}; bring back a copy of the checkpoints, or "
        "begin anew in another --workdir",
      )
    return _NONE

  def _set_aside(self, step: int, reason: str) -> None:
    message = f"DAMAGED CHECKPOINT {self._store.path(step)}: {reason}"
    if self._keep is not None:
      message += f". Moved to {self._store.move_to_quarantine(step)}"
    print(message, file=sys.stderr, flush=True)

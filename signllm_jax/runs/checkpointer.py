"""Checkpoints: written in the background, verified before they are restored.

A step is staged (`step_folders`): Orbax writes the arrays, then
`checkpoint_manifest` adds the manifest. A rename to `<folder>/<step>` commits
it; only then are older steps deleted. So a folder named by a plain number is
whole, or was damaged later and is moved to `<folder>/../quarantine`.
"""

import concurrent.futures
import contextlib
import functools
import math
import os
import pathlib
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from orbax.checkpoint import v1 as ocp

from signllm_jax.core import errors
from signllm_jax.parallel import processes
from signllm_jax.runs import (
  checkpoint_manifest,
  fault_injection,
  host_copy,
  literal_paths,
  step_folders,
)

SAVE_TIMEOUT_S = 900.0  # seconds that one save may take in the background

_NONE = -1  # instead of a step


class Checkpoints:
  """The checkpoints in one folder.

  Every process of a run opens them and calls the same methods; process 0
  writes. One run at a time may write (`workdir` holds the lock), others read.
  """

  def __init__(self, folder: str | os.PathLike, *, keep: int | None):
    """Opens or makes the folder and removes unfinished saves.

    Args:
      folder: of checkpoints alone.
      keep: number of latest steps that are kept, besides the step with the
        lowest score. None: only read and change nothing on disk, not even
        damaged steps.

    Raises:
      StorageError: the folder cannot be made or read.
    """
    self._folder = pathlib.Path(os.path.abspath(folder))
    self._keep = keep
    self._first = jax.process_index() == 0
    self._saving: tuple[int, float, concurrent.futures.Future] | None = None
    try:
      if keep is not None and self._first:
        self._folder.mkdir(parents=True, exist_ok=True)
        step_folders.remove_leftovers(self._folder)
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

  def wait(self) -> None:
    """Waits until the last save is on disk.

    Raises:
      StorageError: the save failed or takes longer than `SAVE_TIMEOUT_S`.
    """
    if self._saving is None:
      return
    (step, started, future), self._saving = self._saving, None
    path = self._folder / str(step)
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
      path=self._folder / str(step),
      hint="Make room, then start again: it goes on from the step before",
    )

  def steps(self) -> list[int]:
    """Committed steps on disk, ascending."""
    return step_folders.committed(self._folder)

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
    return min(scores, key=lambda step: (scores[step], step), default=None)

  def manifest(self, step: int) -> dict[str, Any]:
    """The manifest of a committed step; raises `Damaged` as its reader."""
    return checkpoint_manifest.read(self._folder / str(step))

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
      finish_writing = self._start_writing(step, host)
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
            step_folders.remove_leftovers(self._folder)
        future.set_exception(error)
      else:
        future.set_result(None)

    self._saving = step, time.monotonic(), future
    # A daemon, so that a stalled disk cannot keep the process from ending.
    threading.Thread(target=work, name="checkpoint", daemon=True).start()

  def _commit(self, step: int, fields: dict[str, Any]) -> None:
    staged = step_folders.staged(self._folder, step)
    checkpoint_manifest.write(staged, fields)
    step_folders.publish(self._folder, step)
    assert self._keep is not None
    for old in sorted(set(self.steps()[: -self._keep]) - {self.best()}):
      step_folders.delete(self._folder, old)

  def _start_writing(
    self, step: int, host: dict[str, np.ndarray]
  ) -> Callable[[], None]:
    """Begins to write the arrays of a staged step; returns its end."""
    with contextlib.ExitStack() as on_error:
      root = on_error.enter_context(literal_paths.literal_path(self._folder))
      staged = step_folders.staged(pathlib.Path(root), step)
      written = ocp.save_async(os.fspath(staged), host)
      opened = on_error.pop_all()

    def finish() -> None:
      with opened:
        written.result()

    return finish

  def _is_saved(self, step: int, score: float | None) -> bool:
    # Listing fails if the folder is gone; Orbax would make another.
    there = str(step) in os.listdir(self._folder)
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
      path = self._folder / str(step)
      try:
        expected = self.manifest(step)["digest"]
        with literal_paths.literal_path(self._folder) as root:
          arrays = ocp.load(f"{root}/{step}", host_copy.to_load(abstract))
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
    scores = self.scores if best else {}
    order = sorted(self.steps(), key=lambda s: (scores.get(s, math.inf), -s))
    for step in order:
      if step in damaged:
        continue
      path = self._folder / str(step)
      try:
        checkpoint_manifest.verify(path, leaves)
        return step
      except PermissionError as error:
        raise errors.StorageError(str(error), path=path) from error
      except (checkpoint_manifest.Damaged, OSError) as reason:
        damaged.add(step)
        self._set_aside(step, str(reason))
    quarantine = checkpoint_manifest.quarantine_of(self._folder)
    if damaged or (quarantine.exists() and any(quarantine.iterdir())):
      raise errors.StorageError(
        "every checkpoint is damaged",
        path=self._folder,
        hint=f"See {quarantine}; bring back a copy of the checkpoints, or "
        "begin anew in another --workdir",
      )
    return _NONE

  def _set_aside(self, step: int, reason: str) -> None:
    path = self._folder / str(step)
    message = f"DAMAGED CHECKPOINT {path}: {reason}"
    if self._keep is not None:
      message += f". Moved to {checkpoint_manifest.move_to_quarantine(path)}"
    print(message, file=sys.stderr, flush=True)

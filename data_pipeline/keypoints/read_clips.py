"""Reads clips of 2-D keypoints one at a time, in several processes.

A damaged clip affects no other:

  for source, result in read_clips.read_all(find_clips.find(path)):
    if isinstance(result, errors.DataError): ...
"""

import collections
import concurrent.futures.process
import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator, Sequence

from data_pipeline.keypoints.clip_source import Source
from signllm_jax.core import clips, errors

_FEW = 500  # clips that are read before other processes have started
_AHEAD = 64  # clips that are read while the caller works on others


def read_all(
  sources: Sequence[Source], processes: int | None = None
) -> Iterator[
  tuple[Source, clips.Keypoints | errors.DataError | errors.StorageError]
]:
  """Reads clips in order; yields the error of a bad clip in its place.

  Args:
    sources: as `find` returns them; results have this order.
    processes: number of worker processes; one a core if not given. Fewer
      than 500 clips are read in this process. Each worker imports the
      caller's main module, so a script must guard its code by
      `if __name__ == "__main__"`.

  Raises:
    StorageError: a process died, e.g. for lack of memory.
  """
  processes = processes or os.cpu_count() or 1
  if len(sources) < _FEW or processes == 1:
    for source in sources:
      yield source, _read_or_error(source)
    return
  # Not forked: JAX's threads in this process would leave locks behind.
  context = multiprocessing.get_context("spawn")
  with concurrent.futures.ProcessPoolExecutor(
    processes, context, _follow_parent
  ) as pool:
    waiting = collections.deque()
    try:
      for source in sources:
        with _signals_held():  # submitting may start a process
          waiting.append((source, pool.submit(_read_or_error, source)))
        if len(waiting) > _AHEAD:  # else results would pile up
          source, result = waiting.popleft()
          yield source, result.result()
      for source, result in waiting:
        yield source, result.result()
    except concurrent.futures.process.BrokenProcessPool as error:
      raise errors.StorageError(
        f"a process that read clips died: {error}"
      ) from error
    finally:
      pool.shutdown(cancel_futures=True)


def _follow_parent() -> None:
  """Ends this process when its parent ends.

  Otherwise it would wait for work for ever after the parent was killed.
  """
  parent = multiprocessing.parent_process()

  def follow() -> None:
    if parent is not None:
      parent.join()
      os._exit(1)

  threading.Thread(target=follow, daemon=True).start()


@contextlib.contextmanager
def _signals_held() -> Iterator[None]:
  """Makes processes started within leave Ctrl-C and SIGTERM to the parent."""
  before = signal.pthread_sigmask(
    signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM}
  )
  try:
    yield
  finally:
    signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _read_or_error(source: Source):
  try:
    return source.read()
  except (errors.DataError, errors.StorageError) as error:
    return error

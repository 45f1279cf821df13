"""The model's side: one thread signs, in batches, what waits together.

The web's side sees `Engine.stream`: parts of a clip in order. A text is handed
out as its frames come; what is signed at another speed, smoothed or given
constant bones has to be there as a whole first.
"""

import asyncio
import collections
import concurrent.futures
import os
import pathlib
import queue
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import NamedTuple

import numpy as np

from signllm_jax import config as config_lib
from signllm_jax.core import clips, errors
from signllm_jax.data import corpus_info, loader
from signllm_jax.data.batch_plan import round_up
from signllm_jax.inference import (
  long_text,
  postprocess,
  signer,
  text_input,
)
from signllm_jax.web import metrics as metrics_lib
from signllm_jax.web import truth as truth_lib

BATCH = 8  # texts signed together at most
PART = 25  # frames of a part
KEPT = 20_000  # frames remembered, so that a download need not sign again
STRETCH = 1.5  # the longest part of a text, times the longest in training


class Asked(NamedTuple):
  """What to sign and how."""

  parts: tuple[str, ...]  # `text_input.PreparedText.parts`
  options: postprocess.Options = postprocess.UNCHANGED


class Part(NamedTuple):
  """Some frames of a signing, and what is known with the last of them."""

  clip: clips.Clip  # its next frames
  whole: long_text.SignedText | None  # with the last part


class _Job:
  """A text that waits or is being signed."""

  def __init__(
    self, asked: Asked, hand_out: Callable[[np.ndarray], object] | None
  ):
    self.asked = asked
    self.future: concurrent.futures.Future[long_text.SignedText] = (
      concurrent.futures.Future()
    )
    self.sent = 0  # frames
    self._hand_out = (
      hand_out if asked.options == postprocess.UNCHANGED else None
    )
    self._received = 0  # frames

  def restart(self) -> None:
    """Call before the first of its frames, also when they are signed again."""
    self._received = 0

  def take(self, frames: np.ndarray) -> None:
    """Hands out the frames that were not handed out before."""
    if self._hand_out is None:
      return
    new = frames[max(self.sent - self._received, 0) :]
    self._received += len(frames)
    if len(new):
      self.sent += len(new)
      self._hand_out(new)


class Engine:
  """A model in one language, its thread and its queue."""

  def __init__(
    self,
    path: str | os.PathLike,
    name: str,
    settings: config_lib.Data,
    metrics: metrics_lib.Metrics,
    turn: threading.Lock,
  ):
    """Loads the model.

    Args:
      path: work directory of a run, or a model file.
      name: to tell models apart.
      settings: of the language's data, one of `config.corpora`.
      metrics: to report to.
      turn: held while signing, so that one model computes at a time.

    Raises:
      UsageError: not a work directory, or nothing was saved in it yet.
      DataError: it is damaged.
      StorageError: every checkpoint is damaged.
    """
    model = signer.Signer(path, settings.language)
    self.name, self.settings = name, settings
    self.timed = model.config.model.alignment
    self.producer = model.producer(settings.language)
    self.info = self.producer.info
    self._seen = np.asarray(self.producer.model.statistics.seen)
    self.truth = _open_truth(settings)
    # Every other length is one more program to compile and to keep.
    self.max_tokens = min(
      round_up(int(STRETCH * self.info.longest_source), loader.SOURCE_MULTIPLE),
      text_input.MAX_TOKENS,
    )
    self.ready = False
    self.failure: str | None = None
    self._metrics, self._turn = metrics, turn
    self._rows = min(BATCH, model.config.evaluate.batch_size)
    self._jobs: queue.Queue[_Job | None] = queue.Queue()
    self._kept: collections.OrderedDict[Asked, long_text.SignedText] = (
      collections.OrderedDict()
    )
    self._lock = threading.Lock()
    self._thread = threading.Thread(
      target=self._work,
      name=f"signs {settings.language} with {name}",
      daemon=True,
    )

  def start(self) -> None:
    """Compiles, then signs, in the thread."""
    self._thread.start()

  def stop(self, seconds: float) -> bool:
    """Ends the thread; False if it is still in a compiled call."""
    self._jobs.put(None)
    self._thread.join(seconds)
    return not self._thread.is_alive()

  async def sign(self, asked: Asked) -> long_text.SignedText:
    """Signs a text of `schema.understand`.

    The queue is as long as `app.Site` lets requests in.

    Raises:
      NonFiniteError: the model gives NaN or infinity.
    """
    # Cancelled with the request, and then not signed.
    return await asyncio.wrap_future(self._submit(asked, None).future)

  async def stream(self, asked: Asked) -> AsyncIterator[Part]:
    """Signs a text as `sign` does and hands the frames out as they come."""
    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[np.ndarray | None] = asyncio.Queue()

    def hand_out(frames: np.ndarray) -> None:
      if not loop.is_closed():
        loop.call_soon_threadsafe(queue.put_nowait, frames)

    job = self._submit(asked, hand_out)
    signing = asyncio.wrap_future(job.future)
    signing.add_done_callback(lambda _: queue.put_nowait(None))
    try:
      while (frames := await queue.get()) is not None:
        valid = np.broadcast_to(self._seen, frames.shape[:2])
        yield Part(clips.Clip(frames, valid, self.info.fps), None)
      whole = await signing
    finally:
      signing.cancel()
    rest = list(_pieces(whole.clip, job.sent))
    for number, piece in enumerate(rest, 1):
      yield Part(piece, whole if number == len(rest) else None)

  def _submit(
    self, asked: Asked, hand_out: Callable[[np.ndarray], object] | None
  ) -> _Job:
    job = _Job(asked, hand_out)
    with self._lock:
      if asked in self._kept:
        self._kept.move_to_end(asked)
        job.future.set_result(self._kept[asked])
        return job
    self._jobs.put(job)
    self._metrics.waiting.labels(self.name).set(self._jobs.qsize())
    return job

  def _work(self) -> None:
    try:
      with self._turn:
        for rows in sorted({1, self._rows}):
          texts = [_warm_up_text(self.info)] * rows
          self.producer.warm_up(texts)
          collections.deque(self.producer.stream(texts), maxlen=0)
    except Exception as error:
      self.failure = f"the model cannot be run: {error}"
      raise
    self.ready = True
    while jobs := self._next_jobs():
      with self._turn:
        self._answer(jobs)

  def _next_jobs(self) -> list[_Job]:
    """Waits for a job and takes what waits with it; [] to stop."""
    found: list[_Job] = []
    while len(found) < self._rows:
      try:
        job = self._jobs.get(block=not found)
      except queue.Empty:
        break
      if job is None:
        self._jobs.put(None)
        break
      if job.future.set_running_or_notify_cancel():
        found.append(job)
    self._metrics.waiting.labels(self.name).set(self._jobs.qsize())
    return found

  def _answer(self, jobs: list[_Job]) -> None:
    try:
      self._sign(jobs)
    except errors.NonFiniteError as error:
      if len(jobs) > 1:  # one bad text must not spoil the others
        for job in jobs:
          if not job.future.done():
            self._answer([job])
      else:
        jobs[0].future.set_exception(error)
    except Exception as error:  # whoever waits must hear of it
      for job in jobs:
        if not job.future.done():
          job.future.set_exception(error)

  def _sign(self, jobs: list[_Job]) -> None:
    """Signs all parts of all jobs; each is answered when its own are done."""
    began = time.perf_counter()
    for job in jobs:
      job.restart()
    texts = [job.asked.parts for job in jobs]
    frames, parts = 0, sum(map(len, texts))
    # One text or a full batch: two programs a length, and both are warm.
    for chunk in long_text.stream(
      self.producer, texts, self._rows, full_batches=True
    ):
      job = jobs[chunk.index]
      job.take(chunk.frames)
      if chunk.parts is not None:
        whole = long_text.join(chunk.parts, job.asked.options)
        self._keep(job.asked, whole)
        job.future.set_result(whole)
        frames += sum(len(sequence.clip) for sequence in chunk.parts)
    for start in range(0, parts, self._rows):
      batch = min(self._rows, parts - start)
      self._metrics.batch.labels(self.name).observe(batch)
    seconds = time.perf_counter() - began
    self._metrics.sign_seconds.labels(self.name).observe(seconds)
    self._metrics.frames.labels(self.name).inc(frames)

  def _keep(self, asked: Asked, whole: long_text.SignedText) -> None:
    with self._lock:
      self._kept[asked] = whole
      while sum(len(each.clip) for each in self._kept.values()) > KEPT:
        self._kept.popitem(last=False)


def _pieces(clip: clips.Clip, first: int) -> Iterator[clips.Clip]:
  """The frames from `first` on; one empty piece where none are left."""
  for start in range(first, max(len(clip), first + 1), PART):
    piece = slice(start, start + PART)
    yield clips.Clip(clip.frames[piece], clip.valid[piece], clip.fps)


def _warm_up_text(info: corpus_info.CorpusInfo) -> str:
  """Any text the model can read."""
  return next(token for token in info.vocabulary.entries[4:] if token != "▁")


def _open_truth(settings: config_lib.Data) -> truth_lib.Truth | None:
  if pathlib.Path(settings.folder).is_dir():
    return truth_lib.Truth(settings)
  print(
    f"note: {settings.folder}: the training's data are not there; no truth is "
    "shown",
    file=sys.stderr,
  )
  return None

"""The model's side: one thread signs, in batches, what waits together.

The web's side sees `Engine.stream`: parts of a clip in order. Today a part is a
slice of a finished clip; an engine that hands frames out as they come only has
to yield them there.
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
from collections.abc import AsyncIterator, Iterator
from typing import NamedTuple

from signllm_jax import clips, data, errors, intake, trained, workdir
from signllm_jax import config as config_lib
from signllm_jax.plan import round_up
from signllm_jax.web import metrics as metrics_lib
from signllm_jax.web import timing
from signllm_jax.web import truth as truth_lib

BATCH = 8  # texts signed together at most
PART = 25  # frames of a part
KEPT = 64  # clips remembered, so that a download need not sign again
STRETCH = 1.5  # the longest text, times the longest in training


class Signing(NamedTuple):
  """A signed text."""

  clip: clips.Clip
  finished: bool  # False where the limit of frames ended it
  spans: tuple[timing.Span, ...] | None  # None: the model knows no times


class Part(NamedTuple):
  """Some frames of a signing, and what is known with the first of them."""

  clip: clips.Clip  # its next frames
  whole: Signing | None  # with the last part


class _Job(NamedTuple):
  text: str
  future: concurrent.futures.Future[Signing]


class Engine:
  """A model of a work directory in one language, its thread and its queue."""

  def __init__(
    self,
    path: str | os.PathLike,
    name: str,
    settings: config_lib.Data,
    metrics: metrics_lib.Metrics,
    turn: threading.Lock,
  ):
    """Loads the best checkpoint.

    Args:
      path: work directory of a run.
      name: to tell models apart.
      settings: of the language's data, one of `config.corpora`.
      metrics: to report to.
      turn: held while signing, so that one model computes at a time.

    Raises:
      UsageError: not a work directory, or nothing was saved in it yet.
      DataError: it is damaged.
      StorageError: every checkpoint is damaged.
    """
    config = workdir.read_config(path)
    self.name, self.settings = name, settings
    self.timed = config.model.alignment
    self.producer = trained.load_producer(path, settings.language)
    self.facts = self.producer.facts
    self.truth = _open_truth(settings)
    # Every other length is one more program to compile and to keep.
    self.max_tokens = min(
      round_up(int(STRETCH * self.facts.longest_source), data.SOURCE_MULTIPLE),
      intake.MAX_TOKENS,
    )
    self.ready = False
    self.failure: str | None = None
    self._metrics, self._turn = metrics, turn
    self._rows = min(BATCH, config.evaluate.batch_size)
    self._jobs: queue.Queue[_Job | None] = queue.Queue()
    self._kept: collections.OrderedDict[str, Signing] = (
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

  async def sign(self, line: str) -> Signing:
    """Signs a text of `schema.understand`.

    The queue is as long as `app.Site` lets requests in.

    Raises:
      NonFiniteError: the model gives NaN or infinity.
    """
    with self._lock:
      if line in self._kept:
        self._kept.move_to_end(line)
        return self._kept[line]
    job = _Job(line, concurrent.futures.Future())
    self._jobs.put(job)
    self._metrics.waiting.labels(self.name).set(self._jobs.qsize())
    # Cancelled with the request, and then not signed.
    return await asyncio.wrap_future(job.future)

  async def stream(self, line: str) -> AsyncIterator[Part]:
    """Signs a text as `sign` does and hands the frames out in order."""
    whole = await self.sign(line)
    pieces = list(_pieces(whole.clip))
    for number, piece in enumerate(pieces, 1):
      yield Part(piece, whole if number == len(pieces) else None)

  def _work(self) -> None:
    try:
      with self._turn:
        for rows in sorted({1, self._rows}):
          self._sign([_warm_up_text(self.facts)] * rows)
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
      signed = self._sign([job.text for job in jobs])
    except errors.NonFiniteError as error:
      if len(jobs) > 1:  # one bad text must not spoil the others
        for job in jobs:
          self._answer([job])
      else:
        jobs[0].future.set_exception(error)
    except Exception as error:  # whoever waits must hear of it
      for job in jobs:
        job.future.set_exception(error)
    else:
      for job, one in zip(jobs, signed, strict=True):
        job.future.set_result(one)

  def _sign(self, texts: list[str]) -> list[Signing]:
    began = time.perf_counter()
    # One text or a full batch: two programs a length, and both are warm.
    rows = 1 if len(texts) == 1 else self._rows
    padded = texts + [texts[0]] * (rows - len(texts))
    made = [one for batch in self.producer.stream(padded) for one in batch]
    signed = [
      Signing(clip, done, timing.spans(self.producer, line, len(clip)))
      for line, (clip, done) in zip(texts, made, strict=False)
    ]
    with self._lock:
      self._kept.update(zip(texts, signed, strict=True))
      while len(self._kept) > KEPT:
        self._kept.popitem(last=False)
    self._metrics.batch.labels(self.name).observe(len(texts))
    seconds = time.perf_counter() - began
    self._metrics.sign_seconds.labels(self.name).observe(seconds)
    self._metrics.frames.labels(self.name).inc(
      sum(len(one.clip) for one in signed)
    )
    return signed


def _pieces(clip: clips.Clip) -> Iterator[clips.Clip]:
  for start in range(0, len(clip), PART):
    piece = slice(start, start + PART)
    yield clips.Clip(clip.frames[piece], clip.valid[piece], clip.fps)


def _warm_up_text(facts: data.Facts) -> str:
  """Any text the model can read."""
  return next(token for token in facts.vocabulary.listed[4:] if token != "▁")


def _open_truth(settings: config_lib.Data) -> truth_lib.Truth | None:
  if pathlib.Path(settings.folder).is_dir():
    return truth_lib.Truth(settings)
  print(
    f"note: {settings.folder}: the training's data are not there; no truth is "
    "shown",
    file=sys.stderr,
  )
  return None

"""Signs texts with a model in a thread of its own, waiting texts in batches.

The server sees `Engine.stream`: chunks of a clip in order. Frames of a text are
passed on as they are produced; a clip that is finished by speed, smoothing or
constant bones is passed on when it is complete.
"""

import asyncio
import collections
import os
import queue
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator

from signllm_jax import config as config_lib
from signllm_jax.core import clips, errors, foreign_files
from signllm_jax.core import vocabulary as vocabulary_lib
from signllm_jax.data import corpus_info, loader
from signllm_jax.data.batch_plan import round_up
from signllm_jax.inference import long_text, text_input, text_signer
from signllm_jax.web import ground_truth
from signllm_jax.web import metrics as metrics_lib
from signllm_jax.web.jobs import Chunk, Job, SigningTask

MAX_BATCH = 8  # texts signed together
CHUNK_FRAMES = 25  # of a clip that is passed on when it is complete
CACHED_FRAMES = 20_000  # so that a download need not sign again
LENGTH_MARGIN = 1.5  # the longest part of a text, times the longest in training


class Engine:
  """A model in one language, with its thread and its queue.

  Attributes:
    name: tells models apart.
    settings: of the language's data.
    timed: whether the model knows when it signs each token.
    stochastic: whether its clips depend on a seed.
    info: of the corpus of training.
    truth: the true clips of the dev and test split, where the data are there.
    max_tokens: of a part of a text, with its end.
    ready: whether the model is compiled.
    failure: why it cannot be run, if so.
  """

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
      name: tells models apart.
      settings: of the language's data, one of `config.corpora`.
      metrics: counters of the server.
      turn: held while signing, so that one model computes at a time.

    Raises:
      UsageError: not a work directory, or nothing was saved in it yet.
      DataError: it is damaged.
      StorageError: every checkpoint is damaged.
    """
    model = text_signer.TextSigner(path, settings.language)
    self.name, self.settings = name, settings
    self.timed = model.config.model.alignment
    self.stochastic = model.stochastic
    self.producer = model.producer(settings.language)
    self.info = self.producer.info
    self.truth = _open_truth(settings)
    # Rounded, as every length is one more program to compile and to keep.
    self.max_tokens = min(
      round_up(
        int(LENGTH_MARGIN * self.info.longest_source), loader.SOURCE_MULTIPLE
      ),
      text_input.MAX_TOKENS,
    )
    self.ready = False
    self.failure: str | None = None
    self._metrics, self._turn = metrics, turn
    self._rows = min(MAX_BATCH, model.config.evaluate.batch_size)
    self._jobs: queue.Queue[Job | None] = queue.Queue()
    self._cache: collections.OrderedDict[SigningTask, long_text.SignedText] = (
      collections.OrderedDict()
    )
    self._lock = threading.Lock()
    self._thread = threading.Thread(
      target=self._work,
      name=f"signs {settings.language} with {name}",
      daemon=True,
    )

  def start(self) -> None:
    """Starts the thread, which compiles the model and then signs."""
    self._thread.start()

  def stop(self, seconds: float) -> bool:
    """Ends the thread; False if it is still in a compiled call."""
    self._jobs.put(None)
    self._thread.join(seconds)
    return not self._thread.is_alive()

  async def sign(self, task: SigningTask) -> long_text.SignedText:
    """Signs a text.

    The queue is as long as `app.Site` lets requests in.

    Args:
      task: its parts as `text_input.prepare` gives them.

    Raises:
      NonFiniteError: the model gives NaN or infinity.
    """
    # The job is cancelled with the request, and then not signed.
    return await asyncio.wrap_future(self._submit(task, None).future)

  async def stream(self, task: SigningTask) -> AsyncIterator[Chunk]:
    """Signs a text as `sign` does and yields frames as they are produced."""
    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[clips.Clip | None] = asyncio.Queue()

    def on_frames(clip: clips.Clip) -> None:
      if not loop.is_closed():
        loop.call_soon_threadsafe(queue.put_nowait, clip)

    job = self._submit(task, on_frames)
    signing = asyncio.wrap_future(job.future)
    signing.add_done_callback(lambda _: queue.put_nowait(None))
    try:
      while (clip := await queue.get()) is not None:
        yield Chunk(clip, None)
      signed = await signing
    finally:
      signing.cancel()
    rest = list(_split(signed.clip, job.sent))
    for number, clip in enumerate(rest, 1):
      yield Chunk(clip, signed if number == len(rest) else None)

  def _submit(
    self, task: SigningTask, on_frames: Callable[[clips.Clip], object] | None
  ) -> Job:
    job = Job(task, on_frames)
    with self._lock:
      if task in self._cache:
        self._cache.move_to_end(task)
        job.future.set_result(self._cache[task])
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

  def _next_jobs(self) -> list[Job]:
    """Waits for a job and takes all that wait with it; [] to stop."""
    batch: list[Job] = []
    while len(batch) < self._rows:
      try:
        job = self._jobs.get(block=not batch)
      except queue.Empty:
        break
      if job is None:
        self._jobs.put(None)
        break
      if job.future.set_running_or_notify_cancel():
        batch.append(job)
    self._metrics.waiting.labels(self.name).set(self._jobs.qsize())
    return batch

  def _answer(self, jobs: list[Job]) -> None:
    try:
      self._sign(jobs)
    except errors.NonFiniteError as error:
      if len(jobs) > 1:  # one bad text must not spoil the others
        for job in jobs:
          if not job.future.done():
            self._answer([job])
      else:
        jobs[0].future.set_exception(error)
    except Exception as error:  # the requests that wait must end
      for job in jobs:
        if not job.future.done():
          job.future.set_exception(error)

  def _sign(self, jobs: list[Job]) -> None:
    """Signs all parts of all jobs; completes a job with its last part."""
    began = time.perf_counter()
    for job in jobs:
      job.restart()
    texts = [job.task.parts for job in jobs]
    seeds = [job.task.seed for job in jobs]
    pauses = [job.task.pauses for job in jobs]
    frames, parts = 0, sum(map(len, texts))
    # One text or a full batch: two programs a length, and both are compiled.
    for chunk in long_text.stream(
      self.producer,
      texts,
      self._rows,
      seeds,
      full_batches=True,
      pauses=pauses,
    ):
      job = jobs[chunk.index]
      job.add(chunk.clip)
      if chunk.parts is not None:
        task = job.task
        signed = long_text.join(chunk.parts, task.options, task.pauses)
        self._remember(task, signed)
        job.future.set_result(signed)
        frames += sum(len(sequence.clip) for sequence in chunk.parts)
    for start in range(0, parts, self._rows):
      batch = min(self._rows, parts - start)
      self._metrics.batch.labels(self.name).observe(batch)
    seconds = time.perf_counter() - began
    self._metrics.sign_seconds.labels(self.name).observe(seconds)
    self._metrics.frames.labels(self.name).inc(frames)

  def _remember(self, task: SigningTask, signed: long_text.SignedText) -> None:
    with self._lock:
      self._cache[task] = signed
      while sum(len(x.clip) for x in self._cache.values()) > CACHED_FRAMES:
        self._cache.popitem(last=False)


def _split(clip: clips.Clip, first: int) -> Iterator[clips.Clip]:
  """Chunks of the frames from `first` on; an empty one where none are left."""
  for start in range(first, max(len(clip), first + 1), CHUNK_FRAMES):
    chunk = slice(start, start + CHUNK_FRAMES)
    frames, valid = clip.frames[chunk], clip.valid[chunk]
    yield clips.Clip(frames, valid, clip.fps, skeleton=clip.skeleton)


def _warm_up_text(info: corpus_info.CorpusInfo) -> str:
  """A text that the model can read."""
  entries = info.vocabulary.entries[len(vocabulary_lib.SPECIALS) :]
  return next(token for token in entries if token != vocabulary_lib.SPACE)


def _open_truth(settings: config_lib.Data) -> ground_truth.GroundTruth | None:
  if foreign_files.exists(settings.folder):
    return ground_truth.GroundTruth(settings)
  print(
    f"note: {settings.folder}: the data of training are not there; true "
    "signing is not shown",
    file=sys.stderr,
  )
  return None

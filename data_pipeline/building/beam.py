"""Apache Beam as the runner of a build."""

import contextlib
import dataclasses
import importlib
import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import tensorflow_datasets as tfds
import tqdm

from signllm_jax.core import errors, extras

DIRECT = "DirectRunner"  # of this machine
_SECONDS = 5  # between two looks at how far the workers are


@dataclasses.dataclass(frozen=True)
class Runner:
  """A Beam runner whose workers make the records instead of this process.

  Attributes:
    name: e.g. DirectRunner, FlinkRunner, DataflowRunner.
    options: options of the runner, as on Beam's command line, e.g.
      ("--direct_num_workers=2",).
  """

  name: str
  options: tuple[str, ...] = ()


def check(
  builder_class: type[tfds.core.DatasetBuilder], runner: Runner | None
) -> None:
  """Checks that a data set can be built by a runner, if there is one.

  Raises:
    UsageError: Beam is not installed, it has no such runner, or the data set
      is not built on it.
  """
  if runner is None:
    return
  if not hasattr(builder_class, "assemble"):
    raise errors.UsageError(
      f"{builder_class.name} is not built on Beam",
      hint="Build it without --beam",
    )
  try:
    with _quiet():
      runners: Any = importlib.import_module("apache_beam.runners.runner")
      _options(runner)
  except ModuleNotFoundError as error:
    raise extras.not_installed(
      "--beam makes records", "apache-beam", "beam"
    ) from error
  try:
    with _quiet():
      runners.create_runner(runner.name)
  except (ImportError, ValueError, AttributeError) as error:
    raise errors.UsageError(
      f"--beam={runner.name}: {error}",
      expected="a runner of Apache Beam, e.g. DirectRunner or FlinkRunner",
    ) from error


def _options(runner: Runner) -> Any:
  module: Any = importlib.import_module("apache_beam.options.pipeline_options")
  own = []
  if runner.name == DIRECT:
    # There are no triggers. Without this Beam downloads a program of another
    # runner, Prism, and runs the pipeline on that.
    own = ["--allow_unsafe_triggers", "--default_sdk_harness_log_level=ERROR"]
  return module.PipelineOptions([*own, *runner.options])


def run(
  runner: Runner,
  label: str,
  work: Callable[[str], None],
  sizes: Mapping[str, int],
  finished: Callable[[], set[str]],
) -> None:
  """Runs a pipeline that does pieces of work, each on some worker.

  A bar shows how far it is, in a terminal only.

  Args:
    runner: whose workers.
    label: what they do, for the bar and messages.
    work: does one piece, named by its identifier; can be pickled. A piece may
      be done several times.
    sizes: how much each piece counts, by identifier.
    finished: the pieces that are done.

  Raises:
    StorageError: the pipeline failed; says why.
  """
  if not sizes:
    return
  try:
    with _quiet(), _progress(label, sizes, finished):
      _run(runner, label, work, sizes)
  except errors.SignLLMError:
    raise
  except Exception as error:  # of a worker, or of the runner
    raise errors.StorageError(
      f"{label} on {runner.name} stopped: {_reason(error)}",
      hint="The same command goes on",
    ) from error


def _run(
  runner: Runner,
  label: str,
  work: Callable[[str], None],
  idents: Iterable[str],
) -> None:
  beam: Any = importlib.import_module("apache_beam")
  options = _options(runner)
  with beam.Pipeline(runner=runner.name, options=options) as pipeline:
    pieces = pipeline | "list" >> beam.Create(sorted(idents))
    _ = pieces | "spread" >> beam.Reshuffle() | label >> beam.Map(work)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
  """Lets Beam log errors alone: it warns of parts that nobody asked for."""
  before = logging.root.manager.disable
  logging.disable(logging.WARNING)
  try:
    yield
  finally:
    logging.disable(before)


def _reason(error: Exception) -> str:
  """The last line of the error of a worker, without Beam's additions."""
  lines = [line.strip() for line in str(error).splitlines() if line.strip()]
  last = lines[-1] if lines else type(error).__name__
  for line in lines:
    if "core.errors." in line:
      last = line.partition("core.errors.")[2].partition(": ")[2]
  return last.partition(" [while running")[0]


@contextlib.contextmanager
def _progress(
  label: str, sizes: Mapping[str, int], finished: Callable[[], set[str]]
) -> Iterator[None]:
  with tqdm.tqdm(
    total=sum(sizes.values()), desc=label, unit="clip", disable=None
  ) as bar:
    if bar.disable:
      yield
      return
    stop = threading.Event()

    def watch() -> None:
      while not stop.wait(_SECONDS):
        with contextlib.suppress(errors.SignLLMError):  # the next look tells
          bar.update(sum(sizes.get(x, 0) for x in finished()) - bar.n)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
      yield
      bar.update(bar.total - bar.n)
    finally:
      stop.set()
      thread.join()

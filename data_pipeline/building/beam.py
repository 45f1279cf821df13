"""Apache Beam as the runner of a build."""

import dataclasses
import importlib
from typing import Any

import tensorflow_datasets as tfds

from signllm_jax.core import errors, extras


@dataclasses.dataclass(frozen=True)
class Runner:
  """A Beam runner that writes the records instead of this process.

  Attributes:
    name: e.g. DirectRunner, FlinkRunner, SparkRunner. Its workers must see
      the source and the output under the same paths.
    options: options of the runner, as on Beam's command line, e.g.
      ("--direct_num_workers=2",).
  """

  name: str
  options: tuple[str, ...] = ()


def download_options(
  builder_class: type[tfds.core.DatasetBuilder], runner: Runner | None
) -> dict[str, Any]:
  """Arguments of `tfds.download.DownloadConfig` that select the runner.

  Returns:
    An empty dict without a runner.

  Raises:
    UsageError: Beam is not installed, or the data set is not built on it.
  """
  if runner is None:
    return {}
  if not hasattr(builder_class, "on_beam"):
    raise errors.UsageError(
      f"{builder_class.name} is not built on Beam",
      hint="Build it without --beam",
    )
  try:
    pipeline_options: Any = importlib.import_module(
      "apache_beam.options.pipeline_options"
    )
  except ModuleNotFoundError as error:
    raise extras.not_installed(
      "--beam writes records", "apache-beam", "beam"
    ) from error
  options = pipeline_options.PipelineOptions(list(runner.options))
  return {"beam_runner": runner.name, "beam_options": options}

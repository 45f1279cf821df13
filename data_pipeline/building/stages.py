"""Stages of a build before its shards: lifting here, or records on Beam."""

import functools
import os
import pathlib
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import tensorflow_datasets as tfds

from data_pipeline.building import beam, beam_build, build_plan
from data_pipeline.lifting import lifted_folder, lifting_run
from signllm_jax.core import errors

Report = Callable[[str, lifting_run.Outcome], None]


def lift(
  plan: build_plan.BuildPlan,
  workers: int | None,
  report: Report,
) -> None:
  """Lifts the keypoints of every split into `plan.lifted`.

  Raises:
    DataError: no clip of a split can be used.
    StorageError: they cannot be written.
  """
  splits = _keypoints(plan)
  if plan.lifted.is_dir():  # splits that the input no longer has
    for path in plan.lifted.iterdir():
      if path.name not in splits:
        shutil.rmtree(path)
  for split, sources in splits.items():
    outcome = lifting_run.lift_clips(
      sources,
      plan.lifted / split,
      plan.lifting,
      for_records=True,
      workers=workers,
    )
    _report_lifted(plan, split, outcome, report)


def _keypoints(plan: build_plan.BuildPlan) -> dict[str, list[Any]]:
  """The sources of every split.

  Raises:
    DataError: train has none.
  """
  splits = plan.recognised.splits if plan.recognised else {}
  if not splits.get("train"):
    raise errors.DataError(
      "no clip of train",
      path=plan.input,
      expected="at least one, with its text",
    )
  return splits


def _report_lifted(
  plan: build_plan.BuildPlan,
  split: str,
  outcome: lifting_run.Outcome,
  report: Report,
) -> None:
  """Reports a split that was lifted.

  Raises:
    DataError: none of its clips can be used.
  """
  if not outcome.lifted and not outcome.reused:
    raise errors.DataError(
      f"no clip of {split} can be used",
      path=plan.input,
      expected="at least one",
      hint="; ".join(
        [*map(str, outcome.failed.values())][:5]
        or ["The policy drops them all"]
      ),
    )
  report(split, outcome)


def make_on_beam(
  plan: build_plan.BuildPlan,
  runner: beam.Runner,
  builder: Any,
  report: Report,
) -> None:
  """Makes the records on Beam; the builder then divides them into shards.

  Raises:
    DataError: no clip of a split can be used.
    StorageError: the pipeline failed.
  """
  if plan.keypoints:
    splits = {
      split: beam_build.Clips(
        sources, functools.partial(builder.recorder, split)
      )
      for split, sources in _keypoints(plan).items()
    }
  else:
    splits = {
      split: beam_build.Clips(
        entries, functools.partial(builder.recorder, split), read
      )
      for split, (entries, read) in builder.find(plan.input).items()
    }
  work = beam_build.BeamBuild(
    runner,
    plan.store,
    plan.lifting,
    plan.file_format,
    ships=plan.bucket is not None and runner.name != beam.DIRECT,
  )
  builder.made, outcomes = work.make_parts(splits)
  builder.assemble = functools.partial(_assemble, plan, work)
  for split, outcome in outcomes.items():
    if plan.keypoints:
      _report_lifted(plan, split, outcome, report)
    else:
      builder.left_out[split] = outcome.failed


def _assemble(
  plan: build_plan.BuildPlan, work: beam_build.BeamBuild, *arguments: Any
) -> list[tfds.core.SplitInfo]:
  """Writes the shards on Beam; on a disk they then move to their folder."""
  infos = work.write_shards(*arguments)
  if not plan.bucket:
    template: Any = infos[0].filename_template
    folder = pathlib.Path(template.data_dir)
    for name, shard in plan.store.shards().items():
      os.replace(plan.store.path("shards", shard.ident), folder / name)
  return infos


def qualities(
  plan: build_plan.BuildPlan,
) -> Iterator[tuple[str, str, dict[str, Any]]]:
  """Yields split, name and record of each clip that was lifted, in order."""
  if plan.runner:
    yield from plan.store.qualities()
  elif plan.lifted.exists():
    for folder in sorted(plan.lifted.iterdir()):
      for name, record in lifted_folder.records(folder):
        del record["made_from"]  # differs between copies of the keypoints
        yield folder.name, name, record

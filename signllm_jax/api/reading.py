"""Reads clips from built data sets, folders and files of any form."""

import os
import pathlib
import tempfile
from collections.abc import Sequence
from typing import overload

from signllm_jax import config
from signllm_jax.core import clips as clips_lib
from signllm_jax.core import errors
from signllm_jax.data import datasets
from signllm_jax.inference.clip import Clip


class Clips(Sequence[Clip]):
  """Clips that are read when they are asked for."""

  def __init__(self, clips: datasets.Clips, place: str):
    """Wraps the clips of a split or a file.

    Args:
      clips: with random access.
      place: where they were read, for the repr.
    """
    self._clips, self._place = clips, place

  def __len__(self) -> int:
    return len(self._clips)

  @overload
  def __getitem__(self, index: int) -> Clip: ...

  @overload
  def __getitem__(self, index: slice) -> list[Clip]: ...

  def __getitem__(self, index: int | slice) -> Clip | list[Clip]:
    numbers = range(len(self))[index]
    if isinstance(numbers, range):
      return [Clip.of(self._clips[number]) for number in numbers]
    return Clip.of(self._clips[numbers])

  def __repr__(self) -> str:
    return f"Clips({len(self)} of {self._place})"


def read(
  path: str | os.PathLike,
  split: str = "",
  *,
  fps: float = 25.0,
  lift: bool = False,
) -> Clips:
  """Reads the clips of a data set or a file, in canonical units.

  Records of `build` are read lazily. A .npz is taken as it stands; all other
  poses are centred on the neck and scaled to shoulders 1/3 apart.

  Args:
    path: records (a folder with dataset_info.json), a folder with
      <split>.skels, or a file .npz, .skels, .pose, .bvh, .h5, or a folder of
      .pose, .h5 or of OpenPose's or DWPose's JSON.
    split: of records and folders of .skels; may be empty where there is one.
    fps: frames per second, where the form does not say.
    lift: lift 2-D keypoints (.h5, JSON, MediaPipe's .pose) to 3-D.

  Raises:
    UsageError: the split is missing, or keypoints in 2-D without `lift`.
    DataError: nothing there, or damaged.
  """
  place = pathlib.Path(path)
  splits = splits_of(place)
  if splits:
    chosen = split or (splits[0] if len(splits) == 1 else "")
    if not chosen:
      raise errors.UsageError(
        "which split?", path=path, expected="one of " + ", ".join(splits)
      )
    settings = config.Data(folder=os.fspath(path), fps=fps)
    opened = datasets.open_clips(settings, chosen)
    return Clips(opened, f"{os.fspath(path)}, {chosen}")
  if split:
    raise errors.UsageError(
      f"split {split!r} of what has none",
      path=path,
      expected="records (dataset_info.json), or a folder with <split>.skels",
    )
  return Clips(_read_file(place, fps, lift), os.fspath(path))


def splits_of(path: pathlib.Path) -> list[str]:
  """The splits of records or of a folder of .skels; none of anything else."""
  if not path.is_dir():
    return []
  if (path / "dataset_info.json").exists():
    settings = config.Data(folder=os.fspath(path))
    return [s for s in datasets.SPLITS if datasets.has_split(settings, s)]
  return sorted(file.stem for file in path.glob("*.skels"))


def _read_file(
  path: pathlib.Path, fps: float, lift: bool
) -> list[clips_lib.Clip]:
  # Here: the pipeline is a package of its own, and most callers need none.
  from data_pipeline import convert

  found = convert.read(path, fps)
  if not found:
    raise errors.DataError("no clips", path=path)
  if any(isinstance(each, clips_lib.Keypoints) for each in found):
    if not lift:
      raise errors.UsageError(
        "keypoints in 2-D, not poses",
        path=path,
        expected="poses in 3-D",
        hint="Lift them: read(path, lift=True), or `python -m data_pipeline "
        "build` for whole data sets",
      )
    return _lift(path, fps)
  poses = [each for each in found if isinstance(each, clips_lib.Clip)]
  if path.suffix.lower() == ".npz":
    return poses
  return [clips_lib.canonical(clip) for clip in poses]


def _lift(path: pathlib.Path, fps: float) -> list[clips_lib.Clip]:
  from data_pipeline.keypoints import find_clips
  from data_pipeline.lifting import lifted_folder, lifting_run

  sources = find_clips.find(path, fps=fps)
  with tempfile.TemporaryDirectory(prefix="signllm_jax_") as folder:
    outcome = lifting_run.lift_clips(sources, folder, lifted_folder.DEFAULT)
    for error in outcome.failed.values():
      raise error
    return [
      clips_lib.canonical(lifted_folder.read(folder, name))
      for name in lifted_folder.names(folder)
    ]

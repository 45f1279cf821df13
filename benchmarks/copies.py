"""Copies of real clips in the form in which How2Sign is downloaded."""

import os
import pathlib
import shutil
import sys

from benchmarks import lifting
from signllm_jax.core import clips
from signllm_jax.formats import openpose

_LINKS = 60_000  # of one file; ext4 allows 65,000


def how2sign(
  root: pathlib.Path, count: int, frames: int | None, data: pathlib.Path
) -> int:
  """Makes a folder in How2Sign's downloaded form; returns its frames."""
  originals = _originals(root / ".originals", frames, data)
  if count > _LINKS * len(originals):
    sys.exit(f"at most {_LINKS * len(originals)} clips")
  sentences = [f"This is sentence {number}." for number in range(4000)]
  if (text := data / "aslg_pc12" / "train.text").is_file():
    sentences = text.read_text().splitlines()
  folder = root / "train_2D_keypoints" / "openpose_output" / "json"
  total = 0
  with (root / "how2sign_realigned_train.csv").open("w") as table:
    table.write("VIDEO_ID\tVIDEO_NAME\tSENTENCE_NAME\tSENTENCE\n")
    for number in range(count):
      name = f"copy{number:06d}_{number % 9}-5-rgb_front"
      (folder / name).mkdir(parents=True)
      files = originals[number % len(originals)]
      for frame, file in enumerate(files):
        link = openpose.NAMING.file_name(f"{name}_", frame)
        os.link(file, folder / name / link)
      table.write(f"v\tw\t{name}\t{sentences[number % len(sentences)]}\n")
      total += len(files)
  return total


def _originals(
  root: pathlib.Path, frames: int | None, data: pathlib.Path
) -> list[list[pathlib.Path]]:
  """Frame files of some clips, real ones where there are any."""
  real = data / "how2sign_mini" / "openpose"
  if real.is_dir():
    shutil.copytree(real, root)
  else:
    for number, clip in enumerate(lifting.keypoints(data)):
      openpose.write(root / f"{number}", clips.Keypoints(clip, 24.0))
  return [sorted(path.iterdir())[:frames] for path in sorted(root.iterdir())]

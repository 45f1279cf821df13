"""Clips and folders in the form of Prompt2Sign, for tests of the pipeline."""

import pathlib

import numpy as np
from helpers.paths import DATA

from signllm_jax.core import clips, skeleton
from signllm_jax.formats import skels

PHOENIX = DATA / "phoenix14t_mini"


def numbers(frames: int, seed: int) -> clips.Clip:
  """Numbers in the shape of a clip, for tests of form: nobody signs here."""
  values = np.random.default_rng(seed).normal(size=(frames, skeleton.J, 3))
  values[:, skeleton.RIGHT_SHOULDER, 0] = -2
  values[:, skeleton.LEFT_SHOULDER, 0] = 2
  valid = np.ones((frames, skeleton.J), bool)
  valid[0, -1] = False
  return clips.Clip(values.astype(np.float32), valid)


def write_split(folder: pathlib.Path, split: str, count: int, seed: int = 0):
  folder.mkdir(exist_ok=True)
  skels.write(
    folder / f"{split}.skels", [numbers(4 + i, seed + i) for i in range(count)]
  )
  for kind in ("text", "gloss", "files"):
    lines = [f"{split}/{kind} {i}\n" for i in range(count)]
    (folder / f"{split}.{kind}").write_text("".join(lines))

"""Clips and folders in the form of Prompt2Sign, for tests of the pipeline."""

import pathlib

import numpy as np
from helpers.paths import DATA

from signllm_jax.core import clips
from signllm_jax.core.skeleton import PROMPT2SIGN50
from signllm_jax.formats import skels

PHOENIX = DATA / "phoenix14t_mini"


def numbers(frames: int, seed: int) -> clips.Clip:
  """Numbers in the shape of a clip, for tests of form: nobody signs here."""
  values = np.random.default_rng(seed).normal(
    size=(frames, PROMPT2SIGN50.num_joints, 3)
  )
  values[:, PROMPT2SIGN50.joint("right_shoulder"), 0] = -2
  values[:, PROMPT2SIGN50.joint("left_shoulder"), 0] = 2
  valid = np.ones((frames, PROMPT2SIGN50.num_joints), bool)
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

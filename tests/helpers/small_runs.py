"""Folders of clips, and trainings of a tiny model on them as processes."""

import os
import pathlib
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from helpers.paths import ROOT

from signllm_jax import config
from signllm_jax.core import clips
from signllm_jax.formats import skels


def clip(number: int) -> clips.Clip:
  """A swinging skeleton; enough to try the plumbing on."""
  length = 8 + number % 9
  t = np.arange(length)[:, None, None] / 6
  rest = np.random.default_rng(0).normal(0, 0.2, (1, 50, 3))
  frames = rest + 0.05 * np.sin(t * (1 + number % 4) + rest)
  frames[:, 1] = 0
  frames[:, 2], frames[:, 5] = (-1 / 6, 0, 0), (1 / 6, 0, 0)
  return clips.Clip(
    frames.astype(np.float32),
    np.ones((length, 50), bool),
    name=f"clip{number:02d}",
    text=" ".join("abcdefg"[(number * k) % 7] for k in range(1, 4)),
  )


def write_folder(
  folder: pathlib.Path, listed: Sequence[clips.Clip], split: str = "train"
) -> None:
  """Writes a split as .skels, .text and .files."""
  folder.mkdir(exist_ok=True)
  skels.write(folder / f"{split}.skels", listed)
  for suffix, field in (("text", "text"), ("files", "name")):
    lines = "".join(f"{getattr(clip, field)}\n" for clip in listed)
    (folder / f"{split}.{suffix}").write_text(lines)


def model(**others: Any) -> config.Model:
  """The shape of a model that trains within seconds, with other fields."""
  return config.Model(
    encoder_layers=1,
    decoder_layers=1,
    width=32,
    heads=2,
    feed_forward=32,
    **others,
  )


def start(
  folder: pathlib.Path, workdir: str | os.PathLike, *extra: str, **environment
) -> subprocess.Popen[str]:
  """Starts a training of many steps; its output goes to `stdout`."""
  return subprocess.Popen(
    [
      sys.executable,
      "-m",
      "signllm_jax.train",
      "--config=configs/gsl.py",
      f"--config.data.folder={folder}",
      "--config.data.bucket=16",
      "--config.model.encoder_layers=1",
      "--config.model.decoder_layers=1",
      "--config.model.width=32",
      "--config.model.feed_forward=32",
      "--config.steps=100000",
      "--config.evaluate.every=0",
      "--config.log_every=1",
      f"--workdir={os.fspath(workdir)}",
      *extra,
    ],
    cwd=ROOT,
    env=os.environ | environment,
    stdout=subprocess.PIPE,
    stderr=subprocess.STDOUT,
    text=True,
  )


def wait_for_training(process: subprocess.Popen[str]) -> None:
  """Until the run has done some steps (its progress bar says so)."""
  assert process.stdout is not None
  text = ""
  deadline = time.monotonic() + 600  # compiles, perhaps beside other work
  while "loss" not in text:
    assert time.monotonic() < deadline and process.poll() is None, text
    text += process.stdout.read(64)

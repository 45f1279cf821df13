"""TensorBoard events of runs that stop and go on: R25."""

import io
import os
import pathlib
import signal
import subprocess

import jax.numpy as jnp
import numpy as np
import pytest
from helpers import small_runs
from helpers.checkpoint_states import run
from helpers.events import shown
from PIL import Image

from signllm_jax import config as config_lib
from signllm_jax.runs import histogram, tensorboard, writers

KILLED = """
import os, pathlib, signal, sys
from signllm_jax.runs import tensorboard
writer = tensorboard.Writer(pathlib.Path(sys.argv[1]), int(sys.argv[2]))
for step in range(int(sys.argv[2]) + 1, int(sys.argv[3]) + 1):
  writer.scalars(step, {"train/loss": step / 2})
writer.flush()  # as before a save
writer.scalars(step + 1, {"train/loss": -1.0})
os.kill(os.getpid(), signal.SIGKILL)
"""


def _log(folder: pathlib.Path, first: int, last: int) -> None:
  with tensorboard.Writer(folder, first - 1) as writer:
    writer.describe_run(config_lib.Experiment(), "a run")
    for step in range(first, last + 1):
      writer.scalars(step, {"train/loss": step / 2})


def test_every_step_once_after_kills(tmp_path):
  """R25: no step twice and none missing, also after SIGKILL."""
  folder = tmp_path / "tensorboard"
  for start, end in ((0, 4), (3, 7)):  # the second goes on from a save at 3
    killed = run(KILLED, folder, str(start), str(end))
    assert killed.returncode == -signal.SIGKILL, killed.stderr
  _log(folder, 8, 10)
  assert shown(folder, "train/loss") == [(n, n / 2) for n in range(1, 11)]


def test_hyperparameters_once(tmp_path):
  _log(tmp_path, 1, 2)
  _log(tmp_path, 1, 5)  # it had saved nothing: all is written anew
  _log(tmp_path, 4, 6)
  _log(tmp_path, 7, 7)
  assert [step for step, _ in shown(tmp_path, "hparams/text_summary")] == [0]
  assert [step for step, _ in shown(tmp_path, "run/text_summary")] == [0]
  assert [step for step, _ in shown(tmp_path, "train/loss")] == list(
    range(1, 8)
  )


def _read(folder: pathlib.Path):
  """The runs below a folder, as TensorBoard reads them."""
  pytest.importorskip("tensorboard")
  from tensorboard.backend.event_processing import (
    data_provider,
    plugin_event_multiplexer,
  )

  read = plugin_event_multiplexer.EventMultiplexer()
  read.AddRunsFromDirectory(str(folder))
  read.Reload()
  return read, data_provider.MultiplexerDataProvider(read, str(folder))


def _write_evaluations(folder: pathlib.Path, first: int, last: int) -> None:
  clip = small_runs.clip(0)
  weights = {"weights/out": histogram.measure(jnp.arange(8.0))}
  tensor = tensorboard.Writer(folder, first - 1)
  with writers.Writers([tensor]) as writer:
    for step in range(first, last + 1):
      writer.scalars(step, {"train/loss": 1.0, "train/optimizer/rate": 0.1})
      writer.scalars(step, {"train/loss": 2.0}, "dev")
      writer.scalars(step, {"validation/dtw_mje": step / 10})
      writer.scalars(step, {"validation/dtw_mje": 0.0}, "rows/truth")
      writer.clips(step, "validation_clips/1", {"produced": clip, "true": clip})
      writer.histograms(step, weights)


def test_lines_of_a_metric_share_a_chart(tmp_path):
  """R25: one tag, a run a line, named by the folder; each step once."""
  work = tmp_path / "quickstart"
  _write_evaluations(work, 1, 3)
  _write_evaluations(work, 3, 4)  # goes on from a save at 2
  read, _ = _read(tmp_path)
  found = read.PluginRunToTagToContent("scalars")
  runs = {name: sorted(tags) for name, tags in found.items()}
  assert runs == {
    "quickstart": ["train/loss", "train/optimizer/rate", "validation/dtw_mje"],
    "quickstart/dev": ["train/loss"],
    "quickstart/rows/truth": ["validation/dtw_mje"],
  }
  for name, tags in runs.items():
    for tag in tags:
      steps = [event.step for event in read.Tensors(name, tag)]
      assert steps == [1, 2, 3, 4]
  images = read.Tensors("quickstart", "validation_clips/1")
  assert [event.step for event in images] == [1, 2, 3, 4]


def test_clips_are_films(tmp_path):
  """A GIF with every second frame, which TensorBoard serves as one."""
  _write_evaluations(tmp_path / "run", 1, 1)
  read, _ = _read(tmp_path)
  from tensorboard.util import img_mime_type_detector

  (event,) = read.Tensors("run", "validation_clips/1")
  gif = event.tensor_proto.string_val[2]  # after width and height
  assert img_mime_type_detector.from_bytes(gif) == "image/gif"
  with Image.open(io.BytesIO(gif)) as picture:
    assert getattr(picture, "n_frames", 1) == len(small_runs.clip(0)) // 2


def test_histograms_count_every_number(tmp_path):
  _write_evaluations(tmp_path / "run", 1, 1)
  read, _ = _read(tmp_path)
  (event,) = read.Tensors("run", "weights/out")
  from tensorboard.util import tensor_util

  left, right, count = tensor_util.make_ndarray(event.tensor_proto).T
  assert (left[0], right[-1], count.sum()) == (0, 7, 8)
  numbers = np.array([1.0, np.nan, 3.0, 3.0, np.inf])
  found = histogram.measure(jnp.asarray(numbers))
  assert (float(found.low), float(found.high)) == (1, 3)
  assert (float(found.total), float(found.squares)) == (7, 19)
  assert np.asarray(found.counts)[[0, -1]].tolist() == [1, 2]


def test_runs_compare_in_the_tab_of_hyperparameters(tmp_path):
  """As TensorBoard's own plugin reads them."""
  pytest.importorskip("tensorboard")
  from tensorboard.context import RequestContext
  from tensorboard.plugins.base_plugin import TBContext
  from tensorboard.plugins.hparams import backend_context, metadata

  for name, width in (("narrow", 64), ("wide", 256)):
    with tensorboard.Writer(tmp_path / name, 0) as writer:
      settings = config_lib.Experiment(model=config_lib.Model(width=width))
      writer.describe_run(settings, "a run")
      writer.scalars(5, {"validation/dtw_mje": width / 1000})
  _, provider = _read(tmp_path)
  plugin = backend_context.Context(TBContext(data_provider=provider))
  asked = RequestContext()
  tags = plugin.hparams_metadata(asked, "")
  found = plugin.experiment_from_metadata(asked, "", True, tags, [], 1000)
  names = {info.name for info in found.hparam_infos}
  assert names == set(config_lib.flatten(config_lib.Experiment()))
  widths = {
    run: metadata.parse_session_start_info_plugin_data(
      content[metadata.SESSION_START_INFO_TAG]
    ).hparams["model.width"]
    for run, content in tags.items()
  }
  assert {run: value.number_value for run, value in widths.items()} == {
    "narrow": 64,
    "wide": 256,
  }
  assert {info.name.tag for info in found.metric_infos} == {
    "validation/dtw_mje"
  }


def test_a_folder_that_cannot_be_written_is_a_warning(tmp_path, capfd):
  """R25: the training goes on."""
  (tmp_path / "file").write_text("")
  _log(tmp_path / "file" / "tensorboard", 1, 3)
  said = capfd.readouterr().err
  assert said.count("warning: ") == 1
  assert "file/tensorboard: cannot write: Not a directory" in said


def test_a_full_disk_is_a_warning(tmp_path, capfd):
  """R25: one warning, then the training goes on without events."""
  if os.geteuid():
    pytest.skip("only root may mount a small file system")
  mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", tmp_path]
  mounted = subprocess.run(mount, capture_output=True, text=True)
  if mounted.returncode:
    pytest.skip("cannot mount: " + mounted.stderr)
  try:
    with tensorboard.Writer(tmp_path, 0) as writer:
      for step in range(200):
        writer.text("long", "x" * 1000, step)
        writer.flush()
  finally:
    subprocess.run(["umount", tmp_path], check=True)
  said = capfd.readouterr().err
  assert said.count("No space left on device") == 1 and "goes on" in said

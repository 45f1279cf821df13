"""A small trained model and a server over it, for the tests of the server."""

import atexit
import contextlib
import functools
import http.client
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator

import numpy as np
from helpers import devices, small_runs
from helpers.paths import ROOT

import signllm_jax.train as train
from signllm_jax import config
from signllm_jax.core import clips
from signllm_jax.core.skeleton import PROMPT2SIGN50
from signllm_jax.formats import skels

TEXTS = ("regen", "sonne", "wind", "nacht", "norden")


def corpus() -> list[clips.Clip]:
  """A clip a text: a standing figure with waves in its hands."""
  made = []
  for i, line in enumerate(TEXTS):
    t = 6 + i
    still = np.random.default_rng(0).normal(
      0, 0.2, (PROMPT2SIGN50.num_joints, 3)
    )
    still[PROMPT2SIGN50.joint("neck")] = 1e-4
    still[
      [
        PROMPT2SIGN50.joint("right_shoulder"),
        PROMPT2SIGN50.joint("left_shoulder"),
      ],
      0,
    ] = -0.2, 0.2
    waves = 0.05 * np.sin(np.arange(t) + i)[:, None, None]
    frames = (still + waves * (np.arange(50) > 7)[:, None]).astype(np.float32)
    valid = np.ones((t, PROMPT2SIGN50.num_joints), bool)
    made.append(clips.Clip(frames, valid, 25, f"clip-{i}", line))
  return made


def make_home(home: pathlib.Path) -> pathlib.Path:
  """Fills a folder with `data` and `run`, a model trained for 3 steps."""
  trained = _trained()
  shutil.copytree(trained, home, dirs_exist_ok=True)
  settings = home / "run" / "config.json"
  settings.write_text(settings.read_text().replace(str(trained), str(home)))
  return home


@functools.cache
def _trained() -> pathlib.Path:
  """What `make_home` copies, trained once a process."""
  kept = tempfile.TemporaryDirectory()
  atexit.register(kept.cleanup)
  home = pathlib.Path(kept.name)
  (home / "data").mkdir()
  listed = corpus()
  for split in ("train", "dev"):
    base = home / "data" / split
    skels.write(base.with_suffix(".skels"), listed)
    lines = "\n".join(clip.text for clip in listed)
    base.with_suffix(".text").write_text(lines + "\n")
  experiment = config.Experiment(
    steps=3,
    compilation_cache=False,
    data=config.Data(
      folder=str(home / "data"),
      language="GSL",
      tokens="characters",
      batch_size=8,
      bucket=10,
    ),
    model=small_runs.model(dropout=0.0, alignment=True),
    augment=config.Augment(noise=0.0),
    optim=config.Optim(warmup_steps=1, learning_rate=2e-3, ema=0.5),
    evaluate=config.Evaluate(every=0, batch_size=8, clips=1),
  )
  with devices.only(1):
    assert train.train(experiment, str(home / "run"), dry_run=False) == 0
  return home


class Server:
  """A running `python -m signllm_jax.serve`."""

  def __init__(self, process: subprocess.Popen, port: int):
    self.process, self.port = process, port

  def ask(
    self, method: str, path: str, body=None, headers=None, timeout=60.0
  ) -> tuple[int, dict[str, str], bytes]:
    """Status, headers in lower case, and body."""
    connection = http.client.HTTPConnection(
      "127.0.0.1", self.port, timeout=timeout
    )
    with contextlib.closing(connection):
      connection.request(method, path, body, headers or {})
      answer = connection.getresponse()
      found = {name.lower(): value for name, value in answer.getheaders()}
      return answer.status, found, answer.read()

  def post(self, path: str, value, **headers: str):
    """Posts JSON, or bytes as they are."""
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    headers = {name.replace("_", "-"): v for name, v in headers.items()}
    return self.ask(
      "POST", path, body, {"content-type": "application/json", **headers}
    )


@contextlib.contextmanager
def serving(workdir: str | os.PathLike, *arguments: str) -> Iterator[Server]:
  """Starts a server on a free port and waits until it is ready."""
  root = ROOT
  with subprocess.Popen(
    [
      *(sys.executable, "-m", "signllm_jax.serve"),
      *(f"--workdir={workdir}", "--port=0", *arguments),
    ],
    stdout=subprocess.PIPE,
    text=True,
    cwd=root,
    env=os.environ
    | {
      "JAX_PLATFORMS": "cpu",
      "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0.1",
    },
  ) as process:
    try:
      assert process.stdout is not None
      line = process.stdout.readline()
      assert line.startswith("serving http://127.0.0.1:"), line
      server = Server(process, int(line.split(":")[2].split()[0]))
      deadline = time.monotonic() + 120
      while server.ask("GET", "/readyz")[0] != 200:
        assert time.monotonic() < deadline
        time.sleep(0.1)
      yield server
    finally:
      process.kill()

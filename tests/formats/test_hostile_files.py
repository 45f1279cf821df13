"""R20, R21: hostile files of every form, made anew from a seed.

Each is refused with exit code 65 and a typed error that names it, in under 2 s
and 512 MiB; good siblings are read; nothing is imported, run or opened.
"""

import json
import os
import subprocess
import sys

import pytest
from helpers.paths import ROOT


def trials(folder, seed: int) -> list[dict]:
  done = subprocess.run(
    [sys.executable, "-m", "helpers.read_hostile", str(seed), str(folder)],
    cwd=folder,
    env={
      **os.environ,
      "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}",
      "JAX_PLATFORMS": "cpu",
      "PYTHONWARNINGS": "ignore",
    },
    capture_output=True,
    text=True,
    timeout=550,
  )
  assert done.returncode == 0, done.stderr[-3000:]
  return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.long
@pytest.mark.parametrize(
  "seed",
  [0, pytest.param(None, marks=pytest.mark.slow)],
  ids=["fixed", "new"],
)
def test_r20_r21_hostile_files_are_refused(tmp_path, seed):
  if seed is None:
    seed = int.from_bytes(os.urandom(3), "little")
    print("seed", seed)  # shown when it fails
  found = trials(tmp_path, seed)
  forms = {trial["case"].partition(":")[0] for trial in found}
  assert len(found) >= 60 and len(forms) >= 10
  wrong = [
    trial
    for trial in found
    if trial["status"] != 0
    or trial["code"] != 65
    or trial["seconds"] > 2
    or trial["bytes"] > 512 << 20
    or not trial["named"]
    or not trial["good"]
    or "Traceback" in trial["said"]
  ]
  assert not wrong, json.dumps(wrong, indent=1)

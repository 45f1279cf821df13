"""Reads hostile files, each in a process of its own, under an audit hook.

  python -m helpers.read_hostile SEED FOLDER

Prints a line of JSON for each file. Reading one may take 2 s and 512 MiB beyond
what the imports take, and may neither import nor run anything from the folder,
nor open the file that hostile files point to.
"""

import json
import os
import pathlib
import resource
import signal
import sys
import time

import numpy as np
from helpers import audited, hostile_files

from data_pipeline.cli import parser
from data_pipeline.keypoints import find_clips, read_clips
from signllm_jax.core import errors
from signllm_jax.runs import restore


def _rss() -> int:
  pages = int(pathlib.Path("/proc/self/statm").read_text().split()[1])
  return pages * os.sysconf("SC_PAGE_SIZE")


def _read(command: list[str]) -> int:
  if command[0] == "describe":
    return errors.exit_code_of(lambda: restore.describe(command[1]))
  if command[0] == "read":
    return errors.exit_code_of(lambda: _read_keypoints(command[1]))
  return parser.main(command)


def _read_keypoints(folder: str) -> None:
  """Reads all clips of a folder; raises the first fault at the end."""
  faults = []
  for source, found in read_clips.read_all(
    find_clips.find(folder, size=(640, 480))
  ):
    if isinstance(found, errors.SignLLMError):
      faults.append(found)
    else:
      print("read", source.name, flush=True)
  if faults:
    raise faults[0]


def _child(case, folder: pathlib.Path, secret: pathlib.Path, said: int) -> None:
  os.dup2(said, 1)
  os.dup2(said, 2)
  audited.watch(os.fspath(folder), os.path.realpath(secret))
  signal.alarm(20)
  before, start = _rss(), time.monotonic()
  code = _read(case.command(folder))
  seconds = time.monotonic() - start
  peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
  result = {"code": code, "seconds": seconds, "bytes": max(peak - before, 0)}
  (folder / "result.json").write_text(json.dumps(result))
  os._exit(0)


def trial(case, folder: pathlib.Path, secret: pathlib.Path, seed: int) -> dict:
  """Makes the file of a case, reads it in another process, and says how."""
  (folder / "in").mkdir(parents=True)
  (folder / "evil.py").write_text("raise SystemExit('ran')\n")
  bad = case.make(folder, np.random.default_rng(seed))
  with (folder / "said").open("w+b") as said:
    child = os.fork()
    if not child:
      try:
        _child(case, folder, secret, said.fileno())
      except BaseException:
        import traceback

        traceback.print_exc()
      finally:
        os._exit(1)
    _, status = os.waitpid(child, 0)
  result = {"code": None, "seconds": 99.0, "bytes": 0}
  if (folder / "result.json").exists():
    result = json.loads((folder / "result.json").read_text())
  text = (folder / "said").read_text("utf-8", "replace")
  return {
    "case": f"{case.form}: {case.fault}",
    "status": status,
    "named": bad.name in text,
    "good": _is_good(case, folder),
    "said": text[-1500:],
    **result,
  }


def _is_good(case, folder: pathlib.Path) -> bool:
  """Whether the good siblings came through."""
  try:
    return case.good(folder)
  except errors.DataError:  # there is no output
    return False


def main() -> None:
  """Tries every case below a folder."""
  seed, home = int(sys.argv[1]), pathlib.Path(sys.argv[2])
  secret = home / "secret"
  hostile_files.h5.write(
    secret, [hostile_files.keypoints(np.random.default_rng(seed), "good")]
  )
  sys.path.append(os.fspath(home))
  for number, case in enumerate(hostile_files.cases(secret)):
    folder = home / f"{number:03d}"
    sys.path[-1] = os.fspath(folder)
    print(json.dumps(trial(case, folder, secret, seed + number)), flush=True)


if __name__ == "__main__":
  main()

"""Runs commands that read a hostile folder, and ends at any code from there.

  python audited.py FOLDER FORBIDDEN MODULE ARGUMENTS ...

The folder is on the import path, as a folder of data within reach of it would
be. An audit hook ends the process with 99 when a module of the folder is
imported, code of it is compiled or run, something is unpickled, a program is
started, or the file FORBIDDEN is opened, which hostile files point to.
"""

import os
import pathlib
import runpy
import subprocess
import sys

VIOLATION = 99


def run(
  folder: pathlib.Path, forbidden: pathlib.Path, *command: str
) -> subprocess.CompletedProcess[str]:
  """Runs `python -m command` in another process, under the hook."""
  root = pathlib.Path(__file__).parents[2]
  return subprocess.run(
    [sys.executable, __file__, str(folder), str(forbidden), *command],
    env={**os.environ, "PYTHONPATH": str(root), "JAX_PLATFORMS": "cpu"},
    cwd=forbidden.parent,
    capture_output=True,
    text=True,
    timeout=300,
  )


def watch(folder: str, forbidden: str) -> None:
  """Ends this process at any code of the folder, or when the file is opened."""
  own = {path.stem for path in pathlib.Path(folder).rglob("*.py")}

  def inside(path: object) -> bool:
    return isinstance(path, str | bytes) and os.fsdecode(path).startswith(
      folder
    )

  def hook(event: str, arguments: tuple) -> None:
    first = arguments[0] if arguments else None
    wrong = event in ("pickle.find_class", "os.system", "os.exec")
    if event == "import":
      wrong = str(first).partition(".")[0] in own
    elif event == "exec":
      wrong = inside(getattr(first, "co_filename", None))
    elif event == "compile":
      wrong = inside(arguments[1])
    elif event == "open" and isinstance(first, str | bytes):
      path = os.fsdecode(first)
      wrong = os.path.realpath(path) == forbidden or (
        inside(path) and path.endswith((".py", ".pyc"))
      )
    if wrong:
      os.write(2, f"AUDIT {event} {arguments[:2]}\n".encode())
      os._exit(VIOLATION)

  sys.addaudithook(hook)


if __name__ == "__main__":
  target, canary, module, *rest = sys.argv[1:]
  sys.path[0] = ""  # not the helpers
  sys.path.append(target)
  sys.argv = [module, *rest]
  watch(os.path.realpath(target), os.path.realpath(canary))
  runpy.run_module(module, run_name="__main__", alter_sys=True)

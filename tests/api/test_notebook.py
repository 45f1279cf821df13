"""The notebook of docs/ runs in a kernel, and its lines run as a script."""

import json
import os
import pathlib
import shutil
import subprocess
import sys

import nbformat
import pytest
from helpers import serving
from helpers.paths import ROOT

NOTEBOOK = ROOT / "docs" / "notebooks" / "signing.ipynb"
SMALL = {
  "steps": 2,
  "model.encoder_layers": 1,
  "model.decoder_layers": 1,
  "model.width": 16,
  "model.heads": 2,
  "model.feed_forward": 16,
  "data.batch_size": 8,
  "evaluate.batch_size": 8,
  "optim.warmup_steps": 1,
}
# In a process of its own: its libraries warn, and warnings are errors here.
EXECUTE = """
import sys, nbclient, nbformat
notebook = nbformat.read(sys.argv[1], as_version=4)
nbclient.NotebookClient(notebook, timeout=400, kernel_name="python3").execute()
nbformat.write(notebook, sys.argv[1])
"""


def read() -> nbformat.NotebookNode:
  """The notebook with the settings of a small model."""
  notebook = nbformat.read(NOTEBOOK, as_version=4)
  (settings,) = [
    cell for cell in notebook.cells if cell.source.startswith("FIELDS = ")
  ]
  settings.source = f"FIELDS = {SMALL!r}"
  return notebook


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> pathlib.Path:
  """A folder as the notebook expects it: a trained run, and poses."""
  home = serving.make_home(tmp_path_factory.mktemp("notebook"))
  (home / "runs").mkdir()
  shutil.move(home / "run", home / "runs" / "quickstart")
  shutil.copytree(home / "data", home / "poses")
  return home


def run(folder: pathlib.Path, *arguments: str) -> str:
  done = subprocess.run(
    [sys.executable, *arguments],
    capture_output=True,
    text=True,
    cwd=folder,
    env=os.environ | {"PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"},
  )
  assert done.returncode == 0, done.stderr[-3000:]
  return done.stdout


def test_the_notebook_is_stored_without_outputs():
  stored = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
  code = [cell for cell in stored["cells"] if cell["cell_type"] == "code"]
  assert not any(cell["outputs"] or cell["execution_count"] for cell in code)
  assert NOTEBOOK.stat().st_size < 10_000


@pytest.mark.slow
def test_notebook_and_script_run(folder):
  notebook = read()
  nbformat.write(notebook, folder / "signing.ipynb")
  run(folder, "-c", EXECUTE, "signing.ipynb")
  executed = nbformat.read(folder / "signing.ipynb", as_version=4)
  shown, scores, _, _, report = [
    [output for output in cell.outputs if output.output_type != "stream"]
    or cell.outputs
    for cell in executed.cells
    if cell.cell_type == "code"
  ]
  assert "<animate" in shown[-1].data["text/html"]
  assert "'dtw_mje': Interval(" in scores[-1].data["text/plain"]
  assert any("mean pose" in output.text for output in report)
  assert (folder / "pair.gif").stat().st_size > 1000
  # The same lines as a script; build and training are found done.
  lines = [c.source for c in notebook.cells if c.cell_type == "code"]
  (folder / "signing.py").write_text("\n".join(lines) + "\n")
  printed = run(folder, "signing.py")
  assert "is already built" in printed and "mean pose" in printed

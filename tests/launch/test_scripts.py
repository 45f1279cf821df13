"""The scripts: clean, well-formed, and helpful without setting anything up."""

import os
import pathlib
import re
import subprocess
import sys
import tomllib

import pytest
from helpers.paths import ROOT
from helpers.scripts_project import copy_scripts, stamp_setup

SCRIPTS = [*sorted((ROOT / "launch").glob("*.sh")), ROOT / ".ci" / "run"]
LOCK = (ROOT / "requirements.lock").read_text()


def run(*command, **options):
  return subprocess.run(
    [str(part) for part in command],
    capture_output=True,
    text=True,
    timeout=60,
    **options,
  )


@pytest.fixture
def project(tmp_path):
  return copy_scripts(tmp_path / "a project")


def fake_python(path: pathlib.Path, version: str) -> pathlib.Path:
  """A command that says only which version it is."""
  path.parent.mkdir(parents=True, exist_ok=True)
  path.write_text(f"#!/bin/sh\necho {version}\n")
  path.chmod(0o755)
  return path


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_shellcheck(script):
  """R27."""
  name = "shellcheck.exe" if os.name == "nt" else "shellcheck"
  checker = pathlib.Path(sys.executable).with_name(name)
  assert checker.exists(), "install the extra `test`"
  found = run(checker, "--shell=bash", script)
  assert found.returncode == 0, found.stdout


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_wellformed(script):
  assert run("bash", "-n", script).stderr == ""
  assert os.access(script, os.X_OK)
  assert "set -euo pipefail" in script.read_text()


@pytest.mark.parametrize(
  "name", ["setup.sh", "test.sh", "quickstart.sh", "video.sh"]
)
def test_help(project, tmp_path, name):
  for flag in ("-h", "--help"):
    said = run(project / "launch" / name, flag, cwd=tmp_path)
    assert said.returncode == 0 and said.stderr == ""
    assert said.stdout.startswith(f"usage: launch/{name}")
  assert not (project / ".venv").exists()


def test_setup_refuses_unknown_arguments(project):
  said = run(project / "launch" / "setup.sh", "--fast")
  assert said.returncode == 1 and "usage:" in said.stderr


@pytest.mark.parametrize("version", ["3.10", "2.7", "3.14"])
def test_setup_names_versions(project, tmp_path, version):
  python = fake_python(tmp_path / "python", version)
  said = run(
    project / "launch" / "setup.sh", env={**os.environ, "PYTHON": str(python)}
  )
  assert said.returncode == 1
  assert "needs Python 3.11 to 3.13" in said.stderr
  assert f"{python} is {version}" in said.stderr
  assert not (project / ".venv").exists()


def test_setup_without_python(project):
  said = run(
    project / "launch" / "setup.sh", env={**os.environ, "PYTHON": "/no/python"}
  )
  assert said.returncode == 1 and "found: none" in said.stderr


def test_setup_reuses_what_the_lock_made(project, tmp_path):
  """From another folder; with an unchanged lock nothing is touched."""
  stamp = stamp_setup(project)
  said = run(
    project / "launch" / "setup.sh",
    cwd=tmp_path,
    env={**os.environ, "PYTHON": sys.executable},
  )
  assert (said.returncode, said.stdout, said.stderr) == (0, "", "")
  assert list(stamp.parent.iterdir()) == [stamp]


def test_setup_installs_a_changed_project_again(project, tmp_path):
  """The packages of an unchanged lock stay."""
  stamp = stamp_setup(project)
  before = stamp.read_text()
  (project / "pyproject.toml").write_text("# changed\n")
  python = project / ".venv" / "bin" / "python"
  python.parent.mkdir()
  python.write_text('#!/bin/bash\necho "$@" >>calls\n')
  python.chmod(0o755)
  said = run(
    project / "launch" / "setup.sh",
    cwd=tmp_path,
    env={**os.environ, "PYTHON": sys.executable},
  )
  assert (said.returncode, said.stdout, said.stderr) == (0, "", "")
  calls = (project / "calls").read_text().splitlines()
  assert len(calls) == 1 and calls[0].endswith("--no-build-isolation -e .")
  lock, changed = stamp.read_text().split()
  assert lock == before.split()[0] and changed != before.split()[1]


def test_ci_runs_the_developers_test():
  assert "launch/test.sh" in (ROOT / ".ci" / "run").read_text()
  workflow = (ROOT / ".github" / "workflows" / "ci.yml").read_text()
  assert "run: .ci/run" in workflow


def test_lock_is_hashed_and_names_no_place():
  """R28."""
  pins = re.findall(r"^([a-z0-9][\w.-]*)==\S+.*\\$", LOCK, re.MULTILINE)
  lines = [line for line in LOCK.splitlines() if re.match(r"[^#\s]", line)]
  assert len(pins) == len(lines) > 50
  assert LOCK.count("--hash=sha256:") >= len(pins)
  assert not re.search(r"://|index-url https?|find-links", LOCK)
  assert "torch" not in pins


def test_lock_holds_what_the_project_names():
  """Every requirement of the locked extras; a forgotten lock shows here."""
  project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
  extras = project["optional-dependencies"]
  wanted = [
    *project["dependencies"],
    *(
      line
      for extra in ("data", "serve", "test", "dev")
      for line in extras[extra]
    ),
  ]
  pins = set(re.findall(r"^([a-z0-9][\w.-]*)==", LOCK, re.MULTILINE))
  for requirement in wanted:
    name = re.match(r"[\w.-]+", requirement)
    assert name is not None
    plain = re.sub(r"[_.-]+", "-", name.group()).lower()
    assert plain in pins, f"make requirements.lock anew: {requirement}"


def video_project(project: pathlib.Path) -> pathlib.Path:
  """An environment for videos whose estimator copies or fails, and videos."""
  tool = project / ".venv-video" / "bin" / "video_to_pose"
  tool.parent.mkdir(parents=True)
  tool.write_text(
    "#!/usr/bin/env bash\n"
    'grep -q good "$2" || { echo "Traceback"; echo "moov atom not found"; '
    "exit 1; }\n"
    'cp "$2" "$4"\n'
  )
  tool.chmod(0o755)
  (project / ".venv-video" / ".complete").touch()
  folder = project / "my videos"
  (folder / "train").mkdir(parents=True)
  (folder / "train" / "a b.mp4").write_text("good")
  (folder / "c.MOV").write_text("good")
  (folder / "bad.mp4").write_text("no video")
  (folder / ".hidden.mp4").write_text("good")
  return folder


def test_videos_are_turned_resumed_and_named(project):
  folder = video_project(project)
  script = project / "launch" / "video.sh"
  said = run(script, folder)
  assert said.returncode == 65
  assert "2 videos turned into .pose, 0 done before" in said.stdout
  assert "[1/3] bad.mp4" in said.stderr
  assert "bad.mp4: moov atom not found" in said.stderr
  poses = sorted(
    p.relative_to(folder).as_posix() for p in folder.rglob("*.pose")
  )
  assert poses == ["c.pose", "train/a b.pose"]
  assert not list(folder.rglob(".*.part*"))
  (folder / "bad.mp4").unlink()
  said = run(script, folder, project / "out")
  assert said.returncode == 0
  assert (project / "out" / "train" / "a b.pose").is_file()
  said = run(script, folder)
  assert "0 videos turned into .pose, 2 done before" in said.stdout
  (folder / "c.mp4").write_text("good")
  said = run(script, folder)
  assert said.returncode == 65
  assert "c.mp4: its .pose is that of c.MOV; rename one" in said.stderr


def test_a_folder_without_videos_is_refused(project):
  video_project(project)
  (project / "none").mkdir()
  for folder, message in (("none", "no videos"), ("away", "no such folder")):
    said = run(project / "launch" / "video.sh", project / folder)
    assert said.returncode == 65 and message in said.stderr

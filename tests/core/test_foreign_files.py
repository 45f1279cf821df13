"""Only regular files of a limited size are opened; faults are typed."""

import os
import re

import pytest
from helpers.paths import ROOT
from helpers.random_clips import random_clip

from signllm_jax.core import clips, errors, foreign_files, limits, text_files


def test_only_regular_files(tmp_path):
  os.mkfifo(tmp_path / "pipe")
  for path in (tmp_path / "pipe", tmp_path, "/dev/zero", "/dev/full"):
    for act in (
      lambda path: foreign_files.read(path, 10),
      lambda path: foreign_files.check_file(path),
      lambda path: next(text_files.read_lines(path)),
    ):
      with pytest.raises(errors.DataError, match="not a file") as caught:
        act(path)
      assert str(path) in str(caught.value)
  for path in (tmp_path / "none", tmp_path / "none" / "x", "a\0b"):
    with pytest.raises(errors.DataError, match="no such file"):
      foreign_files.read(path, 10)


def test_size(tmp_path):
  path = tmp_path / "a"
  path.write_bytes(b"0123456789")
  assert foreign_files.read(path, 10) == b"0123456789"
  assert foreign_files.check_file(path) == 10
  for act in (foreign_files.read, foreign_files.check_file):
    with pytest.raises(errors.DataError, match="10 bytes; expected at most 9"):
      act(path, 9)


@pytest.mark.parametrize(
  "fault", [ValueError("a\n b"), KeyError("x"), EOFError(), RuntimeError("x")]
)
def test_faults_of_libraries_are_typed(fault):
  with (
    pytest.raises(errors.DataError, match=r"a\.x: not a whole form") as caught,
    foreign_files.parsing("a.x", "form"),
  ):
    raise fault
  assert caught.value.__cause__ is fault and "\n" not in str(caught.value)


def test_faults_of_the_disk_and_of_ours_stay():
  with pytest.raises(errors.StorageError), foreign_files.parsing("a", "form"):
    raise OSError(5, "Input/output error")
  with pytest.raises(errors.UsageError), foreign_files.parsing("a", "form"):
    raise errors.UsageError("ours")
  with pytest.raises(KeyboardInterrupt), foreign_files.parsing("a", "form"):
    raise KeyboardInterrupt


@pytest.mark.parametrize(
  "text",
  [
    b"\xff",
    b"",
    b"[" * 100_000,
    b'{"a":1,"a":1}',
    b'{"a":NaN}',
    b'{"a":-Infinity}',
    b'{"a":' + b"1" * 5000 + b"}",
    b'{"a":1}x',
  ],
)
def test_json_is_strict(tmp_path, text):
  path = tmp_path / "a.json"
  path.write_bytes(text)
  with pytest.raises(errors.DataError, match=r"a\.json: not a whole JSON"):
    foreign_files.read_json(path)


def test_json_of_objects(tmp_path):
  path = tmp_path / "a.json"
  path.write_text('{"a": [1, {"b": null}]}')
  assert foreign_files.read_json(path) == {"a": [1, {"b": None}]}
  path.write_text("[]")
  with pytest.raises(errors.DataError, match="no JSON object"):
    foreign_files.read_json(path)


def test_many_and_long_lines(tmp_path, monkeypatch):
  path = tmp_path / "a.text"
  path.write_bytes(b"\n" * 101)
  monkeypatch.setattr(limits, "MAX_LINES", 100)
  with pytest.raises(errors.DataError, match=r"a\.text:101: one line more"):
    list(text_files.read_lines(path))
  path.write_bytes(b"short\n" + b"x" * 50)
  with pytest.raises(errors.DataError, match=r"a\.text:2: a line of more than"):
    list(text_files.read_lines(path, most=20))


@pytest.mark.parametrize(
  ("fps", "target"), [(0.1, 9999.0), (1e-300, 25.0), (1e-5, 12.5)]
)
def test_resampling_is_limited(fps, target):
  clip = random_clip("x", 100, fps=fps)
  with pytest.raises(errors.DataError, match="too long"):
    clips.resample(clip, target)


def test_the_page_states_the_limits():
  page = (ROOT / "docs" / "files.md").read_text(encoding="utf-8")
  rows = re.findall(r"\| `(MAX_\w+)` \| ([\d,]+)( MiB)? \|", page)
  assert len(rows) >= 16
  for name, value, unit in rows:
    scale = limits.MIB if unit else 1
    assert getattr(limits, name) == int(value.replace(",", "")) * scale, name
  assert (limits.MIN_FPS, limits.MAX_FPS) == (0.1, 10_000)

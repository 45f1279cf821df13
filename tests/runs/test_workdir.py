"""Work directories: locked, tied to a configuration, checked early."""

import copy
import json
import os
import signal
import stat
import subprocess
import sys
import time

import pytest

from signllm_jax import config as config_lib
from signllm_jax.core import atomic_files, errors, vocabulary
from signllm_jax.data import corpus_info
from signllm_jax.runs import resume_check, workdir

HOLDER = """
import sys, time
from signllm_jax import config
from signllm_jax.runs import workdir
with workdir.open_workdir(sys.argv[1], config.Experiment()):
  print("held", flush=True)
  time.sleep(60)
"""


def changed(**fields):
  config = config_lib.Experiment()
  for name, value in fields.items():
    *parents, last = name.split("__")
    owner = config
    for parent in parents:
      owner = getattr(owner, parent)
    setattr(owner, last, value)
  return config


def info(words=("hello", "world"), longest=9):
  return corpus_info.CorpusInfo(
    vocabulary.Vocabulary([*vocabulary.SPECIALS, *words], "words"),
    4,
    longest,
    25.0,
  )


@pytest.mark.parametrize("name", ["run", "a run", "läuft 手語", "new/deep"])
def test_any_path_works(tmp_path, monkeypatch, name):
  """R13."""
  monkeypatch.chdir(tmp_path)
  with workdir.open_workdir(name, config_lib.Experiment()) as work:
    assert work.path == tmp_path / name
    assert work.path.is_dir()
    work.write_text(work.report, "ü")
    owner = json.loads((work.path / "lock").read_text())
    assert owner["pid"] == os.getpid() and owner["since"].endswith("UTC")
  assert work.report.read_text(encoding="utf-8") == "ü"
  assert (work.path / "lock").read_text() == ""
  assert sorted(os.listdir(work.path)) == ["config.json", "lock", "report.json"]
  assert workdir.read_config(name) == config_lib.Experiment()


def test_not_a_folder(tmp_path):
  """R13."""
  (tmp_path / "file").write_text("")
  began = time.monotonic()
  for path in (tmp_path / "file", tmp_path / "file" / "run"):
    with (
      pytest.raises(errors.StorageError, match="must be a folder"),
      workdir.open_workdir(path, config_lib.Experiment()),
    ):
      pass
  with (
    pytest.raises(errors.UsageError, match="no object of a bucket"),
    workdir.open_workdir("http://host/run", config_lib.Experiment()),
  ):
    pass
  assert time.monotonic() - began < 5


def test_read_only(tmp_path):
  """R13."""
  folder = tmp_path / "run"
  folder.mkdir()
  mount = None
  if os.geteuid() == 0:  # root may write in any folder but not on any mount
    mount = subprocess.run(
      ["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", folder], capture_output=True
    )
    if mount.returncode:
      pytest.skip("root, and may not mount: " + mount.stderr.decode())
  else:
    folder.chmod(stat.S_IRUSR | stat.S_IXUSR)
  try:
    with (
      pytest.raises(errors.StorageError, match="cannot be written"),
      workdir.open_workdir(folder, config_lib.Experiment()),
    ):
      pass
    with pytest.raises(errors.StorageError, match="cannot write"):
      atomic_files.write_text(folder / "report.json", "x")
  finally:
    if mount:
      subprocess.run(["umount", folder], check=True)


def test_what_may_change_and_what_not(tmp_path):
  path = tmp_path / "run"
  with workdir.open_workdir(path, config_lib.Experiment()):
    pass
  before = (path / "config.json").read_bytes()
  config = changed(model__width=64, seed=3, steps=7, data__batch_size=8)
  with (
    pytest.raises(errors.UsageError) as refused,
    workdir.open_workdir(path, config),
  ):
    pass
  for line in ("model.width: 512 -> 64", "seed: 0 -> 3", "data.batch_size: 32"):
    assert line in str(refused.value)
  assert "steps" not in str(refused.value)
  assert "--workdir" in str(refused.value)
  assert (path / "config.json").read_bytes() == before
  config = changed(
    steps=7, patience=2, evaluate__every=3, mesh__fsdp=2, checkpoint__keep=5,
    data__folder="/elsewhere", data__threads=1, log_every=9,
    non_finite="skip", compilation_cache=False,
  )  # fmt: skip
  with workdir.open_workdir(path, config):
    assert workdir.read_config(path) == config
  with workdir.open_workdir(path, copy.deepcopy(config)):
    pass


def test_every_field_is_judged():
  """A name in the list that no field has would be a hole."""
  names = list(config_lib.flatten(config_lib.Experiment()))
  for prefix in resume_check.MAY_CHANGE:
    assert any(
      name.startswith(prefix) if prefix.endswith(".") else name == prefix
      for name in names
    )


def test_facts_are_kept_and_compared(tmp_path):
  with workdir.open_workdir(tmp_path, config_lib.Experiment()) as work:
    work.check_corpus_infos({"GSL": info()})
    assert corpus_info.to_json(
      workdir.read_corpus_infos(tmp_path)
    ) == corpus_info.to_json({"GSL": info()})
    work.check_corpus_infos({"GSL": info()})
    with pytest.raises(errors.UsageError, match="longest: 9 -> 10"):
      work.check_corpus_infos({"GSL": info(longest=10)})
    with pytest.raises(errors.UsageError, match="vocabulary: 6 entries -> 7"):
      work.check_corpus_infos({"GSL": info(["a", "b", "c"])})
  work.vocabulary.write_text("{")
  with pytest.raises(errors.DataError, match=r"vocabulary\.json"):
    workdir.read_corpus_infos(tmp_path)


def test_damaged_and_missing_config(tmp_path):
  with pytest.raises(errors.UsageError, match=r"config\.json"):
    workdir.read_config(tmp_path)
  with pytest.raises(errors.UsageError, match=r"not the work directory"):
    workdir.read_config(tmp_path / "absent")
  file = tmp_path / "config.json"
  for content in (b"", b"[]", b"{", b"\xff", b'{"ste": 1}', b'{"seed": {}}',
    b'{"seed": 1, "seed": 2}', b"[" * 100_000):  # fmt: skip
    file.write_bytes(content)
    with pytest.raises(errors.DataError, match=r"config\.json"):
      workdir.read_config(tmp_path)
  file.unlink()
  (tmp_path / "checkpoints" / "5").mkdir(parents=True)
  with (
    pytest.raises(errors.StorageError, match=r"no config\.json"),
    workdir.open_workdir(tmp_path, config_lib.Experiment()),
  ):
    pass


def test_write_text_is_whole_or_not_at_all(tmp_path):
  file = tmp_path / "report.json"
  atomic_files.write_text(file, "old")
  with pytest.raises(UnicodeEncodeError):
    atomic_files.write_text(file, "new \ud800")
  assert file.read_text() == "old"
  assert os.listdir(tmp_path) == ["report.json"]
  assert stat.S_IMODE(file.stat().st_mode) == 0o644


def test_second_trainer_is_refused_and_a_dead_one_replaced(tmp_path):
  """R15."""
  path = tmp_path / "run"
  with subprocess.Popen(
    [sys.executable, "-c", HOLDER, path], stdout=subprocess.PIPE
  ) as holder:
    assert holder.stdout and holder.stdout.readline() == b"held\n"
    with (
      pytest.raises(errors.UsageError) as refused,
      workdir.open_workdir(path, config_lib.Experiment()),
    ):
      pass
    assert f"process {holder.pid} on {os.uname().nodename} since" in str(
      refused.value
    )
    assert json.loads((path / "lock").read_text())["pid"] == holder.pid
    holder.send_signal(signal.SIGKILL)
    holder.wait()
  with workdir.open_workdir(path, config_lib.Experiment()):
    assert json.loads((path / "lock").read_text())["pid"] == os.getpid()


def _pipe(path):
  os.mkfifo(path)


def _link(path):
  (path.parent / "foreign").write_text("kept")
  path.symlink_to("foreign")


def _folder(path):
  path.mkdir()


@pytest.mark.parametrize("make", [_pipe, _link, _folder])
def test_a_lock_that_is_no_regular_file_is_refused(tmp_path, make):
  """R13: a pipe would block for ever, the target of a link be emptied."""
  make(tmp_path / "lock")
  with pytest.raises(errors.StorageError, match="lock: cannot be locked"):
    workdir.check_workdir(tmp_path, config_lib.Experiment())
  with (
    pytest.raises(errors.StorageError, match="lock: cannot be locked"),
    workdir.open_workdir(tmp_path, config_lib.Experiment()),
  ):
    pass
  if make is _link:
    assert (tmp_path / "foreign").read_text() == "kept"


@pytest.mark.parametrize("left", ["[" * 10**6, '{"pid": 1}', "x" * 10**6])
def test_whatever_a_lock_says_it_is_taken_over(tmp_path, left):
  (tmp_path / "lock").write_text(left)
  with workdir.open_workdir(tmp_path, config_lib.Experiment()):
    assert json.loads((tmp_path / "lock").read_text())["pid"] == os.getpid()
    with pytest.raises(errors.UsageError, match="trains in this work"):
      workdir.check_workdir(tmp_path, config_lib.Experiment())

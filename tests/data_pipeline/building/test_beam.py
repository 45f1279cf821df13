"""Builds on Apache Beam: the files are those of a build without it."""

import contextlib
import json
import os
import pathlib
import pickle
import signal
import socket
import subprocess
import sys
import time

import psutil
import pytest
from helpers.beam_environment import LOCK, entries
from helpers.beam_environment import beam_environment as beam_environment
from helpers.bucket_server import bucket as bucket
from helpers.bucket_server import bucket_server as bucket_server
from helpers.paths import DATA
from helpers.real_data import real

from data_pipeline.building import beam_input, record_store
from data_pipeline.cli import parser
from data_pipeline.keypoints import find_clips
from signllm_jax.core import clips, errors

HOW2SIGN = DATA / "how2sign_mini"
PHOENIX = DATA / "phoenix14t_mini"
SHORTEST = "_2FBDaOPYig_4-3-rgb_front"
FRAMES = range(30)  # of the shortest real clip
SEVERAL = (
  "--beam=DirectRunner",
  "--beam_option=--direct_running_mode=multi_processing",
  "--beam_option=--direct_num_workers=2",
)
CODE = """
import json, sys
from data_pipeline.cli import parser
for command in json.loads(sys.argv[1]):
  print("exit code", parser.main(command), flush=True)
"""


def clip_folder(folder: pathlib.Path, count: int, bad: str = "") -> None:
  """Copies of a real clip in OpenPose's JSON, each with a sentence."""
  source = real(HOW2SIGN / "openpose" / SHORTEST)
  names = [f"clip{number:05d}" for number in range(count)]
  for name in names:
    (folder / name).mkdir(parents=True)
    for number in FRAMES:
      tail = f"{number:012d}_keypoints.json"
      path = folder / name / f"{name}_{tail}"
      path.symlink_to(source / f"{SHORTEST}_{tail}")
    if name == bad:
      path = folder / name / f"{name}_{7:012d}_keypoints.json"
      content = path.read_bytes()
      path.unlink()
      path.write_bytes(content[:500])
  (folder / "clips.files").write_text("".join(f"{n}\n" for n in names))
  (folder / "clips.text").write_text("".join(f"I say {n}.\n" for n in names))


def command(source, output, *options: str, dataset: str = "asl") -> list[str]:
  return [
    *("build", f"--dataset=prompt2sign/{dataset}", f"--input={source}"),
    *(f"--output={output}", "--file_format=array_record", *options),
  ]


def run_all(environment, *commands) -> tuple[list[int], str, str]:
  """Runs commands in one process; returns exit codes and what it says."""
  done = subprocess.run(
    [sys.executable, "-c", CODE, json.dumps(commands)],
    env=environment,
    capture_output=True,
    text=True,
  )
  codes = [
    int(line.split()[-1])
    for line in done.stdout.splitlines()
    if line.startswith("exit code")
  ]
  return codes, done.stdout, done.stderr


def files(output: pathlib.Path, dataset: str = "asl") -> dict[str, bytes]:
  folder = output / "prompt2sign" / dataset / "1.0.0"
  return {path.name: path.read_bytes() for path in folder.iterdir()}


def leftovers(output: pathlib.Path) -> list[str]:
  return [path.name for path in output.iterdir() if path.name != "prompt2sign"]


@pytest.mark.slow
def test_files_and_messages_are_those_without_beam(
  beam_environment, tmp_path, capfd
):
  """Lifted by two processes; a bad clip is named, its siblings are built."""
  source = tmp_path / "clips"
  clip_folder(source, 6, bad="clip00003")
  options = ("--fps=24", "--dev=2", "--shards=2")
  assert parser.main(command(source, tmp_path / "plain", *options)) == 65
  plain = capfd.readouterr()
  codes, out, err = run_all(
    beam_environment,
    command(source, tmp_path / "beam", *options, *SEVERAL),
    command(source, tmp_path / "beam", *options, *SEVERAL),
  )
  assert codes == [65, 0], err
  assert files(tmp_path / "beam") == files(tmp_path / "plain")
  assert not leftovers(tmp_path / "beam")
  said = out.replace("/beam/", "/plain/").split("exit code 65\n")
  assert said[0] == plain.out
  assert "already built" in said[1]
  assert plain.err in err and "clip00003_000000000007_keypoints" in err
  assert "Traceback" not in err


def test_a_build_into_a_bucket(
  beam_environment, bucket, tmp_path, monkeypatch, capfd
):
  """R19; and poses, that need no lifting; and a runner that is none."""
  source, url = tmp_path / "clips", f"{bucket.url}/data"
  clip_folder(source, 3)
  assert parser.main(command(source, tmp_path / "plain")) == 0
  poses = command(
    real(PHOENIX), tmp_path / "poses", "--shards=2", dataset="gsl"
  )
  assert parser.main(poses) == 0
  direct = "--beam=DirectRunner"
  environment = {**beam_environment, **bucket.environment}
  codes, out, err = run_all(
    {**environment, "XDG_CACHE_HOME": str(tmp_path / "cache")},
    command(source, url, "--beam=NoSuchRunner"),
    command(source, url, direct),
    command(PHOENIX, tmp_path / "beam", direct, "--shards=2", dataset="gsl"),
  )
  assert codes == [1, 0, 0], out + err
  assert "expected a runner of Apache Beam" in err
  names = bucket.names()
  assert all(name.startswith("data/prompt2sign/asl/1.0.0/") for name in names)
  assert {
    name.rsplit("/", 1)[1]: bucket.content(name) for name in names
  } == files(tmp_path / "plain")
  assert files(tmp_path / "beam", "gsl") == files(tmp_path / "poses", "gsl")
  assert not leftovers(tmp_path / "beam")


def test_files_that_go_with_the_work(tmp_path, monkeypatch):
  """Workers that do not see the input read the same, with the same faults."""
  clip_folder(tmp_path / "clips", 2, bad="clip00001")
  for place in (tmp_path / "clips", pathlib.Path("clips")):
    monkeypatch.chdir(tmp_path)
    good, bad = find_clips.find(place, fps=24)
    sent = [(each, beam_input.pack(each)) for each in (good, bad)]
    sent = pickle.loads(pickle.dumps(sent))
    here = [beam_input.read(good), beam_input.read(bad)]
    (tmp_path / "clips").rename(tmp_path / "elsewhere")
    there = [beam_input.read(*each) for each in sent]
    assert isinstance(there[0], clips.Keypoints)
    assert pickle.dumps(there[0]) == pickle.dumps(here[0])
    assert isinstance(there[1], errors.DataError)
    assert str(there[1]) == str(here[1]) and "clip00001" in str(here[1])
    gone = beam_input.pack(good)
    assert "cannot be read" in str(beam_input.read(good, gone))
    (tmp_path / "elsewhere").rename(tmp_path / "clips")


def test_only_work_of_the_caller_is_unpacked(tmp_path):
  store = record_store.Store(tmp_path)
  store.make()
  ident = store.write_hashed(b"work", "todo")
  assert store.read_hashed("todo", ident) == b"work"
  store.path("todo", ident).write_bytes(b"other")
  with pytest.raises(errors.DataError, match="other content"):
    store.read_hashed("todo", ident)


def test_the_lock_holds_beam_and_what_it_needs(beam_environment):
  """R28. Every package of the overlay fits the others."""
  pins = dict(pin.split("==") for pin in entries(LOCK))
  assert {"apache-beam", "tensorflow-cpu", "gcsfs"} <= pins.keys()
  done = subprocess.run(
    [sys.executable, "-m", "pip", "check"],
    env=beam_environment,
    capture_output=True,
    text=True,
  )
  assert done.returncode == 0, done.stdout


def begin(environment, said: pathlib.Path, words: list[str]):
  """Starts a command in a session of its own."""
  with said.open("ab") as file:
    return subprocess.Popen(
      [sys.executable, "-m", "data_pipeline", *words],
      env=environment,
      stdout=file,
      stderr=file,
      start_new_session=True,
    )


def end_when(process, ready, by: int) -> int:
  """Sends a signal to a process alone; its own processes must follow."""
  workers: set[psutil.Process] = set()
  while not ready():
    assert process.poll() is None
    workers.update(psutil.Process(process.pid).children(recursive=True))
    time.sleep(0.2)
  process.send_signal(by)
  process.wait()
  _, alive = psutil.wait_procs(workers, 120)
  assert not alive and len(workers) >= 2
  return process.returncode


@pytest.mark.slow
@pytest.mark.timeout(3000)  # seconds
def test_2000_clips_killed_and_begun_again(beam_environment, tmp_path):
  """R19: killed and stopped while it lifts, killed while it writes."""
  source, said = tmp_path / "clips", tmp_path / "said"
  clip_folder(source, 2000, bad="clip01234")
  options = ("--dev=5%", "--shards=40")
  assert parser.main(command(source, tmp_path / "plain", *options)) == 65
  words = command(source, tmp_path / "beam", *options, *SEVERAL)

  def done(kind: str) -> int:
    return len(list((tmp_path / "beam").glob(f".beam/*/*/*/{kind}/*.json")))

  for kind, more, by, code in (
    ("parts", 80, signal.SIGKILL, -signal.SIGKILL),
    ("parts", 80, signal.SIGTERM, 42),
    ("parts", 80, signal.SIGKILL, -signal.SIGKILL),
    ("shards", 3, signal.SIGKILL, -signal.SIGKILL),
  ):
    least = done(kind) + more
    process = begin(beam_environment, said, words)
    ended = end_when(process, lambda k=kind, n=least: done(k) >= n, by)
    assert ended == code, said.read_text()
    assert not (tmp_path / "beam/prompt2sign/asl/1.0.0").exists()
  process = begin(beam_environment, said, words)
  assert process.wait() == 65
  text = said.read_text()
  assert "lifted before" in text and "train clip01234: " in text
  assert files(tmp_path / "beam") == files(tmp_path / "plain")
  assert not leftovers(tmp_path / "beam")


@contextlib.contextmanager
def serving(environment, module: str, *options: str):
  """A server of Beam on a free port, which is yielded."""
  with socket.socket() as probe:
    probe.bind(("127.0.0.1", 0))
    port = probe.getsockname()[1]
  name = f"apache_beam.runners.{module}"
  process = subprocess.Popen(
    [sys.executable, "-m", name, *(each.format(port) for each in options)],
    env=environment,
    cwd="/",  # where the input is not found
    start_new_session=True,
  )
  try:
    yield port
  finally:
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@pytest.mark.slow
def test_workers_that_do_not_see_the_input(
  beam_environment, bucket, tmp_path, monkeypatch, capfd
):
  """The way of Flink and Spark: a job service, and a pool of workers."""
  clip_folder(tmp_path / "clips", 12, bad="clip00003")
  monkeypatch.chdir(tmp_path)
  options = ("--dev=2", "--shards=2")
  assert parser.main(command("clips", "plain", *options)) == 65
  plain = capfd.readouterr().err
  environment = {**beam_environment, **bucket.environment}
  with (
    serving(
      environment,
      "portability.local_job_service_main",
      "--job_port={}",
    ) as jobs,
    serving(
      environment, "worker.worker_pool_main", "--service_port={}"
    ) as pool,
  ):
    runner = [
      "--beam=PortableRunner",
      f"--beam_option=--job_endpoint=localhost:{jobs}",
      "--beam_option=--environment_type=EXTERNAL",
      f"--beam_option=--environment_config=localhost:{pool}",
    ]
    codes, _, err = run_all(
      {**environment, "XDG_CACHE_HOME": str(tmp_path / "cache")},
      command("clips", f"{bucket.url}/data", *options, *runner),
    )
  assert codes == [65] and plain in err
  assert {
    name.rsplit("/", 1)[1]: bucket.content(name) for name in bucket.names()
  } == files(tmp_path / "plain")

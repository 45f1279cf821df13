"""The data pipeline under faults: bad clips, signals, kills, full disks."""

import contextlib
import hashlib
import json
import multiprocessing
import os
import pathlib
import pickle
import random
import shutil
import signal
import subprocess
import sys
import time
import zipfile

import h5py
import numpy as np
import psutil
import pytest
from helpers import built_data
from helpers.paths import DATA

from data_pipeline import convert
from data_pipeline.building import checksums, record_reader, shard_writer
from data_pipeline.cli import parser
from data_pipeline.keypoints import find_clips, read_clips
from data_pipeline.lifting import lifted_folder, lifting_run
from signllm_jax.core import clips
from signllm_jax.data import records
from signllm_jax.formats import h5

HOW2SIGN = DATA / "how2sign_mini"
PHOENIX = DATA / "phoenix14t_mini"
FRAME = "_2FBDaOPYig_4-3-rgb_front_0000000000{:02d}_keypoints.json"
FRAMES = range(30)  # of the shortest real clip
CLIPS = 24  # of the builds that are disturbed
GIB = 1 << 30

# Forks processes that have imported the pipeline: they start in no time.
_fork = multiprocessing.get_context("forkserver")
_fork.set_forkserver_preload(
  [
    "data_pipeline.cli.parser",
    "data_pipeline.prompt2sign",
    "data_pipeline.texts.lemma_gloss",
  ]
)


@pytest.fixture(scope="module", autouse=True)
def real_data():
  if not HOW2SIGN.exists():
    pytest.skip("needs ../shared/data")


def run(stage: str, **options: object) -> int:
  """Runs a stage in this process."""
  return parser.main([stage, *words(**options)])


def words(**options: object) -> list[str]:
  return [f"--{key}={value}" for key, value in options.items()]


def build_options(source: pathlib.Path, output: pathlib.Path) -> dict:
  return {
    "dataset": "prompt2sign/asl",
    "input": source,
    "output": output,
    "file_format": "array_record",
  }


def _in_child(command: list[str], said: str, chunk: int, few: int) -> None:
  os.setpgrp()
  with open(said, "ab", 0) as file:
    os.dup2(file.fileno(), 1)
    os.dup2(file.fileno(), 2)
  lifting_run._CHUNK, read_clips._FEW = chunk, few
  sys.exit(parser.main(command))


def start(command: list[str], said: pathlib.Path, chunk: int = 8, few=500):
  """Runs a command in a process of its own; what it says goes to a file."""
  process = _fork.Process(
    target=_in_child, args=(command, str(said), chunk, few)
  )
  process.start()
  return process


def finish(process, said: pathlib.Path, code: int = 0) -> None:
  process.join(300)
  assert process.exitcode == code, said.read_text()
  process.close()


def clip_folder(folder: pathlib.Path, *names: str) -> pathlib.Path:
  """Copies of a real clip in OpenPose's JSON, each with a sentence."""
  for name in names:
    (folder / name).mkdir(parents=True)
    for number in FRAMES:
      shutil.copy(
        HOW2SIGN / "openpose" / FRAME[:25] / FRAME.format(number),
        folder / name / f"{name}_{number:012d}_keypoints.json",
      )
  (folder / "clips.files").write_text("".join(f"{n}\n" for n in names))
  (folder / "clips.text").write_text("".join(f"I say {n}.\n" for n in names))
  return folder


def repeated(folder: pathlib.Path, count: int, longest: int) -> pathlib.Path:
  """An .h5 of clips cut out of the real ones, with sentences and glosses."""
  rng = random.Random(count)
  real = [source.read() for source in find_clips.find(HOW2SIGN / "openpose")]

  def cut():
    for number in range(count):
      clip = real[number % len(real)]
      length = rng.randint(6, longest)
      first = rng.randrange(len(clip) - length)
      yield clips.Keypoints(
        clip.frames[first : first + length], 25.0, name=f"clip{number:05d}"
      )

  folder.mkdir()
  h5.write(folder / "clips.h5", cut())
  for kind, line in (("files", "clip"), ("text", "We fry "), ("gloss", "FRY ")):
    (folder / f"clips.{kind}").write_text(
      "".join(f"{line}{number:05d}\n" for number in range(count))
    )
  return folder / "clips.h5"


def sums(output: pathlib.Path) -> str:
  """SHA256SUMS of the one build in a folder, after a check of all of it."""
  (folder,) = output.glob("prompt2sign/*/1.0.0")
  assert checksums.problems(folder, ()) == []
  assert not (output / ".lifted").exists()
  assert [path.name for path in folder.parent.iterdir()] == ["1.0.0"]
  return (folder / checksums.SUMS).read_text()


def digests(folder: pathlib.Path) -> dict[str, str]:
  return {
    path.name: hashlib.sha256(path.read_bytes()).hexdigest()
    for path in folder.iterdir()
  }


def names(output: pathlib.Path, split: str = "train") -> list[str]:
  """Of the clips in a build."""
  (folder,) = output.glob("prompt2sign/*/1.0.0")
  return sorted(
    record["name"] for record in built_data.read_records(folder)[split]
  )


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> pathlib.Path:
  return repeated(tmp_path_factory.mktemp("source") / "in", CLIPS, 30)


@pytest.fixture(scope="module")
def straight(tmp_path_factory, source) -> pathlib.Path:
  """The output of an undisturbed build."""
  output = tmp_path_factory.mktemp("straight")
  assert run("build", **build_options(source, output)) == 0
  return output


# Bad clips.


def test_a_bad_clip_is_named_and_its_siblings_are_built(tmp_path, capsys):
  source = clip_folder(tmp_path / "in", "a", "b", "c")
  bad = source / "b" / "b_000000000007_keypoints.json"
  whole = bad.read_bytes()
  bad.write_bytes(whole[:500])
  options = build_options(source, tmp_path / "data")
  assert run("build", **options) == 65
  said = capsys.readouterr()
  assert "2 lifted, 1 bad" in said.out and "Traceback" not in said.err
  assert f"train b: {bad}" in said.err
  assert names(tmp_path / "data") == ["a", "c"]
  before = sums(tmp_path / "data")
  assert run("build", **options) == 0  # there, and used as it is
  assert sums(tmp_path / "data") == before

  lift_options = {"input": source, "output": tmp_path / "lifted"}
  for _ in range(2):
    assert run("lift", **lift_options) == 65
    assert str(bad) in capsys.readouterr().err
    assert lifted_folder.names(tmp_path / "lifted") == ["a", "c"]
  first = digests(tmp_path / "lifted")
  bad.write_bytes(whole)
  assert run("lift", **lift_options) == 0
  assert "1 lifted, 2 lifted before" in capsys.readouterr().out
  assert digests(tmp_path / "lifted").items() >= first.items()
  bad.write_bytes(whole[:500])  # again: what was made of it goes
  assert run("lift", **lift_options) == 65
  assert digests(tmp_path / "lifted") == first

  h5_path = tmp_path / "clips.h5"
  assert run("extract", input=source, output=h5_path) == 65
  assert str(bad) in capsys.readouterr().err and h5.names(h5_path) == ["a", "c"]


def test_only_bad_clips(tmp_path, capsys):
  source = clip_folder(tmp_path / "in", "a")
  for path in (source / "a").iterdir():
    path.write_text("{")
  for stage in ("extract", "lift"):
    assert run(stage, input=source, output=tmp_path / f"{stage}.h5") == 65
  assert not (tmp_path / "extract.h5").exists()
  assert run("build", **build_options(source, tmp_path / "data")) == 65
  assert "no clip of train can be used" in capsys.readouterr().err
  assert not list(tmp_path.glob("data/prompt2sign/asl/*"))


def test_clips_that_cannot_be_used(tmp_path, capsys):
  """Nobody in them, no shoulders, no words, no sentence, no name for a file."""
  source = clip_folder(tmp_path / "in", *"abcde", "lift")
  empty = '{"version": 1.3, "people": []}'
  for path in (source / "b").iterdir():
    path.write_text(empty)
  for path in (source / "c").iterdir():
    frame = json.loads(path.read_text())
    for person in frame["people"]:
      person["pose_keypoints_2d"][3 * 2 : 3 * 3] = [0, 0, 0]
    path.write_text(json.dumps(frame))
  (source / "clips.files").write_text("a\nb\nc\nd\nlift\n")
  (source / "clips.text").write_text("One.\nTwo.\nThree.\n...\nFive.\n")
  assert run("build", **build_options(source, tmp_path / "data")) == 65
  said = capsys.readouterr().err
  for name, what in {
    "b": "no joint is detected in any of 30 frames",
    "c": "never shows the neck and two distinct shoulders",
    "d": "'...' has no words",
    "e": "has no text",
    "lift": "cannot name a file",
  }.items():
    (line,) = (x for x in said.splitlines() if x.startswith(f"  train {name}:"))
    assert what in line
  assert "note:" in said  # e has no line
  assert names(tmp_path / "data") == ["a"]


HOSTILE = {
  "cut off": lambda s: s[:-3],
  "empty": lambda s: b"",
  "nested": lambda s: b'{"version":1.3,"people":' + b"[" * 200_000,
  "nan": lambda s: (
    s.replace(b'"pose_keypoints_2d":[', b"%sNaN,", 1) % b'"pose_keypoints_2d":['
  ),
  "infinite": lambda s: s.replace(b'_2d":[', b'_2d":[1e999,', 1),
  "underscore": lambda s: s.replace(b'_2d":[', b'_2d":[1_000,', 1),
  "other digits": lambda s: s.replace(b'_2d":[', '_2d":[١,'.encode(), 1),
  "too long": lambda s: s.replace(b'_2d":[', b'_2d":[1,', 1),
  "key twice": lambda s: s.replace(b"{", b'{"version":1.3,', 1),
  "version": lambda s: s.replace(b'"version":1.3', b'"version":9.9'),
  "huge": lambda s: s + b" " * (5 << 20),
  "not utf-8": lambda s: b"\xff\xfe" + s,
}


def test_hostile_json(tmp_path, capsys):
  """R20."""
  kinds = {name.replace(" ", "_"): make for name, make in HOSTILE.items()}
  source = clip_folder(tmp_path / "in", "good", *kinds)
  for name, make in kinds.items():
    path = source / name / f"{name}_000000000003_keypoints.json"
    made = make(path.read_bytes())
    assert made != path.read_bytes(), name
    path.write_bytes(made)
  clip_of_pipe = source / "good" / "good_000000000099_keypoints.json"
  assert not clip_of_pipe.exists()
  began = time.monotonic()
  code = run("extract", input=source, output=tmp_path / "out.h5")
  assert code == 65 and time.monotonic() - began < 2 * len(kinds)
  said = capsys.readouterr().err
  for name in kinds:
    assert f"{name}_000000000003_keypoints.json" in said
  assert run("build", **build_options(source, tmp_path / "data")) == 65
  assert names(tmp_path / "data") == ["good"]


def test_hostile_h5_and_pose(tmp_path, capsys):
  """R21."""
  source = tmp_path / "in"
  source.mkdir()
  repeated(tmp_path / "good", 2, 30)
  shutil.copy(tmp_path / "good" / "clips.h5", source / "bad.h5")
  with h5py.File(source / "bad.h5", "a") as file:
    file["elsewhere"] = h5py.ExternalLink("/etc/passwd", "/x")
    file["soft"] = h5py.SoftLink("/clip00000")
    file.create_dataset("bomb", (1 << 40, 150), "f4", chunks=(1 << 16, 150))
    file.create_dataset("short", data=np.ones((4, 149), np.float32))
    file.create_dataset("none", data=np.ones((0, 150), np.float32))
    file.create_dataset("nan", data=np.full((4, 150), np.nan, np.float32))
    file.create_dataset("x" * 300, data=file["clip00001"][:])
    file.create_dataset("..", data=file["clip00001"][:])
  (source / "text.h5").write_text("not one")
  began = time.monotonic()
  assert run("lift", input=source, output=tmp_path / "h5") == 65
  assert time.monotonic() - began < 20
  said = capsys.readouterr().err
  for name in ("elsewhere", "soft", "bomb", "short", "none", "nan", "xxx"):
    assert f"  {name}" in said
  assert "text.h5" in said and "Traceback" not in said
  assert lifted_folder.names(tmp_path / "h5") == ["clip00000", "clip00001"]

  poses = tmp_path / "poses"
  (clip,) = convert.read(
    _npz_of(tmp_path, PHOENIX / "train.skels"), 25.0, None
  )[:1]
  poses.mkdir()
  convert.pose.write(poses / "good.pose", clip)
  whole = (poses / "good.pose").read_bytes()
  for name, content in {
    "cut": whole[:-50],
    "empty": b"",
    "magic": pickle.dumps(print),
    "long": whole[:60] + b"\xff" * 60 + whole[120:],
  }.items():
    (poses / f"{name}.pose").write_bytes(content)
  assert run("lift", input=poses, output=tmp_path / "pose") == 65
  said = capsys.readouterr().err
  for name in ("cut", "empty", "magic", "long"):
    assert f"{name}.pose" in said
  assert lifted_folder.names(tmp_path / "pose") == ["good"]


def _npz_of(folder: pathlib.Path, path: pathlib.Path) -> pathlib.Path:
  convert.convert(path, folder / "one.npz")
  return folder / "one.npz"


def test_hostile_npz(tmp_path, capsys):
  """R21."""
  good = _npz_of(tmp_path, PHOENIX / "dev.skels")

  def changed(**members: object) -> pathlib.Path:
    path = tmp_path / "bad.npz"
    with np.load(good) as arrays:
      made = {**arrays, **members}
    np.savez(path, **made)
    return path

  names_of = np.array(["\ud800x"] * 5)
  wide = np.array([0x110000] * 5, "<u4").view("<U1")
  for path in (
    lambda: changed(fps=np.array([print] * 5, object)),
    lambda: changed(name=names_of),
    lambda: changed(text=wide),
    lambda: changed(offsets=np.array([0, -1, 2, 3, 4, 5])),
    lambda: changed(extra=np.zeros(3)),
    lambda: _bomb(tmp_path / "bomb.npz", good),
  ):
    made = path()
    code = run("convert", input=made, output=tmp_path / "out.h5")
    said = capsys.readouterr().err
    assert code == 65 and str(made) in said and "Traceback" not in said
  assert not (tmp_path / "out.h5").exists()


def _bomb(path: pathlib.Path, good: pathlib.Path) -> pathlib.Path:
  """Unpacks to gigabytes of zeros, it says, and holds a few."""
  with zipfile.ZipFile(good) as whole, zipfile.ZipFile(path, "w") as archive:
    for member in whole.infolist():
      data = whole.read(member)
      if member.filename == "frames.npy":
        data = data.replace(b"(", b"(9999999999, 50, 3), 'x': (", 1)
      archive.writestr(member.filename, data, zipfile.ZIP_DEFLATED)
  return path


def test_bad_lines_of_skels(tmp_path, capsys):
  source = tmp_path / "in"
  shutil.copytree(PHOENIX, source)
  path = source / "train.skels"
  lines = path.read_bytes().split(b"\n")
  numbers = lines[1].split(b" ")
  cases = {
    1: lines[0][:5000] + b" nan" + lines[0][5000:],
    2: b" ".join(numbers[:-1]),
    4: lines[3].replace(b" ", b"  ", 1),
  }
  for number, line in cases.items():
    lines[number - 1] = line
  path.write_bytes(b"\n".join(lines))
  options = {**build_options(source, tmp_path / "data"), "shards": 1}
  options["dataset"] = "prompt2sign/gsl"
  began = time.monotonic()
  assert run("build", **options) == 65
  assert time.monotonic() - began < 10
  said = capsys.readouterr().err
  for number in cases:
    assert f"{path}:{number} frame" in said
  everyone = (PHOENIX / "train.files").read_text().split()
  assert names(tmp_path / "data") == sorted([everyone[2], everyone[4]])
  assert len(names(tmp_path / "data", "dev")) == 5


# Signals.


@contextlib.contextmanager
def stopped_at(module, name: str, count: int, sent: signal.Signals):
  """Sends this process a signal when a function is called for the n-th time."""
  function, calls = getattr(module, name), []

  def counted(*args, **kwargs):
    calls.append(None)
    if len(calls) == count:
      signal.raise_signal(sent)
    return function(*args, **kwargs)

  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(module, name, counted)
    yield
  assert len(calls) >= count


@pytest.fixture
def interruptible():
  """SIGINT interrupts, also where the shell started the tests without it."""
  handler = signal.signal(signal.SIGINT, signal.default_int_handler)
  yield
  signal.signal(signal.SIGINT, handler)


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT])
def test_lifting_is_stopped_and_goes_on(
  sent, source, tmp_path, capsys, monkeypatch
):
  monkeypatch.setattr(lifting_run, "_WRITERS", 1)
  options = {"input": source, "output": tmp_path / "out"}
  handler = signal.getsignal(signal.SIGTERM)
  with stopped_at(lifted_folder, "write", 12, sent):
    assert run("lift", **options) == 42
  assert signal.getsignal(signal.SIGTERM) is handler
  assert "the same command goes on" in capsys.readouterr().err
  done = len(lifted_folder.names(tmp_path / "out"))
  assert 11 <= done <= 14  # the thread goes on until the main thread wakes
  assert run("lift", **options) == 0
  said = capsys.readouterr().out
  assert f"{CLIPS - done} lifted, {done} lifted before" in said
  whole = tmp_path / "whole"
  assert run("lift", **{**options, "output": whole}) == 0
  assert digests(tmp_path / "out") == digests(whole)


@pytest.mark.parametrize(
  ("module", "name", "count"),
  [
    (lifted_folder, "write", 5),
    (records, "from_clip", 7),
    (shard_writer, "_ordered", 1),  # in the writing
    (checksums, "write_sums", 1),  # the records are there
  ],
)
def test_a_build_is_stopped_and_goes_on(
  module, name, count, source, straight, tmp_path
):
  options = build_options(source, tmp_path)
  with stopped_at(module, name, count, signal.SIGTERM):
    assert run("build", **options) == 42
  assert not list(tmp_path.glob("prompt2sign/asl/incomplete*"))
  assert run("build", **options) == 0
  assert sums(tmp_path) == sums(straight)


def test_other_stages_leave_nothing_half_done(tmp_path, capsys, source):
  stages = {
    "extract": (h5, "_check_room", 2, {"input": source, "output": "a.h5"}),
    "prompts": (
      convert.atomic_files,
      "write_text",
      2,
      {"input": PHOENIX, "output": "p", "language": "gsl"},
    ),
    "convert": (
      convert.pose,
      "write",
      3,
      {"input": PHOENIX / "dev.skels", "output": "c", "form": "pose"},
    ),
  }
  for stage, (module, name, count, options) in stages.items():
    output = tmp_path / options["output"]
    with stopped_at(module, name, count, signal.SIGTERM):
      assert run(stage, **{**options, "output": output}) == 42, stage
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
    assert run(stage, **{**options, "output": output}) == 0
    if output.is_dir():
      shutil.rmtree(output)
    else:
      output.unlink()


# Processes that are stopped and killed.


def wait_for_clips(folder: pathlib.Path, count: int, process) -> None:
  while len(list(folder.rglob("*.npz"))) < count:
    assert process.is_alive()
    time.sleep(0.01)


@pytest.mark.usefixtures("interruptible")
def test_processes_that_read_end_with_theirs(source, straight, tmp_path):
  """Ctrl-C, and a kill, while other processes read for it."""
  said = tmp_path / "said"
  options = build_options(source, tmp_path / "data")
  command = ["build", *words(**options, workers=2)]
  for sent, code in ((signal.SIGINT, 42), (signal.SIGKILL, -signal.SIGKILL)):
    process = start(command, said, few=1)
    wait_for_clips(tmp_path, 1, process)
    others = psutil.Process(process.pid).children(recursive=True)
    if sent == signal.SIGINT:
      os.killpg(process.pid, sent)  # as a terminal does
    else:
      os.kill(process.pid, sent)
    finish(process, said, code)
    _, alive = psutil.wait_procs(others, 20)
    assert not alive
  assert "Traceback" not in said.read_text()
  process = start(command, said, few=1)
  finish(process, said)
  assert sums(tmp_path / "data") == sums(straight)


def kill_at_random(
  command: list[str],
  output: pathlib.Path,
  said: pathlib.Path,
  times: int,
  seed: int,
  longest: float,
) -> int:
  """Kills a build at random moments, then lets it finish; returns how many."""
  rng, killed = random.Random(seed), 0
  for _ in range(times):
    process = start(command, said)
    process.join(rng.uniform(0.1, 0.6) * longest)
    if process.is_alive():
      process.kill()
      killed += 1
    process.join()
    process.close()
    for folder in output.glob("prompt2sign/*/1.0.0"):
      record_reader.summarise(folder)  # half a build never has this name
    if any((p / checksums.SUMS).exists() for p in output.glob("*/*/1.0.0")):
      break
  process = start(command, said)
  finish(process, said)
  return killed


def test_killed_at_random_moments_it_is_the_same(source, straight, tmp_path):
  """R19."""
  said = tmp_path / "said"
  whole = tmp_path / "whole"
  began = time.monotonic()
  process = start(["build", *words(**build_options(source, whole))], said)
  finish(process, said)
  took = time.monotonic() - began
  assert sums(whole) == sums(straight)
  output = tmp_path / "data"
  command = ["build", *words(**build_options(source, output))]
  assert kill_at_random(command, output, said, 3, 0, took)
  assert sums(output) == sums(straight)


def test_what_a_kill_leaves_is_removed(source, straight, tmp_path):
  options = build_options(source, tmp_path)
  with stopped_at(lifted_folder, "write", 5, signal.SIGTERM):
    assert run("build", **options) == 42
  folder = tmp_path / ".lifted" / "prompt2sign" / "asl" / "train"
  left = folder / ".clip00009.0123456789abcdef0123456789abcdef"
  left.with_name(f"{left.name}.npz").write_bytes(b"PK")
  left.with_name(f"{left.name}.json").write_text("{")
  half = tmp_path / "prompt2sign" / "asl" / "incomplete.ABCDEF_1.0.0"
  half.mkdir(parents=True)
  (half / "prompt2sign-train.array_record-00000-of-00001").write_bytes(b"")
  (folder / "clip00000.npz").unlink()
  # A split that has gone. Workers may still be writing a hidden file.
  hidden = shutil.ignore_patterns(".*")
  shutil.copytree(folder, folder.with_name("dev"), ignore=hidden)
  (folder.with_name("dev") / "clip00000.npz").write_bytes(b"")
  assert run("build", **options) == 0
  assert sums(tmp_path) == sums(straight)


def test_killed_while_it_cleans_up(source, straight, tmp_path):
  """Qualities are not written anew from what is left of the lifted clips."""
  options = build_options(source, tmp_path)

  whole = shutil.rmtree

  def half(folder, **options):
    if ".lifted" not in str(folder):
      return whole(folder, **options)
    for path in sorted(pathlib.Path(folder).rglob("*.json"))[::2]:
      path.unlink()
    raise KeyboardInterrupt

  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(shutil, "rmtree", half)
    assert run("build", **options) == 42
  assert run("build", **options) == 0
  assert sums(tmp_path) == sums(straight)


def test_a_changed_input_is_built_as_it_is_now(tmp_path, capsys):
  """Not with clips that an interrupted build has lifted of another."""
  options = build_options(tmp_path / "in" / "clips.h5", tmp_path / "data")
  repeated(tmp_path / "in", 5, 30)
  with stopped_at(records, "from_clip", 1, signal.SIGTERM):
    assert run("build", **options) == 42
  shutil.rmtree(tmp_path / "in")
  repeated(tmp_path / "in", 3, 20)
  with stopped_at(records, "from_clip", 1, signal.SIGTERM):
    assert run("build", **options, policy="drop") == 1
    assert "was lifted with policy='keep'" in capsys.readouterr().err
    assert run("build", **options) == 42
  assert run("build", **options) == 0
  fresh = build_options(tmp_path / "in" / "clips.h5", tmp_path / "fresh")
  assert run("build", **fresh) == 0
  assert sums(tmp_path / "data") == sums(tmp_path / "fresh")


def test_more_shards_than_clips(source, tmp_path, capsys):
  options = build_options(source, tmp_path)
  assert run("build", **options, shards=CLIPS + 1) == 1
  assert f"{CLIPS} clips of train in {CLIPS + 1}" in capsys.readouterr().err
  assert run("build", **options, shards=CLIPS) == 0  # what is lifted is kept
  assert f"{CLIPS} lifted before" in capsys.readouterr().out


def test_two_builds_at_once(source, tmp_path, capsys):
  folder = tmp_path / "prompt2sign" / "asl"
  folder.mkdir(parents=True)
  with lifted_folder.locked(folder):
    assert run("build", **build_options(source, tmp_path)) == 1
  assert "another process writes into it" in capsys.readouterr().err
  assert not list(folder.iterdir())


# Storage.


@contextlib.contextmanager
def disk(folder: pathlib.Path, option: str):
  """A small file system of its own."""
  if os.geteuid():
    pytest.skip("only root may mount a small file system")
  folder.mkdir(exist_ok=True)
  mounted = subprocess.run(
    ["mount", "-t", "tmpfs", "-o", option, "tmpfs", folder],
    capture_output=True,
    text=True,
  )
  if mounted.returncode:
    pytest.skip("cannot mount: " + mounted.stderr)
  try:
    yield folder
  finally:
    subprocess.run(["umount", folder], check=True)


def test_read_only_and_full_disks(source, straight, tmp_path, capsys):
  real = HOW2SIGN / "openpose"
  stages = {
    "extract": {"input": real, "output": "a.h5"},
    "lift": {"input": source, "output": "l"},
    "prompts": {"input": PHOENIX, "output": "p", "language": "gsl"},
    "convert": {"input": PHOENIX / "dev.skels", "output": "c.npz"},
    "build": build_options(source, pathlib.Path()),
  }
  for option in ("ro", "size=4k", "size=64k", "size=200k"):
    for stage, options in stages.items():
      with disk(tmp_path / "disk", option) as folder:
        target = folder / options["output"]
        code = run(stage, **{**options, "output": target})
        said = capsys.readouterr().err
        if (stage, option) in (
          ("prompts", "size=64k"),
          ("prompts", "size=200k"),
        ):
          assert code == 0
          continue
        assert code == 74 and str(folder) in said, (stage, option, said)
        assert "Traceback" not in said
        assert not list(folder.glob("prompt2sign/asl/*"))
  with disk(tmp_path / "disk", "size=700k") as folder:
    options = build_options(source, folder)
    assert run("build", **options) == 74  # lifted, but no room for the records
    subprocess.run(["mount", "-o", "remount,size=9m", folder], check=True)
    assert run("build", **options) == 0
    assert sums(folder) == sums(straight)
  capsys.readouterr()


def test_outputs_that_cannot_be(source, tmp_path, capsys):
  (tmp_path / "file").write_text("")
  for stage, name in (
    ("lift", "file/x"),
    ("build", "file/x"),
    ("lift", "file"),
  ):
    options = build_options(source, tmp_path / name)
    if stage == "lift":
      options = {"input": source, "output": tmp_path / name}
    assert run(stage, **options) == 74
    assert "cannot be" in capsys.readouterr().err
  assert run("extract", input=source, output=tmp_path / "no" / "a.h5") == 74


# Long trials.


def resident(process: psutil.Process) -> int:
  """Bytes of a process and all that it started."""
  total = 0
  for each in (process, *process.children(recursive=True)):
    with contextlib.suppress(psutil.Error):
      total += each.memory_info().rss
  return total


def most_resident(command: list[str], said: pathlib.Path) -> int:
  """Runs a command and returns the most memory it took."""
  process, most = start(command, said, chunk=lifting_run._CHUNK), 0
  with contextlib.suppress(psutil.Error):
    watched = psutil.Process(process.pid)
    while process.is_alive():
      most = max(most, resident(watched))
      time.sleep(0.1)
  finish(process, said)
  return most


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_two_thousand_clips_killed_again_and_again(tmp_path):
  """R19."""
  source = repeated(tmp_path / "in", 2000, 30)
  said = tmp_path / "said"

  def command(name: str, workers: int, form: str) -> list[str]:
    options = {
      **build_options(source, tmp_path / name),
      "file_format": form,
      "shards": 4,
      "workers": workers,
    }
    return ["build", *words(**options)]

  began = time.monotonic()
  most = most_resident(command("one", 1, "array_record"), said)
  took = time.monotonic() - began
  most = max(most, most_resident(command("two", 2, "tfrecord"), said))
  print(f"{most / GIB:.2f} GiB; {took:.0f} s a build")
  assert most < 2 * GIB
  expected = sums(tmp_path / "one")
  assert len(names(tmp_path / "one")) == 2000
  assert sums(tmp_path / "two") != expected

  seed = int.from_bytes(os.urandom(4))
  print(f"seed {seed}")
  killed = kill_at_random(
    command("killed", 2, "array_record"),
    tmp_path / "killed",
    said,
    10,
    seed,
    took / 2,
  )
  assert killed >= 3 and sums(tmp_path / "killed") == expected


@pytest.mark.slow
def test_tfrecords_are_the_same_bytes_after_kills(source, tmp_path):
  said = tmp_path / "said"
  results = []
  for name, times in (("straight", 0), ("killed", 5)):
    options = build_options(source, tmp_path / name)
    options["file_format"] = "tfrecord"
    kill_at_random(
      ["build", *words(**options)], tmp_path / name, said, times, 1, 12.0
    )
    results.append(sums(tmp_path / name))
  assert results[0] == results[1]


@pytest.mark.parametrize(
  "found", [".", "data", "data/prompt2sign", "data/prompt2sign/gsl"]
)
def test_a_refused_build_leaves_no_folder(tmp_path, capsys, found):
  """Folders that were there stay; those it made do not."""
  source = tmp_path / "in"
  shutil.copytree(PHOENIX, source)
  (source / "train.text").unlink()
  (tmp_path / found).mkdir(parents=True, exist_ok=True)
  before = sorted(tmp_path.glob("data/**/*"))
  options = build_options(source, tmp_path / "data")
  options["dataset"] = "prompt2sign/gsl"
  assert run("build", **options) == 65
  assert "train.text" in capsys.readouterr().err
  assert (tmp_path / "data").exists() == found.startswith("data")
  assert sorted(tmp_path.glob("data/**/*")) == before

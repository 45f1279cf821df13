"""A built data set is whole, or each of its faults is found and placed."""

import functools
import os
import pathlib
import re
import shutil
import subprocess

import numpy as np
import pytest
from helpers.prompt2sign import PHOENIX, write_split
from helpers.tfrecords import framed
from tensorflow_datasets.proto import tf_example_pb2

from data_pipeline.building import (
  build,
  build_checks,
  build_plan,
  checksums,
  verify,
)
from signllm_jax.core import errors
from signllm_jax.core.skeleton import PROMPT2SIGN50
from signllm_jax.data import records
from signllm_jax.formats import tfrecord

CLIPS = {"train": 6, "dev": 3}


@pytest.fixture(scope="module")
def builds(tmp_path_factory) -> dict[str, pathlib.Path]:
  """A build in each format, two shards a split, with its checksums."""
  folder = tmp_path_factory.mktemp("builds")
  for seed, (split, count) in enumerate(CLIPS.items()):
    write_split(folder / "source", split, count, 50 * seed)
  done = {}
  for file_format in build_checks.FILE_FORMATS:
    done[file_format] = build.build_dataset(
      build_plan.make_plan(
        "prompt2sign/gsl",
        folder / file_format,
        input=folder / "source",
        file_format=file_format,
        shards=2,
      )
    )
    checksums.write_sums(done[file_format])
  return done


@pytest.fixture(params=build_checks.FILE_FORMATS)
def built(request, builds, tmp_path) -> pathlib.Path:
  """One's own copy in either format."""
  return pathlib.Path(
    shutil.copytree(builds[request.param], tmp_path / "gsl" / "1.0.0")
  )


@pytest.fixture
def built_tfrecord(builds, tmp_path) -> pathlib.Path:
  return pathlib.Path(
    shutil.copytree(builds["tfrecord"], tmp_path / "gsl" / "1.0.0")
  )


def shard(folder: pathlib.Path, split: str = "train", number: int = 1):
  (path,) = folder.glob(f"*-{split}.*-0000{number}-of-00002")
  return path


def found(folder: pathlib.Path) -> list[str]:
  """All problems, each of them with a path, the folder's part cut off."""
  problems = verify.problems(folder)
  assert all(isinstance(each, errors.DataError) for each in problems)
  return [str(each).replace(f"{folder}/", "") for each in problems]


def test_whole(built):
  assert verify.problems(built) == []
  assert verify.verify(built) == sum(CLIPS.values())


def test_sums_are_those_of_coreutils(built):
  program = shutil.which("sha256sum")
  if program is None:
    pytest.skip("needs sha256sum")
  command = [program, "--strict", "-c", checksums.SUMS]
  run = subprocess.run(command, cwd=built, capture_output=True, text=True)
  assert run.returncode == 0
  names = {line.split(":")[0] for line in run.stdout.splitlines()}
  assert names == {path.name for path in built.iterdir()} - {checksums.SUMS}
  made = (built / checksums.SUMS).read_bytes()
  with (built / checksums.SUMS).open("wb") as file:
    subprocess.run([program, *sorted(names)], cwd=built, stdout=file)
  assert (built / checksums.SUMS).read_bytes() == made


def test_any_flipped_byte(built):
  """R18: everywhere in a shard; within a record, it is named."""
  path = shard(built)
  content = path.read_bytes()
  named = set()
  for at in np.linspace(0, len(content) - 1, 60).astype(int):
    path.write_bytes(
      content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]
    )
    problems = found(built)
    assert problems[0].startswith(f"{path.name}: its SHA-256 is ")
    assert all(each.startswith(path.name) for each in problems)
    named |= {int(n) for n in re.findall(r"record (\d) ", " ".join(problems))}
  assert named == {0, 1, 2}


def starts(path: pathlib.Path) -> list[int]:
  """Where each record of a TFRecord shard starts."""
  data = tfrecord.TFRecordFiles([path])
  return np.cumsum([0, *(len(framed(each)) for each in data)]).tolist()


def test_cut_in_a_record(built_tfrecord):
  path = shard(built_tfrecord)
  path.write_bytes(path.read_bytes()[: starts(path)[2] + 30])
  sums, records_ = found(built_tfrecord)
  assert sums.startswith(f"{path.name}: its SHA-256")
  assert records_.startswith(f"{path.name}: record 2 (from 0), at byte")
  assert "cut" in records_


def test_cut_between_records(built_tfrecord):
  path = shard(built_tfrecord)
  path.write_bytes(path.read_bytes()[: starts(path)[2]])
  checksums.write_sums(built_tfrecord)
  assert [each.partition(". ")[0] for each in found(built_tfrecord)] == [
    f"{path.name}: the shard holds 2 records; expected 3, as "
    "dataset_info.json says"
  ]


@pytest.mark.parametrize("left", [0.99, 0.5, 0.0])
def test_cut_or_empty(built, left):
  path = shard(built, "dev", 0)
  content = path.read_bytes()
  path.write_bytes(content[: int(left * len(content))])
  sums, *rest = found(built)
  assert sums.startswith(f"{path.name}: its SHA-256")
  assert rest and all(each.startswith(path.name) for each in rest)


def test_missing(built):
  path = shard(built)
  path.unlink()
  (problem,) = found(built)
  assert problem.startswith(f"{path.name}: the shard is missing")


def test_foreign_beside(built):
  path = shard(built)
  shutil.copy(path, built / path.name.replace("prompt2sign", "other"))
  (problem,) = found(built)
  assert problem.startswith("other-train.") and (
    "a shard that does not belong to the build" in problem
  )


def test_foreign_in_place(built):
  """R18: a shard of the same data set, with as many records, under the name."""
  path = shard(built)
  path.write_bytes(shard(built, number=0).read_bytes())
  checksums.write_sums(built)
  problems = found(built)
  assert len(problems) == 3
  for index, problem in enumerate(problems):
    start = f"{path.name}: record {index} (from 0): its name "
    assert problem.startswith(start)
    assert f"that of {shard(built, number=0).name} record {index}" in problem


def test_other_file_in_place(built):
  path = shard(built)
  path.write_bytes(b"\0" * 70000)
  sums, problem = found(built)
  assert path.name in sums and problem.startswith(path.name)


def test_not_a_build(tmp_path):
  with pytest.raises(errors.DataError, match="not a complete build"):
    verify.verify(tmp_path)


def change_record(folder: pathlib.Path, **values) -> pathlib.Path:
  """Gives features of train's record 1 of shard 1 these values."""
  path = shard(folder)
  data = list(tfrecord.TFRecordFiles([path]))
  example = tf_example_pb2.Example.FromString(data[1])
  for key, value in values.items():
    example.features.feature.pop(key)
    if value is not None:
      kind = {bytes: "bytes_list", int: "int64_list"}.get(
        type(value), "float_list"
      )
      getattr(example.features.feature[key], kind).value.append(value)
  data[1] = example.SerializeToString()
  path.write_bytes(b"".join(map(framed, data)))
  checksums.write_sums(folder)
  return path


def numbers(folder: pathlib.Path) -> tuple[np.ndarray, np.ndarray]:
  record = records.decode(tfrecord.TFRecordFiles([shard(folder)])[1])
  return record["frames"].copy(), record["valid"].copy()


def check_record(folder: pathlib.Path, expected: str, **values):
  path = change_record(folder, **values)
  (problem,) = found(folder)
  assert problem.startswith(f"{path.name}: record 1 (from 0): ")
  assert expected in problem


@pytest.mark.parametrize(
  ("values", "expected"),
  [
    ({"fps": 0.0}, "0 frames a second"),
    ({"fps": np.nan}, "nan frames a second"),
    ({"fps": None}, "no fps"),
    ({"valid": None}, "no valid"),
    ({"language": b"XYZ"}, "unknown sign language 'XYZ'"),
    ({"language": b""}, "unknown sign language ''"),
    ({"text": b"\xff"}, "its text is not UTF-8"),
    ({"name": b""}, "its name is empty"),
    ({"frames": b"123"}, "its frames are 3 bytes"),
    ({"frames": b"", "valid": b""}, "frames of 0 times"),
    ({"valid": bytes(150)}, "a mask of 3"),
    ({"fps": 25}, "its fps is of another type; expected a float"),
    ({"text": 1.5}, "its text is of another type; expected bytes"),
  ],
)
def test_faults_of_a_record(built_tfrecord, values, expected):
  check_record(built_tfrecord, expected, **values)


@pytest.mark.parametrize(
  ("joint", "number", "seen", "expected"),
  [
    (4, np.nan, 1, "frame 3 holds NaN"),
    (4, np.inf, 1, "frame 3 holds NaN or infinity"),
    (4, 0.5, 2, "frame 3 has values other than 0 and 1"),
    (4, 0.5, 0, "frame 3 has a missing joint that is not 0"),
    (4, 0.0, 1, "frame 3 has a joint at 0 that is not masked"),
    (PROMPT2SIGN50.joint("neck"), 0.5, 1, "frame 3 has its neck not at 0"),
  ],
)
def test_faults_of_a_pose(built_tfrecord, joint, number, seen, expected):
  frames, valid = numbers(built_tfrecord)
  frames[2, 3 * joint : 3 * joint + 3] = number
  valid[2, joint] = seen
  check_record(
    built_tfrecord, expected, frames=frames.tobytes(), valid=valid.tobytes()
  )


def test_language_of_the_configuration(built_tfrecord):
  """Manual alphabets are of more sign languages than the eight."""
  record = records.decode(tfrecord.TFRecordFiles([shard(built_tfrecord)])[0])
  assert set(record) == set(records.features())
  fault = functools.partial(verify.fault, {**record, "language": "ASQ"})
  assert fault("asq") is None and fault("asq_30fps") is None
  assert fault("gsl") == "unknown sign language 'ASQ'"
  assert verify.fault({**record, "language": "LSF-CH"}, "gsl") is None


def test_changed_sums(built):
  path = built / checksums.SUMS
  lines = path.read_text().splitlines(True)
  shards = [each for each in lines if "record-" in each]

  def problem(*content: str) -> str:
    path.write_text("".join(content))
    (only,) = found(built)
    return only

  wrong = lines[0].replace(lines[0][:4], "beef", 1)
  assert "expected beef" in problem(wrong, *lines[1:])
  assert f"{path.name}:1: not a checksum" in problem("beef\n", *lines)
  assert ":2: not a checksum" in problem(lines[0], "\n", *lines[1:])
  outside = lines[0].replace("  ", "  ../")
  assert ":1: not a checksum" in problem(outside, *lines)
  others = [each for each in lines if each != shards[1]]
  assert f"no checksum of {shards[1].split()[1]}" in problem(*others)
  gone = lines[0].replace("  ", "  gone.")
  assert problem(gone, *lines).startswith("gone.")
  path.write_text("".join(lines)[:-9])
  assert len(found(built)) == 2  # no such file, and none of a shard
  path.unlink()
  (only,) = found(built)
  assert only.startswith(f"{path.name}: no checksums")
  os.mkfifo(path)  # reading it would block
  (only,) = found(built)
  assert only.startswith(f"{path.name}: not a file")


def test_all_problems_in_one_error(built, monkeypatch):
  shard(built).unlink()
  shard(built, "dev", 0).unlink()
  (built / "features.json").write_text(
    (built / "features.json").read_text() + "\n"
  )
  with pytest.raises(errors.DataError, match="3 problems") as caught:
    verify.verify(built)
  assert caught.value.exit_code == 65
  message = str(caught.value)
  assert message.count("the shard is missing") == 2
  assert "features.json: its SHA-256" in message
  monkeypatch.setattr(verify, "LISTED", 1)
  with pytest.raises(errors.DataError, match="and 2 more"):
    verify.verify(built)


def test_real_sentences(tmp_path):
  if not PHOENIX.exists():
    pytest.skip("needs ../shared/data/phoenix14t_mini")
  folder = build.build_dataset(
    build_plan.make_plan(
      "prompt2sign/gsl", tmp_path, input=PHOENIX, file_format="array_record"
    )
  )
  checksums.write_sums(folder)
  assert verify.verify(folder) == 10

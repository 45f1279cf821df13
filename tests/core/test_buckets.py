"""Paths of buckets: what pathlib's names mean there, and faults."""

import pickle
import subprocess
import sys

import pytest
from helpers.bucket_server import bucket as bucket
from helpers.bucket_server import bucket_server as bucket_server
from helpers.paths import ROOT

from signllm_jax.core import atomic_files, buckets, errors, foreign_files, paths


def test_local_paths_stay_paths(tmp_path):
  assert paths.resolve("a", "b") == paths.pathlib.Path("a/b")
  assert paths.local_copy(tmp_path) == tmp_path
  assert not paths.is_remote(tmp_path)


@pytest.mark.parametrize(
  "url",
  [
    "http://host/a",
    "gs://",
    "gs:///a",
    "gs://bucket/../a",
    "gs://bucket/a?b",
    "gs://bucket/a*",
    "gs://bucket/a\nb",
    "gcs://bucket/a",
  ],
)
def test_other_urls_are_refused(url):
  with pytest.raises(errors.UsageError, match="no object of a bucket"):
    paths.resolve(url)


def test_names_are_as_of_pathlib():
  path = paths.resolve("gs://bucket/runs//gsl/", "report.json")
  assert str(path) == "gs://bucket/runs/gsl/report.json"
  assert (path.name, path.stem, path.suffix) == (
    "report.json",
    "report",
    ".json",
  )
  assert path.parent / "report.json" == path == pickle.loads(pickle.dumps(path))
  assert str(path.parent.parent.parent.parent) == "gs://bucket"
  assert path.with_name("x") < path.with_name("y")


def test_objects_are_written_read_listed_and_deleted(bucket, tmp_path):
  root = paths.resolve(bucket.url, "a")
  assert not root.exists() and root.files() == []
  atomic_files.write_text(root / "b" / "ö.txt", "grüße\nzwei")
  (root / "c").write_bytes(bytes(range(256)))
  assert root.is_dir() and (root / "c").is_file() and not root.is_file()
  assert [path.name for path in root.iterdir()] == ["b", "c"]
  assert root.files() == [("b/ö.txt", 12), ("c", 256)]
  assert (root / "b/ö.txt").read_text() == "grüße\nzwei"
  assert (root / "c").read_range(250, 100) == bytes(range(250, 256))
  with foreign_files.open_file(root / "b" / "ö.txt") as file:
    assert file.readline() == "grüße\n".encode()
    assert file.read() == b"zwei"
  (root / "c").copy_to(root / "d")
  assert foreign_files.read(root / "d", 1000) == bytes(range(256))
  with pytest.raises(errors.DataError, match="256 bytes; expected at most 9"):
    foreign_files.read(root / "d", 9)
  copy = paths.local_copy(root / "d")
  assert copy.read_bytes() == bytes(range(256))
  assert paths.local_copy(root / "d") == copy
  (root / "e").upload(copy)
  for entry in root.files():
    (root / entry.name).unlink()
  assert bucket.names() == []
  (root / "c").unlink(missing_ok=True)
  for refused in ((root / "c").unlink, (root / "c").read_bytes):
    with pytest.raises(FileNotFoundError):
      refused()
  with pytest.raises(errors.DataError, match="no such file"):
    foreign_files.read_json(root / "c")
  with pytest.raises(errors.DataError, match="no such file"):
    paths.local_copy(root / "c")


def test_of_two_creators_one_succeeds(bucket):
  path = paths.resolve(bucket.url, "lock")
  path.create(b"first")
  with pytest.raises(FileExistsError):
    path.create(b"second")
  assert path.read_bytes() == b"first"


def test_lost_answers_are_asked_for_again(bucket):
  path = paths.resolve(bucket.url, "lock")
  for ask in (
    lambda: path.create(b"first"),
    path.read_bytes,
    path.exists,
    path.parent.files,
    lambda: path.write_bytes(b"first"),
  ):
    bucket.lost_answers = 1
    ask()
    assert not bucket.lost_answers
  assert path.read_bytes() == b"first"


def test_a_bucket_that_refuses_writes_is_a_storage_error(bucket):
  path = paths.resolve(bucket.url, "runs", "report.json")
  atomic_files.check_writable(path.parent, "--workdir")
  assert bucket.names() == []
  bucket.writes_left = 0
  with pytest.raises(errors.StorageError, match=r"report.json: cannot write"):
    atomic_files.write_text(path, "x")
  with pytest.raises(errors.StorageError, match="--workdir must be a folder"):
    atomic_files.check_writable(path.parent, "--workdir")
  with pytest.raises(OSError, match="no-bucket"):
    buckets.BucketPath("gs://no-bucket/a").write_bytes(b"")


def test_nothing_of_the_extra_is_imported_without_need():
  code = (
    "import sys\n"
    "import signllm_jax.runs.workdir, signllm_jax.data.datasets\n"
    "from signllm_jax.core import paths\n"
    "paths.resolve('gs://bucket/a')\n"
    "print([m for m in ('gcsfs', 's3fs', 'aiohttp') if m in sys.modules])"
  )
  done = subprocess.run(
    [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True
  )
  assert done.stdout.strip() == "[]", done.stderr


def test_a_missing_client_names_its_extra(monkeypatch):
  monkeypatch.setitem(sys.modules, "s3fs", None)
  with pytest.raises(errors.UsageError, match=r"signllm-jax\[s3\]"):
    paths.resolve("s3://bucket/a").exists()

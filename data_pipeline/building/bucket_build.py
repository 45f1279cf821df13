"""Builds into a bucket: made on this machine, then copied there.

The description of the data set is copied last, so that what has one is whole. A
build that was interrupted goes on where it stopped, on the same machine.
"""

import hashlib
import os
import pathlib
from typing import Any

from data_pipeline.building import record_store
from signllm_jax.core import buckets, errors
from signllm_jax.formats import dataset_info


def local_output(output: str | os.PathLike, *request: Any) -> pathlib.Path:
  """The folder of this machine in which a build of a request is made.

  Args:
    output: root of all data sets, in a bucket.
    request: whatever the records depend on.
  """
  home = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
  text = repr((os.fspath(output), *request))
  name = hashlib.sha256(text.encode()).hexdigest()[:16]
  return pathlib.Path(home, "signllm_jax", "builds", name)


def publish(
  folder: pathlib.Path,
  target: buckets.BucketPath,
  store: record_store.Store,
) -> None:
  """Copies a complete build.

  What an interrupted copy of another build left is deleted first.

  Args:
    folder: of the build.
    target: the folder in the bucket, without a complete build.
    store: with the shards, if workers wrote them into the bucket.

  Raises:
    StorageError: an object cannot be written.
  """
  files = {path.name: path for path in folder.iterdir() if path.is_file()}
  last = files.pop(dataset_info.INFO)
  shards = store.shards()
  try:
    for entry in target.files():
      if entry.name not in {*files, *shards}:
        (target / entry.name).unlink(missing_ok=True)
    for name, shard in sorted(shards.items()):
      written = store.path("shards", shard.ident)
      assert isinstance(written, buckets.BucketPath)
      written.copy_to(target / name)
    for name, path in sorted(files.items()):
      (target / name).upload(path)
    (target / last.name).upload(last)
  except OSError as error:
    raise errors.StorageError(
      f"the build cannot be copied: {error}",
      path=target,
      hint="Give the same command again: it goes on",
    ) from error

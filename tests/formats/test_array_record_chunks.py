"""R21: sizes declared in ArrayRecord files."""

import numpy as np
import pytest
from array_record.python import array_record_module

from signllm_jax.core import errors, limits
from signllm_jax.formats import array_record_chunks, shards


def _write(path, records, options="group_size:1"):
  writer = array_record_module.ArrayRecordWriter(str(path), options)
  for record in records:
    writer.write(record)
  writer.close()


def test_r21_a_bomb_is_refused_before_it_is_inflated(tmp_path):
  path = tmp_path / "bomb.array_record"
  _write(path, [b"clip", bytes(limits.MAX_RECORD + 1)])
  assert path.stat().st_size < 300_000
  with pytest.raises(errors.DataError, match="declares 268,435,457 bytes") as e:
    shards.Shards([path], [2], "array_record")
  assert str(e.value.path) == str(path)


@pytest.mark.parametrize("options", ["group_size:1", "group_size:16"])
@pytest.mark.parametrize("seed", range(3))
def test_chunks_over_blocks_are_followed(tmp_path, monkeypatch, options, seed):
  """The largest record is found wherever it lies among blocks of 64 KiB."""
  rng, path = np.random.default_rng(seed), tmp_path / "a.array_record"
  sizes = rng.integers(0, 3000, 200)
  sizes[rng.integers(200)] = 150_000
  records = [rng.bytes(int(size)) for size in sizes]
  _write(path, records, options)
  monkeypatch.setattr(limits, "MAX_RECORD", 200_000)
  found = shards.Shards([path], [200], "array_record")
  assert [found[i] for i in range(200)] == records
  monkeypatch.setattr(limits, "MAX_RECORD", 149_999)
  with pytest.raises(errors.DataError, match=r"declares 1[5-9]"):
    array_record_chunks.check_sizes(path)


def test_what_is_no_chunk_is_left_to_the_library(tmp_path):
  path = tmp_path / "a.array_record"
  _write(path, [b"clip"] * 3)
  whole = path.read_bytes()
  for data in (b"", b"text", whole[:50], whole[:-9], bytes(200_000)):
    path.write_bytes(data)
    array_record_chunks.check_sizes(path)
    with pytest.raises(errors.DataError):
      shards.Shards([path], [3], "array_record")[0]

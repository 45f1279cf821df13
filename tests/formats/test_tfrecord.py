"""TFRecord shards: equality with TensorFlow, and every fault found."""

import concurrent.futures
import pickle
import struct

import numpy as np
import pytest
from etils import epath
from helpers.tfrecords import framed

from signllm_jax.core import errors
from signllm_jax.formats import tfrecord

RECORDS = [b"first", b"", b"x" * 1000, bytes(range(256)), b"last"]


@pytest.fixture
def shard(tmp_path):
  path = tmp_path / "a.tfrecord-00000-of-00001"
  path.write_bytes(b"".join(map(framed, RECORDS)))
  return path


def damage(path, at: int, value: int = 0xFF):
  content = bytearray(path.read_bytes())
  content[at] ^= value
  path.write_bytes(content)


def test_checksum_of_published_vector():
  # RFC 3720, B.4: CRC-32C of 32 zero bytes is 8a9136aa (as a number).
  crc = 0x8A9136AA
  mask = (((crc >> 15) | (crc << 17)) + 0xA282EAD8) % 2**32
  assert tfrecord.masked_crc(bytes(32)) == mask


def test_equals_tensorflow(tmp_path):
  tf = pytest.importorskip("tensorflow", reason="needs the extra `data`")
  rng = np.random.default_rng(0)
  shards = [
    [rng.bytes(int(size)) for size in rng.integers(0, 5000, count)]
    for count in (7, 1, 12)
  ]
  paths = []
  for number, shard in enumerate(shards):
    paths.append(str(tmp_path / f"s-{number}"))
    with tf.io.TFRecordWriter(paths[-1]) as writer:
      for data in shard:
        writer.write(data)
  files = tfrecord.TFRecordFiles(paths, counts=[7, 1, 12])
  assert len(files) == 20
  assert files.lengths == [7, 1, 12]
  expected = [data for shard in shards for data in shard]
  assert list(files) == expected
  read = tf.data.TFRecordDataset(paths).as_numpy_iterator()
  assert list(files) == list(read)
  assert files[-1] == expected[-1]
  assert files[np.int64(8)] == expected[8]


def test_own_framing_is_tensorflows(tmp_path, shard):
  tf = pytest.importorskip("tensorflow", reason="needs the extra `data`")
  with tf.io.TFRecordWriter(str(tmp_path / "tf")) as writer:
    for data in RECORDS:
      writer.write(data)
  assert (tmp_path / "tf").read_bytes() == shard.read_bytes()


def test_index_bounds(shard):
  files = tfrecord.TFRecordFiles([shard])
  for index in (5, -6, 2**70):
    with pytest.raises(IndexError):
      files[index]
  assert len(tfrecord.TFRecordFiles([])) == 0


def test_pickle_and_epath(shard):
  files = pickle.loads(
    pickle.dumps(tfrecord.TFRecordFiles([epath.Path(shard), str(shard)]))
  )
  assert list(files) == RECORDS * 2


def test_threads(tmp_path):
  paths = []
  for shard in range(3):
    paths.append(tmp_path / f"{shard}")
    paths[-1].write_bytes(
      b"".join(framed(b"%d-%d" % (shard, i) * 50) for i in range(40))
    )
  files = tfrecord.TFRecordFiles(paths)
  order = np.random.default_rng(1).integers(0, 120, 2000)
  with concurrent.futures.ThreadPoolExecutor(8) as pool:
    read = list(pool.map(files.__getitem__, order))
  assert read == [b"%d-%d" % divmod(int(i), 40) * 50 for i in order]


def test_flipped_length(shard):
  at = len(framed(RECORDS[0]))  # the second record's first byte
  damage(shard, at)
  with pytest.raises(
    errors.DataError, match=rf"{shard.name}: record 1 \(from 0\), at byte {at}"
  ):
    tfrecord.TFRecordFiles([shard])


@pytest.mark.parametrize("offset", [12, 12 + 1000])  # data, their checksum
def test_flipped_data(shard, offset):
  """R18."""
  start = sum(len(framed(data)) for data in RECORDS[:2])
  damage(shard, start + offset, 0x01)
  files = tfrecord.TFRecordFiles([shard, shard])
  for index in (2, 7):  # the same damage, seen through both shards
    with pytest.raises(
      errors.DataError, match=rf"{shard.name}: record 2 .*checksum .* expected"
    ):
      files[index]
  assert [files[i] for i in (0, 1, 3, 4)] == RECORDS[:2] + RECORDS[3:]


@pytest.mark.parametrize("left", [1, 11, 12, 15, 19])
def test_cut_inside(shard, left):
  """R18: in the header, at its end, in the data, in the last checksum."""
  content = shard.read_bytes()
  start = len(content) - len(framed(RECORDS[-1]))
  shard.write_bytes(content[: start + left])
  with pytest.raises(errors.DataError, match=r"record 4 .* cut"):
    tfrecord.TFRecordFiles([shard])


def test_cut_between(shard):
  """R18."""
  content = shard.read_bytes()
  shard.write_bytes(content[: -len(framed(RECORDS[-1]))])
  assert len(tfrecord.TFRecordFiles([shard])) == 4  # cannot be seen alone
  with pytest.raises(
    errors.DataError, match=rf"{shard.name}: .* 4 records; expected 5"
  ):
    tfrecord.TFRecordFiles([shard], counts=[5])


def test_empty(shard):
  shard.write_bytes(b"")
  with pytest.raises(errors.DataError, match="empty"):
    tfrecord.TFRecordFiles([shard])
  with pytest.raises(errors.DataError, match="0 records; expected 5"):
    tfrecord.TFRecordFiles([shard], counts=[5])
  assert len(tfrecord.TFRecordFiles([shard], counts=[0])) == 0


def test_missing(shard):
  with pytest.raises(errors.DataError, match="gone: the shard is missing"):
    tfrecord.TFRecordFiles([shard, shard.with_name("gone")])


def test_unreadable(tmp_path):
  with pytest.raises(errors.DataError, match="not a file"):
    tfrecord.TFRecordFiles([tmp_path])  # a folder


def test_no_tfrecord(tmp_path):
  path = tmp_path / "zeros"
  path.write_bytes(bytes(100))
  with pytest.raises(errors.DataError, match="no TFRecord file"):
    tfrecord.TFRecordFiles([path])


@pytest.mark.parametrize("size", [2**31, 2**63, 2**64 - 1])
def test_hostile_length(shard, size, monkeypatch):
  length = struct.pack("<Q", size)
  bad = length + struct.pack("<I", tfrecord.masked_crc(length)) + b"little"
  with shard.open("ab") as file:
    file.write(bad)
  asked = []
  pread = tfrecord.os.pread

  def recording(handle, count, start):
    asked.append(count)
    return pread(handle, count, start)

  monkeypatch.setattr(tfrecord.os, "pread", recording)
  with pytest.raises(errors.DataError, match=f"record 5 .* claims {size} byte"):
    tfrecord.TFRecordFiles([shard])
  assert max(asked) == tfrecord.HEADER.size


def test_shortened_while_in_use(shard):
  files = tfrecord.TFRecordFiles([shard])
  shard.write_bytes(shard.read_bytes()[:-2])
  with pytest.raises(errors.DataError, match=r"record 4 .* shorter"):
    files[4]


def test_counts_must_match_paths(shard):
  with pytest.raises(errors.UsageError, match="2 counts for 1 shards"):
    tfrecord.TFRecordFiles([shard], counts=[5, 5])

"""HDF5: one float32 data set (T, 150) per clip, named after it.

A row holds x, y and confidence of the 50 joints (stage 2 of Prompt2Sign's
pipeline). Our attributes, which other tools' files lack, are `fps` (frames per
second) and `size` (width and height of the image, pixels). Texts are not
stored.

HDF5 files can refer to other files in several ways and claim any size, so each
data set is checked before it is read.
"""

import contextlib
import errno
import os
import zlib
from collections.abc import Iterable, Iterator
from typing import Any

import h5py
import numpy as np

from signllm_jax.core import (
  atomic_files,
  clips,
  errors,
  foreign_files,
  limits,
  skeleton,
)
from signllm_jax.core.skeleton import PROMPT2SIGN50
from signllm_jax.formats import detections

_MAX_CHUNK = limits.MAX_FRAMES * PROMPT2SIGN50.num_values * 4  # bytes
_FILTERS = (h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_SHUFFLE)
# Free disk space that HDF5 needs when it closes a file: in all, and per clip.
_SPARE, _SPARE_EACH = 1 << 20, 2 << 10
_FORM = (
  f"a data set of float32 in the file itself, T x {PROMPT2SIGN50.num_values}"
)


def names(path: str | os.PathLike) -> list[str]:
  """Lists the clips of a file, sorted, without reading them.

  Bytes of a name that are not UTF-8 become lone surrogates.

  Raises:
    DataError: no such file, or not an HDF5 file.
  """
  with _open(path) as file:
    keys: list[Any] = list(file)  # str, or bytes that are not UTF-8
  return sorted(
    key.decode("utf-8", "surrogateescape") if isinstance(key, bytes) else key
    for key in keys
  )


def read(
  path: str | os.PathLike, *, fps: float = 25.0
) -> Iterator[clips.Keypoints]:
  """Reads the clips of a file one by one; see `read_clip`."""
  for name in names(path):
    yield read_clip(path, name, fps=fps)


def read_clip(
  path: str | os.PathLike, name: str, *, fps: float = 25.0
) -> clips.Keypoints:
  """Reads one clip of a file.

  Args:
    path: the file.
    name: one of `names`.
    fps: frames per second, if the file has no `fps`.

  Raises:
    DataError: the file is missing or damaged; there is no such clip; it is a
      link, refers to another file, has another type or shape, a filter other
      than gzip, too many frames, or no keypoints in it.
  """
  with _open(path) as file:
    values, attributes = _load(file, name, path)
  if strange := detections.first_invalid(values):
    at, problem = strange
    raise errors.DataError(
      f"clip {name!r}: {problem}",
      path=path,
      frame=at + 1,
      expected="pixels and a confidence",
    )
  return clips.Keypoints(
    detections.clean(values),
    attributes.get("fps", fps),
    attributes.get("size"),
    name,
  )


def write(path: str | os.PathLike, sequence: Iterable[clips.Keypoints]) -> None:
  """Writes clips to a file, atomically and reproducibly.

  Raises:
    DataError: a clip's name is empty, repeated or contains a slash; its
      keypoints are invalid, or too many.
    StorageError: the file cannot be written.
  """
  with (
    atomic_files.atomic_write(path) as temporary,
    h5py.File(temporary, "w", libver="latest") as file,
  ):
    for clip in sequence:
      if clip.name in ("", ".") or "/" in clip.name or clip.name in file:
        raise errors.DataError(
          f"clip name {clip.name!r}",
          path=path,
          expected="each name once, without a slash",
        )
      if strange := detections.first_invalid(clip.frames):
        at, problem = strange
        raise errors.DataError(
          f"clip {clip.name!r}: {problem}", path=path, frame=at + 1
        )
      skeleton.check_same(clip.skeleton, PROMPT2SIGN50, f"clip {clip.name!r}")
      if len(clip) > limits.MAX_FRAMES:
        raise errors.DataError(
          f"clip {clip.name!r} has {len(clip)} frames",
          path=path,
          expected=f"at most {limits.MAX_FRAMES}",
        )
      rows = detections.clean(clip.frames).reshape(-1, PROMPT2SIGN50.num_values)
      _check_room(temporary, rows.nbytes + _SPARE + _SPARE_EACH * len(file))
      data_set = file.create_dataset(clip.name, data=rows)
      data_set.attrs["fps"] = float(clip.fps)
      if clip.size is not None:
        data_set.attrs["size"] = np.array(clip.size, np.int64)


def _check_room(path: os.PathLike, size: int) -> None:
  """Raises an OSError before the disk is full, where HDF5 would crash."""
  disk = os.statvfs(path)
  if disk.f_bavail * disk.f_frsize < size:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@contextlib.contextmanager
def _open(path: str | os.PathLike) -> Iterator[h5py.File]:
  """Opens a file; errors of HDF5 become DataError."""
  foreign_files.check_file(path)
  with (
    foreign_files.parsing(path, "HDF5 file", "Make it anew"),
    h5py.File(path, "r") as file,
  ):
    yield file


def _load(file: h5py.File, name: str, path) -> tuple[np.ndarray, dict]:
  """Stored keypoints [T, J, 3], and the attributes `fps` and `size` if any."""

  def invalid(what: str) -> errors.DataError:
    return errors.DataError(f"clip {name!r} {what}", path=path, expected=_FORM)

  if any("\ud800" <= letter <= "\udfff" for letter in name):
    raise invalid("has a name that is not UTF-8")
  if "/" in name or name not in file.keys():  # noqa: SIM118, no lookup by path
    raise invalid("is not there")
  if not isinstance(file.get(name, getlink=True), h5py.HardLink):
    raise invalid("is a link to elsewhere")  # its target was not opened
  data_set = file[name]
  if not isinstance(data_set, h5py.Dataset):
    raise invalid("is no data set")
  item = data_set.id
  plan = item.get_create_plist()
  # Before the shape: that of a virtual set is read from other files.
  if plan.get_layout() == h5py.h5d.VIRTUAL or plan.get_external_count():
    raise invalid("lies in other files")
  shape, dtype = item.shape, item.dtype
  if dtype not in (np.dtype("<f4"), np.dtype(">f4")):
    raise invalid(f"is of {dtype}")
  if (
    shape is None
    or len(shape) != 2
    or shape[1] != PROMPT2SIGN50.num_values
    or shape[0] > limits.MAX_FRAMES
  ):
    raise invalid(f"has shape {shape}")
  if plan.get_layout() == h5py.h5d.CHUNKED:
    _check_chunks(item, plan, invalid)
  values = np.zeros(shape, np.float32)
  if len(values):
    data_set.read_direct(values)
  return values.reshape(-1, PROMPT2SIGN50.num_joints, 3), _attributes(
    data_set, invalid
  )


def _check_chunks(item, plan, invalid) -> None:
  """Refuses unknown filters, and chunks that unpack to more than their size.

  HDF5 itself unpacks each chunk to its end, however large.
  """
  chunk_shape = plan.get_chunk()
  size = int(np.prod(chunk_shape, dtype=object)) * 4
  most = -(-item.shape[0] // chunk_shape[0]) * -(
    -PROMPT2SIGN50.num_values // chunk_shape[1]
  )
  filters = [plan.get_filter(i)[0] for i in range(plan.get_nfilters())]
  if size > _MAX_CHUNK:
    raise invalid(f"has chunks of {size} bytes")
  if len(set(filters)) < len(filters) or not set(filters) <= set(_FILTERS):
    raise invalid(f"is packed with filters {filters}, not only gzip")
  offsets = []

  def check(chunk) -> None:
    if chunk.size > size + 1024 or len(offsets) == most:
      raise invalid(f"has a chunk of {chunk.size} bytes, or more than {most}")
    offsets.append(chunk.chunk_offset)

  item.chunk_iter(check)
  if h5py.h5z.FILTER_DEFLATE not in filters:
    return
  packed_bit = 1 << filters.index(h5py.h5z.FILTER_DEFLATE)
  for offset in offsets:
    skipped, data = item.read_direct_chunk(offset)
    if skipped & packed_bit:
      continue
    try:
      unpacked = zlib.decompressobj().decompress(data, size + 1)
    except zlib.error as error:
      raise invalid(f"is damaged at {offset}: {error}") from error
    if len(unpacked) != size:
      raise invalid(f"does not unpack to the {size} bytes of a chunk")


def _attributes(data_set: h5py.Dataset, invalid) -> dict:
  attributes = {}
  for key, shape in (("fps", ()), ("size", (2,))):
    if key not in data_set.attrs:
      continue
    attribute = data_set.attrs.get_id(key)
    if attribute.shape != shape or attribute.dtype.kind not in "fiu":
      raise invalid(f"has {key} of {attribute.dtype}, shape {attribute.shape}")
    value = np.asarray(data_set.attrs[key], np.float64)
    in_range = (
      limits.is_rate(float(value))
      if key == "fps"
      else ((value >= 1) & (value <= limits.MAX_PIXEL)).all()
    )
    if not in_range:
      raise invalid(f"has {key} {value.tolist()}")
    attributes[key] = float(value) if key == "fps" else tuple(map(int, value))
  return attributes

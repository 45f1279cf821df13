"""HDF5: one float32 data set (T, 150) per clip, named after it.

A row holds x, y and confidence of the 50 joints (stage 2 of Prompt2Sign's
pipeline). Our attributes, which other tools' files lack, are `fps` (frames per
second), `size` (width and height of the image, pixels) and, of another skeleton
than prompt2sign50, `skeleton`: its name. Then a row holds x, y and confidence
of its joints and, where it has depth, z as a fourth. Texts are not stored.

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
from signllm_jax.core.skeleton import PROMPT2SIGN50, Skeleton
from signllm_jax.formats import detections

_MAX_NAME = 64  # letters of a skeleton's name
_FILTERS = (h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_SHUFFLE)
# Free disk space that HDF5 needs when it closes a file: in all, and per clip.
_SPARE, _SPARE_EACH = 1 << 20, 2 << 10


def _numbers(found: Skeleton) -> int:
  """Numbers of a row: x, y, confidence and, in 3-D, z of each joint.

  prompt2sign50 has no z here: it is lifted.
  """
  deep = found.dims == 3 and found != PROMPT2SIGN50
  return found.num_joints * (4 if deep else 3)


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
    values, found, attributes = _load(file, name, path)
  if strange := detections.first_invalid(values, found):
    at, problem = strange
    raise errors.DataError(
      f"clip {name!r}: {problem}",
      path=path,
      frame=at + 1,
      expected="pixels and a confidence",
    )
  values = detections.clean(values)
  depth = values[..., 3] if values.shape[-1] > 3 else None
  return clips.Keypoints(
    np.ascontiguousarray(values[..., :3]),
    attributes.get("fps", fps),
    attributes.get("size"),
    name,
    skeleton=found,
    depth=depth,
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
      if strange := detections.first_invalid(clip.frames, clip.skeleton):
        at, problem = strange
        raise errors.DataError(
          f"clip {clip.name!r}: {problem}", path=path, frame=at + 1
        )
      if len(clip) > limits.MAX_FRAMES:
        raise errors.DataError(
          f"clip {clip.name!r} has {len(clip)} frames",
          path=path,
          expected=f"at most {limits.MAX_FRAMES}",
        )
      rows = _rows(clip)
      _check_room(temporary, rows.nbytes + _SPARE + _SPARE_EACH * len(file))
      data_set = file.create_dataset(clip.name, data=rows)
      data_set.attrs["fps"] = float(clip.fps)
      if clip.size is not None:
        data_set.attrs["size"] = np.array(clip.size, np.int64)
      if clip.skeleton != PROMPT2SIGN50:
        data_set.attrs["skeleton"] = clip.skeleton.name


def _rows(clip: clips.Keypoints) -> np.ndarray:
  """Numbers [T, N] of a clip.

  Raises:
    DataError: its skeleton needs a depth that it lacks.
  """
  values = clip.frames
  if _numbers(clip.skeleton) > 3 * clip.skeleton.num_joints:
    depth = clip.as_clip().frames[..., 2:]
    values = np.concatenate([values, depth], -1)
  return detections.clean(values).reshape(len(clip), _numbers(clip.skeleton))


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


def _load(
  file: h5py.File, name: str, path
) -> tuple[np.ndarray, Skeleton, dict]:
  """Stored numbers [T, J, 3 or 4], skeleton, and `fps` and `size` if any."""
  found = PROMPT2SIGN50

  def invalid(what: str) -> errors.DataError:
    return errors.DataError(
      f"clip {name!r} {what}",
      path=path,
      expected="a data set of float32 in the file itself, T x "
      f"{_numbers(found)} ({found.name})",
    )

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
  found = _skeleton_of(data_set, invalid)
  shape, dtype = item.shape, item.dtype
  if dtype not in (np.dtype("<f4"), np.dtype(">f4")):
    raise invalid(f"is of {dtype}")
  if (
    shape is None
    or len(shape) != 2
    or shape[1] != _numbers(found)
    or shape[0] > limits.MAX_FRAMES
  ):
    raise invalid(f"has shape {shape}")
  if plan.get_layout() == h5py.h5d.CHUNKED:
    _check_chunks(item, plan, invalid)
  values = np.zeros(shape, np.float32)
  if len(values):
    data_set.read_direct(values)
  numbers = _numbers(found) // found.num_joints
  values = values.reshape(-1, found.num_joints, numbers)
  return values, found, _attributes(data_set, invalid)


def _skeleton_of(data_set: h5py.Dataset, invalid) -> Skeleton:
  """The skeleton that a data set names."""
  if "skeleton" not in data_set.attrs:
    return PROMPT2SIGN50
  attribute = data_set.attrs.get_id("skeleton")
  kind = attribute.get_type()
  if attribute.shape != () or not isinstance(kind, h5py.h5t.TypeStringID):
    raise invalid("has a skeleton that is no name")
  if not kind.is_variable_str() and kind.get_size() > _MAX_NAME:
    raise invalid("has a skeleton of too long a name")
  name = str(data_set.attrs["skeleton"])[:_MAX_NAME]
  if name not in skeleton.SKELETONS:
    raise invalid(f"has the skeleton {name!r}")
  return skeleton.get(name)


def _check_chunks(item, plan, invalid) -> None:
  """Refuses unknown filters, and chunks that unpack to more than their size.

  HDF5 itself unpacks each chunk to its end, however large.
  """
  chunk_shape = plan.get_chunk()
  size = int(np.prod(chunk_shape, dtype=object)) * 4
  rows, columns = item.shape
  most = -(-rows // chunk_shape[0]) * -(-columns // chunk_shape[1])
  filters = [plan.get_filter(i)[0] for i in range(plan.get_nfilters())]
  if size > limits.MAX_FRAMES * columns * 4:
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

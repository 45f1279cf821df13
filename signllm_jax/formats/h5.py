"""HDF5: one float32 data set (T, 150) a clip, named after it.

A row holds x, y and the confidence of each of the 50 joints; stage 2 of
Prompt2Sign's pipeline. Attributes of ours, which other tools' files lack, say
`fps` (frames a second) and `size` (the picture's width and height, pixels).
Texts have no place in it.

A file may refer to other files in several ways and may claim any size, so each
data set is looked at closely before a byte of it is read.
"""

import contextlib
import errno
import os
import zlib
from collections.abc import Iterable, Iterator

import h5py
import numpy as np

from signllm_jax.core import atomic_files, clips, errors, skeleton
from signllm_jax.formats import detections

MAX_FRAMES = 100_000  # of a clip, an hour
_MAX_CHUNK = MAX_FRAMES * skeleton.C * 4  # bytes
_FILTERS = (h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_SHUFFLE)
# Bytes that must be left on a disk for what HDF5 writes at the end: in all, and
# for each clip.
_SPARE, _SPARE_EACH = 1 << 20, 2 << 10
_FORM = f"a data set of float32 in the file itself, T x {skeleton.C}"


def names(path: str | os.PathLike) -> list[str]:
  """The clips of a file, sorted; none is read.

  Raises:
    DataError: no such file, or not an HDF5 file.
  """
  with _open(path) as file:
    return sorted(file)


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
    fps: frames a second, where the file does not say.

  Raises:
    DataError: the file is missing or damaged; there is no such clip; it is a
      link, refers to another file, has another type or shape, a filter other
      than gzip, more than MAX_FRAMES frames, or no keypoints in it.
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
  """Writes clips to a file, replaced as a whole; the same clips, same bytes.

  Raises:
    DataError: a clip's name is empty, is there twice or holds a slash; its
      keypoints are what no detector makes, or too many.
    StorageError: the file cannot be written.
  """
  with (
    atomic_files.atomic_write(path) as part,
    h5py.File(part, "w", libver="latest") as file,
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
      if len(clip) > MAX_FRAMES:
        raise errors.DataError(
          f"clip {clip.name!r} has {len(clip)} frames",
          path=path,
          expected=f"at most {MAX_FRAMES}",
        )
      rows = detections.clean(clip.frames).reshape(-1, skeleton.C)
      _check_room(part, rows.nbytes + _SPARE + _SPARE_EACH * len(file))
      data_set = file.create_dataset(clip.name, data=rows)
      data_set.attrs["fps"] = float(clip.fps)
      if clip.size is not None:
        data_set.attrs["size"] = np.array(clip.size, np.int64)


def _check_room(part: os.PathLike, wanted: int) -> None:
  """Raises an OSError before the disk is full: HDF5 would crash."""
  disk = os.statvfs(part)
  if disk.f_bavail * disk.f_frsize < wanted:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@contextlib.contextmanager
def _open(path: str | os.PathLike) -> Iterator[h5py.File]:
  """An open file; whatever HDF5 finds wrong with it becomes a DataError."""
  if not os.path.isfile(path):
    raise errors.DataError("no such file", path=path)
  try:
    with h5py.File(path, "r") as file:
      yield file
  except (OSError, RuntimeError, ValueError, KeyError, TypeError) as error:
    raise errors.DataError(
      f"not a whole HDF5 file ({error})", path=path, hint="Make it anew"
    ) from error


def _load(file: h5py.File, name: str, path) -> tuple[np.ndarray, dict]:
  """[T, J, 3] as stored, and the attributes `fps` and `size` if there."""

  def wrong(what: str) -> errors.DataError:
    return errors.DataError(f"clip {name!r} {what}", path=path, expected=_FORM)

  if "/" in name or name not in file.keys():  # noqa: SIM118, no lookup by path
    raise wrong("is not there")
  if not isinstance(file.get(name, getlink=True), h5py.HardLink):
    raise wrong("is a link to elsewhere")  # nothing of it has been opened
  data_set = file[name]
  if not isinstance(data_set, h5py.Dataset):
    raise wrong("is no data set")
  item = data_set.id
  plan = item.get_create_plist()
  # Before the shape: that of a virtual set is found in the files it is made of.
  if plan.get_layout() == h5py.h5d.VIRTUAL or plan.get_external_count():
    raise wrong("lies in other files")
  shape, dtype = item.shape, item.dtype
  if dtype not in (np.dtype("<f4"), np.dtype(">f4")):
    raise wrong(f"is of {dtype}")
  if (
    shape is None
    or len(shape) != 2
    or shape[1] != skeleton.C
    or shape[0] > MAX_FRAMES
  ):
    raise wrong(f"has shape {shape}")
  if plan.get_layout() == h5py.h5d.CHUNKED:
    _check_chunks(item, plan, wrong)
  values = np.zeros(shape, np.float32)
  if len(values):
    data_set.read_direct(values)
  return values.reshape(-1, skeleton.J, 3), _attributes(data_set, wrong)


def _check_chunks(item, plan, wrong) -> None:
  """Refuses unknown filters, and chunks that unpack to more than they should.

  HDF5 itself unpacks each to the end, however large.
  """
  chunk_shape = plan.get_chunk()
  size = int(np.prod(chunk_shape, dtype=object)) * 4
  most = -(-item.shape[0] // chunk_shape[0]) * -(-skeleton.C // chunk_shape[1])
  filters = [plan.get_filter(i)[0] for i in range(plan.get_nfilters())]
  if size > _MAX_CHUNK:
    raise wrong(f"has chunks of {size} bytes")
  if len(set(filters)) < len(filters) or not set(filters) <= set(_FILTERS):
    raise wrong(f"is packed with filters {filters}, not only gzip")
  offsets = []

  def check(chunk) -> None:
    if chunk.size > size + 1024 or len(offsets) == most:
      raise wrong(f"has a chunk of {chunk.size} bytes, or more than {most}")
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
      raise wrong(f"is damaged at {offset}: {error}") from error
    if len(unpacked) != size:
      raise wrong(f"does not unpack to the {size} bytes of a chunk")


def _attributes(data_set: h5py.Dataset, wrong) -> dict:
  found = {}
  for key, shape in (("fps", ()), ("size", (2,))):
    if key not in data_set.attrs:
      continue
    attribute = data_set.attrs.get_id(key)
    if attribute.shape != shape or attribute.dtype.kind not in "fiu":
      raise wrong(f"has {key} of {attribute.dtype}, shape {attribute.shape}")
    value = np.asarray(data_set.attrs[key], np.float64)
    if not (
      np.isfinite(value) & (value > 0) & (value <= detections.MAX_PIXEL)
    ).all():
      raise wrong(f"has {key} {value.tolist()}")
    found[key] = float(value) if key == "fps" else tuple(map(int, value))
  return found

"""`.npz`: clips in one file without loss, readable by NumPy alone.

Members, for N clips with sum(T) frames in all: frames [sum T, J, 3] float32,
valid [sum T, J] bool, offsets [N + 1] int64 (clip i is frames offsets[i] to
offsets[i + 1]), fps [N] float64 and name, text, gloss [N] unicode.
"""

import itertools
import os
import zipfile
from collections.abc import Sequence

import numpy as np

from signllm_jax.core import atomic_files, clips, errors, skeleton

MAX_BYTES = 4 << 30  # unpacked; some six million frames
# Dtype and trailing shape of each member.
_MEMBERS = {
  "frames": ("f4", (skeleton.J, 3)),
  "valid": ("b1", (skeleton.J,)),
  "offsets": ("i8", ()),
  "fps": ("f8", ()),
  "name": ("U", ()),
  "text": ("U", ()),
  "gloss": ("U", ()),
}


def write(path: str | os.PathLike, sequence: Sequence[clips.Clip]) -> None:
  """Writes clips to a file, atomically.

  Raises:
    DataError: a clip holds NaN or infinity.
    StorageError: the file cannot be written.
  """
  frames = [np.zeros((0, skeleton.J, 3)), *(clip.frames for clip in sequence)]
  valid = [np.zeros((0, skeleton.J)), *(clip.valid for clip in sequence)]
  arrays = {
    "frames": np.concatenate(frames).astype("<f4"),
    "valid": np.concatenate(valid).astype(bool),
    "offsets": np.cumsum([len(part) for part in frames]).astype("<i8"),
    "fps": np.array([clip.fps for clip in sequence], "<f8"),
  }
  for key in ("name", "text", "gloss"):
    arrays[key] = np.array([getattr(clip, key) for clip in sequence], "<U")
  _check_finite(arrays["frames"], path)
  with (
    atomic_files.atomic_write(path) as temporary,
    temporary.open("wb") as file,
  ):
    np.savez(file, allow_pickle=False, **arrays)


def read(path: str | os.PathLike) -> list[clips.Clip]:
  """Reads all clips of a file.

  Sizes and types are checked before anything is unpacked, so a hostile file
  costs no more memory than MAX_BYTES and runs no code.

  Raises:
    DataError: the file is missing, damaged, or holds other members, types or
      shapes than `write` makes, or more than MAX_BYTES.
  """
  try:
    with zipfile.ZipFile(path) as archive:
      arrays = _unpack(archive, path)
  except FileNotFoundError as error:
    raise errors.DataError("no such file", path=path) from error
  except (zipfile.BadZipFile, EOFError, ValueError, OSError) as error:
    raise errors.DataError(
      f"not a whole .npz file ({error})", path=path, hint="Make it anew"
    ) from error
  offsets = arrays["offsets"]
  n = len(offsets) - 1
  if (
    n < 0
    or offsets[0] != 0
    or (np.diff(offsets) < 0).any()
    or any(len(arrays[key]) != offsets[-1] for key in ("frames", "valid"))
    or any(len(arrays[key]) != n for key in ("fps", "name", "text", "gloss"))
  ):
    raise errors.DataError(
      "offsets and lengths of the members do not agree",
      path=path,
      expected="offsets that rise from 0 to the number of frames",
    )
  _check_finite(arrays["frames"], path)
  return [
    clips.Clip(
      arrays["frames"][start:end],
      arrays["valid"][start:end],
      float(arrays["fps"][i]),
      *(str(arrays[key][i]) for key in ("name", "text", "gloss")),
    )
    for i, (start, end) in enumerate(itertools.pairwise(offsets))
  ]


def _unpack(archive: zipfile.ZipFile, path) -> dict[str, np.ndarray]:
  members = archive.infolist()
  found = sorted(member.filename for member in members)
  if found != sorted(f"{key}.npy" for key in _MEMBERS):
    raise errors.DataError(
      f"members {', '.join(found[:10])}",
      path=path,
      expected=", ".join(f"{key}.npy" for key in _MEMBERS),
    )
  size = sum(member.file_size for member in members)
  if size > MAX_BYTES:
    raise errors.DataError(
      f"{size} bytes unpacked", path=path, expected=f"at most {MAX_BYTES}"
    )
  arrays = {}
  for member in members:
    key = member.filename.removesuffix(".npy")
    kind, tail = _MEMBERS[key]
    with archive.open(member) as file:
      # Parsed here: NumPy's own reader allocates what the header claims.
      version = np.lib.format.read_magic(file)
      if version != (1, 0):
        raise ValueError(f"{member.filename} is of version {version}")
      shape, _, dtype = np.lib.format.read_array_header_1_0(file)
      right_kind = dtype.kind == "U" if kind == "U" else dtype == np.dtype(kind)
      if not right_kind or len(shape) != 1 + len(tail) or shape[1:] != tail:
        raise errors.DataError(
          f"{member.filename} is {dtype} of shape {shape}",
          path=path,
          expected=f"{kind} of shape {('any', *tail)}",
        )
      data = file.read()
    count = int(np.prod(shape, dtype=object))
    if len(data) != count * dtype.itemsize:
      raise ValueError(f"{member.filename} holds {len(data)} bytes")
    arrays[key] = np.ndarray(shape, dtype, bytearray(data))
    if kind == "U" and count * dtype.itemsize:
      codes = np.frombuffer(data, np.dtype("u4").newbyteorder(dtype.byteorder))
      # NumPy would make invalid strings of other codes.
      if (codes > 0x10FFFF).any() or (codes >> 11 == 0xD800 >> 11).any():
        raise ValueError(f"{member.filename} is not Unicode")
  return arrays


def _check_finite(frames: np.ndarray, path) -> None:
  finite = np.isfinite(frames).all((1, 2))
  if not finite.all():
    raise errors.DataError(
      "NaN or infinity",
      path=path,
      frame=int(np.argmin(finite)) + 1,
      expected="finite numbers (frames are counted over all clips)",
    )

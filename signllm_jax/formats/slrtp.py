"""`.pt` of the SLRTP 2025 challenge: clips of holistic178, by torch.

The file holds {name: {"poses_3d": [N, 178, 3], "text": str, "gloss": str}}, or
{name: [N, 178, 3]} for productions, at 25 frames a second. The order of points
is the body's (as in holistic178), the right hand, the left hand and the face.
The points of the face stand in the order in which Python 3.7 ran through the
set FACEMESH_CONTOURS of MediaPipe (`FACE_ORDER`): all 92 edges of the face that
the challenge published are contours of MediaPipe in this order alone.

A point at (0, 0, 0) is missing. Where the hips lie above the shoulders, y is
up: the clip is turned by a half turn about x, to y down. torch's loader of
weights reads it, which runs no code, from members that are not packed.

Sources: github.com/walsharry/SLRTP-Sign-Production-Evaluation, README.md;
github.com/walsharry/SLRTP_Skeleton_Keypoint_information, keypoint_def.py.
"""

import functools
import importlib
import os
import zipfile
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from signllm_jax.core import (
  atomic_files,
  clips,
  errors,
  extras,
  foreign_files,
  limits,
)
from signllm_jax.core import skeleton as skeleton_lib
from signllm_jax.core.skeleton import HOLISTIC178
from signllm_jax.formats import archives

FPS = 25.0
FACE_ORDER = (
  *(82, 13, 381, 382, 311, 310, 70, 63, 87, 14, 362, 80, 81, 144, 145, 390),
  *(373, 377, 152, 66, 107, 466, 388, 158, 157, 93, 234, 293, 334, 375, 291),
  *(37, 0, 163, 312, 374, 270, 409, 365, 379, 173, 318, 324, 378, 400, 308),
  *(332, 284, 162, 21, 263, 386, 385, 33, 7, 61, 185, 161, 160, 103, 67, 53),
  *(52, 321, 454, 323, 361, 176, 149, 155, 133, 295, 285, 317, 40, 39, 338),
  *(297, 17, 314, 415, 384, 148, 397, 172, 58, 54, 132, 387, 127, 178, 181),
  *(84, 283, 282, 136, 105, 300, 153, 159, 251, 389, 296, 336, 109, 65, 249),
  *(154, 46, 380, 246, 276, 267, 269, 146, 402, 78, 191, 405, 356, 398, 288),
  *(95, 91, 10, 88, 55, 150),
)
_MAX_INDEX = 64 * limits.MIB  # bytes of data.pkl; 7,000 clips take 2 MiB
_FORM = '{name: {"poses_3d": [N, 178, 3], "text": ..., "gloss": ...}}'


def _order() -> list[int]:
  """The point of the file that each joint of holistic178 is."""
  parts = HOLISTIC178.parts
  joints = [*parts["body"], *parts["right_hand"], *parts["left_hand"]]
  joints += [HOLISTIC178.joint(f"mesh_{number}") for number in FACE_ORDER]
  return np.argsort(joints).tolist()


_POINTS = _order()


class Entry(NamedTuple):
  """A clip of a file that has not been converted yet."""

  name: str
  text: str
  gloss: str
  poses: Any  # a tensor


def entries(path: str | os.PathLike) -> dict[str, Entry]:
  """The clips of a file by name, which are read only where they are used.

  Raises:
    UsageError: torch is not installed.
    DataError: the file is missing, damaged, packed, or of another form.
    StorageError: it cannot be read.
  """
  stamp = foreign_files.stamp(path, limits.MAX_ARCHIVE)
  return _entries(os.fspath(path), stamp)


@functools.lru_cache(maxsize=1)
def _entries(path: str, stamp: tuple[int, int]) -> dict[str, Entry]:
  torch = _torch("read")
  del stamp  # a file that has changed is read again
  _check_members(path)
  with foreign_files.parsing(path, ".pt file of torch"):
    stored = torch.load(path, "cpu", weights_only=True, mmap=True)
  if not isinstance(stored, dict) or not 0 < len(stored) <= limits.MAX_CLIPS:
    raise errors.DataError(
      f"a {type(stored).__name__} in it, or no clips", path=path, expected=_FORM
    )
  found = {}
  for name, value in stored.items():
    fields = value if isinstance(value, dict) else {"poses_3d": value}
    text, gloss = (fields.get(key) or "" for key in ("text", "gloss"))
    if not all(isinstance(each, str) for each in (name, text, gloss)):
      raise errors.DataError(
        f"clip {str(name)[:60]!r} has a name or text that is no string",
        path=path,
        expected=_FORM,
      )
    found[name] = Entry(name, text, gloss, fields.get("poses_3d"))
  return found


def _check_members(path: str) -> None:
  """Refuses members that are packed, or an index that is too large."""
  with archives.open_archive(path, ".pt file of torch") as archive:
    for member in archive.infolist():
      index = member.filename.endswith("data.pkl")
      if member.compress_type != zipfile.ZIP_STORED or (
        index and member.file_size > _MAX_INDEX
      ):
        raise errors.DataError(
          f"{member.filename[:80]!r} is packed, or of {member.file_size} bytes",
          path=path,
          expected="a file as torch.save writes it",
        )


def read(path: str | os.PathLike) -> Iterator[clips.Clip]:
  """Reads the clips of a file one by one; raises as `entries` and `to_clip`."""
  for entry in entries(path).values():
    yield to_keypoints(entry, path).as_clip()


def to_keypoints(entry: Entry, path: str | os.PathLike) -> clips.Keypoints:
  """A clip as keypoints with depth, in the unit of the file, y down.

  Raises:
    DataError: it has another type or shape, is longer than the file, or holds
      numbers that are not finite.
  """
  torch = _torch("read")
  poses, place = entry.poses, f"{os.fspath(path)} clip {entry.name[:100]!r}"
  floats = (torch.float16, torch.float32, torch.float64, torch.bfloat16)
  shape = tuple(getattr(poses, "shape", ()))
  if (
    not isinstance(poses, torch.Tensor)
    or poses.layout != torch.strided
    or poses.device.type != "cpu"
    or poses.dtype not in floats
    or len(shape) != 3
    or shape[1:] != HOLISTIC178.shape
    or not 0 < shape[0] <= limits.MAX_FRAMES
  ):
    raise errors.DataError(
      f"{type(poses).__name__} of shape {shape}",
      path=place,
      expected=f"a tensor of floats (1 to {limits.MAX_FRAMES}, 178, 3)",
    )
  if poses.numel() * poses.element_size() > poses.untyped_storage().nbytes():
    raise errors.DataError("frames that the file does not hold", path=place)
  with foreign_files.parsing(place, "tensor"):
    values = poses.detach().to(torch.float32).numpy()[:, _POINTS]
  finite = (np.abs(values) <= limits.MAX_PIXEL).all((1, 2))  # False for NaN
  if not finite.all():
    raise errors.DataError(
      "NaN, infinity or numbers too large",
      path=place,
      frame=int(np.argmin(finite)) + 1,
      expected="finite numbers",
    )
  seen = values.any(-1)
  if _is_upright(values, seen):
    values = values * np.array([1, -1, -1], np.float32)
  frames = np.concatenate([values[..., :2], seen[..., None]], -1)
  return clips.Keypoints(
    frames.astype(np.float32),
    FPS,
    name=entry.name,
    text=entry.text,
    gloss=entry.gloss,
    skeleton=HOLISTIC178,
    depth=values[..., 2],
  )


def _is_upright(values: np.ndarray, seen: np.ndarray) -> bool:
  """Whether the hips are above the shoulders in an image, so that y is up."""
  hips = [HOLISTIC178.joint(f"{side}_hip") for side in ("right", "left")]
  joints = [*HOLISTIC178.shoulders, *hips]
  y = values[seen[:, joints].all(1)][:, joints, 1].mean(0)
  return bool(y[2:].sum() < y[:2].sum())


def write(path: str | os.PathLike, sequence: Sequence[clips.Clip]) -> None:
  """Writes clips with their texts and glosses, atomically and reproducibly.

  They are brought to 25 frames a second, which the form does not say. Missing
  joints become (0, 0, 0). Prompts are not stored.

  Raises:
    UsageError: torch is not installed.
    DataError: a clip has another skeleton, an empty or repeated name, or
      numbers that are not finite.
    StorageError: the file cannot be written.
  """
  torch = _torch("written")
  stored = {}
  for clip in sequence:
    skeleton_lib.check_same(clip.skeleton, HOLISTIC178, f"clip {clip.name!r}")
    if not clip.name or clip.name in stored:
      raise errors.DataError(
        f"clip name {clip.name!r}", path=path, expected="each name once"
      )
    clip = clips.resample(clip, FPS)
    poses = np.empty((len(clip), *HOLISTIC178.shape), np.float32)
    poses[:, _POINTS] = np.where(clip.valid[..., None], clip.frames, 0)
    if not np.isfinite(poses).all():
      raise errors.DataError(
        f"clip {clip.name!r} holds NaN or infinity", path=path
      )
    stored[clip.name] = {
      "name": clip.name,
      "text": clip.text,
      "gloss": clip.gloss,
      "poses_3d": torch.from_numpy(poses),
    }
  with (
    atomic_files.atomic_write(path) as temporary,
    temporary.open("wb") as file,
  ):
    torch.save(stored, file)


def _torch(done: str) -> Any:
  try:
    return importlib.import_module("torch")
  except ModuleNotFoundError as error:
    raise extras.not_installed(
      f".pt of SLRTP is {done}", error.name, "torch"
    ) from error

"""`.bvh`: a clip as joints that turn, for Blender and other animation tools.

The tree is that of `skeleton.LIMBS`, its root the nose. Every joint has six
channels: rotations alone cannot carry bones whose length changes from frame to
frame, as those of produced clips do. The three positions are the joint's place
in its parent's axes and stand in place of OFFSET (so Blender, and bvhio, take
them): they make every joint exact. The rotations point each bone along its
child, or best along its children, with the least twist against its parent.

OFFSET is the rest pose: arms and fingers stretched to the sides (T-pose), bones
as long as the clip's median. Axes are those of BVH, y up and z to the viewer:
(x, -y, -z) of a clip's, half a turn about x, so right-handed as before. A unit
stays a unit: shoulders 1/3 apart are a person in metres, Blender's unit.

BVH has no mark for a missing joint: it keeps its last (before that, its next)
way from its parent, or that of the rest pose if never seen with it; the root
keeps its place. After reading, all joints are valid.
"""

import os
import pathlib
import re
from collections.abc import Iterator

import numpy as np

from signllm_jax.core import atomic_files, clips, errors, skeleton
from signllm_jax.formats import bvh_rig, skels

MAX_BYTES = 256 << 20
MAX_FRAMES = 50_000  # half an hour
MAX_JOINTS = 256  # of a file, with those that are not ours
MAX_LINE = 1 << 16  # bytes; six numbers for each of MAX_JOINTS
MAX_BLANKS = 1000  # lines without a word, before the frames
MAX_VALUE = 1e9  # of a number
MAX_FPS = 10_000
_BLOCK = 2048  # frames at a time
_FRAME_TIME_DIGITS = 5e-7  # half the last of a frame time in six decimals
_POSITIONS = ("Xposition", "Yposition", "Zposition")
_ROTATIONS = ("Zrotation", "Xrotation", "Yrotation")  # as written, in order
_CHANNELS = (*_POSITIONS, *sorted(_ROTATIONS))


def write(path: str | os.PathLike, clip: clips.Clip) -> None:
  """Writes one clip; text, gloss, name and mask have no place in the format.

  Args:
    path: the file to make; replaced as a whole.
    clip: canonical, to be of a person's size; numbers have six decimals.

  Raises:
    DataError: the clip has no frames, too many, or numbers that are not finite
      or beyond MAX_VALUE.
    StorageError: the file cannot be written.
  """
  if not 0 < len(clip) <= MAX_FRAMES:
    raise errors.DataError(
      f"clip {clip.name!r} has {len(clip)} frames",
      path=path,
      expected=f"1 to {MAX_FRAMES}",
    )
  fine = (np.abs(clip.frames) <= MAX_VALUE).all((1, 2))  # NaN is not
  if not fine.all():
    raise errors.DataError(
      f"clip {clip.name!r} holds NaN, infinity or numbers above {MAX_VALUE:g}",
      path=path,
      frame=int(np.argmin(fine)) + 1,
    )
  directions = bvh_rig.rest_directions()
  rest = directions * bvh_rig.bone_lengths(clip)[:, None]
  values = bvh_rig.solve(bvh_rig.fill(clip, rest), directions).reshape(
    len(clip), -1
  )
  row = " ".join(["%.6f"] * values.shape[1]) + "\n"
  with (
    atomic_files.atomic_write(path) as part,
    part.open("w", newline="\n") as file,
  ):
    file.write("HIERARCHY\n" + "".join(_hierarchy(0, rest, "")))
    file.write(
      f"MOTION\nFrames: {len(clip)}\nFrame Time: {1 / float(clip.fps)!r}\n"
    )
    for start in range(0, len(clip), _BLOCK):
      block = values[start : start + _BLOCK]
      file.write(row * len(block) % tuple(block.ravel().tolist()))


def read(path: str | os.PathLike) -> clips.Clip:
  """Reads a clip of `write`, or of another tool whose joints have our names.

  Joints may stand in any order and tree, with any channels in any order, and
  others may stand between: they turn what hangs on them and are left out.
  Places are those of forward kinematics, a joint's position channels standing
  in place of its OFFSET. A frame time that is a whole rate's in six decimals
  is taken for that. The clip is named after the file.

  Raises:
    DataError: the file is missing, damaged or too large, or lacks a joint.
    StorageError: the file cannot be read.
  """
  path = pathlib.Path(path)
  try:
    size = path.stat().st_size
    if not path.is_file() or size > MAX_BYTES:
      raise errors.DataError(
        f"{size} bytes", path=path, expected=f"a file of at most {MAX_BYTES}"
      )
    words = _Words(path)
    joints = _read_tree(words)
    fps, values = _read_motion(words, sum(len(j.channels) for j in joints))
  except FileNotFoundError as error:
    raise errors.DataError("no such file", path=path) from error
  except OSError as error:
    raise errors.StorageError(f"cannot be read: {error}", path=path) from error
  at = {joint.name: index for index, joint in enumerate(joints)}
  ours = [at[name] for name in skeleton.JOINT_NAMES]
  frames = np.empty((len(values), skeleton.J, 3), np.float32)
  for start in range(0, len(values), _BLOCK):
    block = slice(start, start + _BLOCK)
    frames[block] = (
      bvh_rig.forward(joints, values[block])[:, ours] * bvh_rig.AXES
    )
  return clips.Clip(frames, np.ones(frames.shape[:2], bool), fps, path.stem)


def _hierarchy(joint: int, rest: np.ndarray, indent: str) -> Iterator[str]:
  def offset(place) -> str:
    return "OFFSET " + " ".join(f"{number:.6f}" for number in place)

  inner = indent + "  "
  kind = "JOINT" if joint else "ROOT"
  channels = " ".join((*_POSITIONS, *_ROTATIONS))
  yield f"{indent}{kind} {skeleton.JOINT_NAMES[joint]}\n{indent}{{\n"
  yield f"{inner}{offset(rest[joint])}\n{inner}CHANNELS 6 {channels}\n"
  for child in bvh_rig.children(joint):
    yield from _hierarchy(child, rest, inner)
  if not bvh_rig.children(joint):  # as long as the bone before
    yield f"{inner}End Site\n{inner}{{\n"
    yield f"{inner}  {offset(rest[joint])}\n{inner}}}\n"
  yield f"{indent}}}\n"


class _Words:
  """A file's words one by one, then its lines."""

  def __init__(self, path: pathlib.Path):
    self.path, self.number = path, 0
    self._lines = skels.lines(path)
    self._waiting: list[str] = []

  def line(self) -> str:
    """The next line; empty at the end of the file."""
    if self._waiting:
      raise self.wrong(repr(self._waiting[-1][:40]), "the end of the line")
    self.number, line = next(self._lines, (self.number, b""))
    if len(line) > MAX_LINE:
      raise self.wrong(f"a line of {len(line)} bytes", f"at most {MAX_LINE}")
    try:
      return line.decode()
    except UnicodeDecodeError as error:
      raise self.wrong("no text in UTF-8", "a BVH file") from error

  def take(self, *expected: str) -> str:
    """The next word, one of those expected if any are given."""
    blanks = 0
    while not self._waiting:
      line = self.line()
      self._waiting = line.split()[::-1]
      blanks += 1
      if not line or blanks > MAX_BLANKS:
        problem = "the file ends" if not line else f"{blanks} empty lines"
        raise self.wrong(problem, " or ".join(expected) or "a word")
    word = self._waiting.pop()
    if expected and word not in expected:
      raise self.wrong(repr(word[:40]), " or ".join(expected))
    return word

  def number_of(self, most: int) -> int:
    word = self.take()
    if not re.fullmatch("[0-9]{1,9}", word) or int(word) > most:
      raise self.wrong(repr(word[:40]), f"a whole number, at most {most}")
    return int(word)

  def value(self) -> float:
    word = self.take()
    try:
      value = float(word)
    except ValueError:
      value = np.nan
    if not abs(value) <= MAX_VALUE:
      raise self.wrong(repr(word[:40]), f"a number within {MAX_VALUE:g}")
    return value

  def place(self) -> list[float]:
    return [self.value() for _ in range(3)]

  def wrong(self, problem: str, expected: str) -> errors.DataError:
    return errors.DataError(
      problem, path=self.path, line=self.number or None, expected=expected
    )


def _read_tree(words: _Words) -> list[bvh_rig.Joint]:
  """All joints, parents first, in the order of their numbers."""
  words.take("HIERARCHY")
  kind = words.take("ROOT")
  joints, above = [], [-1]  # above: the joints not yet closed
  for _ in range(3 * MAX_JOINTS):  # each may begin, have an end site, and end
    if kind == "End":
      for word in ("Site", "{", "OFFSET"):
        words.take(word)
      words.place()
      words.take("}")
    elif kind == "}":
      above.pop()
    else:
      joints.append(_read_joint(words, above[-1]))
      above.append(len(joints) - 1)
    if len(above) == 1:
      break
    kind = words.take("JOINT", "End", "}")
  if len(above) > 1 or len(joints) > MAX_JOINTS:
    raise words.wrong("another joint", f"at most {MAX_JOINTS}")
  names = [joint.name for joint in joints]
  for name in skeleton.JOINT_NAMES:
    if names.count(name) != 1:
      raise words.wrong(
        f"joint {name!r} is there {names.count(name)} times",
        f"each of our {skeleton.J} once",
      )
  return joints


def _read_joint(words: _Words, parent: int) -> bvh_rig.Joint:
  name = words.take()
  words.take("{")
  words.take("OFFSET")
  offset = words.place()
  words.take("CHANNELS")
  count = words.number_of(6)
  channels = [words.take(*_CHANNELS) for _ in range(count)]
  if len(set(channels)) < count:
    raise words.wrong(" ".join(channels), "each channel once")
  return bvh_rig.Joint(name, parent, offset, channels)


def _read_motion(words: _Words, width: int) -> tuple[float, np.ndarray]:
  """Frames a second, and the numbers [T, width]."""
  words.take("MOTION")
  words.take("Frames:")
  count = words.number_of(MAX_FRAMES)
  words.take("Frame")
  words.take("Time:")
  seconds = words.value()
  if not count or not 1 / MAX_FPS <= seconds <= MAX_VALUE:
    raise words.wrong(f"{count} frames of {seconds:g} seconds", "more")
  whole = max(round(1 / seconds), 1)
  same = abs(1 / whole - seconds) <= _FRAME_TIME_DIGITS
  first = words.number + 1

  def lines() -> Iterator[str]:
    for number in range(count):
      line = words.line()
      # The first says how many all have: numpy makes room for them.
      found = width if number and line.strip() else len(line.split())
      if not found or found != width:
        raise words.wrong(
          f"{found} numbers", f"{width} in each of {count} frames"
        )
      yield line

  try:
    values = np.loadtxt(lines(), np.float64, comments=None, ndmin=2)
  except ValueError as error:
    raise words.wrong(str(error)[:200], f"{width} numbers a frame") from error
  fine = (np.abs(values) <= MAX_VALUE).all(1)
  if not fine.all():
    words.number = first + int(np.argmin(fine))
    raise words.wrong("NaN or too large", f"numbers within {MAX_VALUE:g}")
  if words.line().strip():
    raise words.wrong("one line more", f"{count} frames")
  return float(whole) if same else 1 / seconds, values

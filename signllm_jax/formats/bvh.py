"""`.bvh`: clips as rotating joints, for Blender and other animation tools.

The tree is that of the skeleton's limbs, with joint 0 as root: the nose, in
holistic178 the right shoulder. The points of a face hang on the root. Every
joint has six channels, as rotations alone cannot represent bones whose length
changes from frame to frame, as in produced clips. The three position channels
hold the joint's position in its parent's frame and replace OFFSET, as Blender
and bvhio interpret them; so every joint is exact. The rotations align each bone
with its child, or optimally with its children, with the least twist against its
parent.

OFFSET is the rest pose: arms and fingers stretched to the sides (T-pose), with
median bone lengths. The axes are those of BVH, y up and z to the viewer:
(x, -y, -z) of a clip's, a half turn about x, so still right-handed. Units stay:
shoulders 1/3 apart are a person in metres, Blender's unit.

BVH cannot mark missing joints. A missing joint keeps its last (before that, its
next) offset from its parent, or that of the rest pose if never seen with it;
the root keeps its position. After reading, all joints are valid. Clips in 2-D
lie in the plane z = 0; after reading they are in 2-D again.
"""

import dataclasses
import os
import pathlib
import re
from collections.abc import Iterator

import numpy as np

from signllm_jax.core import (
  atomic_files,
  clips,
  errors,
  foreign_files,
  limits,
  text_files,
)
from signllm_jax.core.skeleton import PROMPT2SIGN50, SKELETONS, Skeleton
from signllm_jax.formats import bvh_rig, decimals

_MAX_LINE = 256 * limits.MAX_JOINTS  # bytes; six numbers for each
_BLOCK = 2048  # frames at a time
_FLAT = 1e-5  # largest z of a clip in 2-D
_FRAME_TIME_DIGITS = 5e-7  # half a unit in the sixth decimal
_POSITIONS = ("Xposition", "Yposition", "Zposition")
_ROTATIONS = ("Zrotation", "Xrotation", "Yrotation")  # as written, in order
_CHANNELS = (*_POSITIONS, *sorted(_ROTATIONS))


def write(path: str | os.PathLike, clip: clips.Clip) -> None:
  """Writes one clip; text, gloss, name and mask are not stored.

  Args:
    path: the file; written atomically.
    clip: canonical, to have a person's size; numbers have six decimals.

  Raises:
    DataError: the clip has no frames, too many, or numbers that are not finite
      or beyond limits.MAX_VALUE.
    StorageError: the file cannot be written.
  """
  skeleton = clip.skeleton
  most = limits.MAX_NUMBERS // (6 * skeleton.num_joints)
  if not 0 < len(clip) <= most:
    found = f"clip {clip.name!r} has {len(clip)} frames"
    raise errors.DataError(found, path=path, expected=f"1 to {most}")
  valid = (np.abs(clip.frames) <= limits.MAX_VALUE).all((1, 2))  # False for NaN
  if not valid.all():
    raise errors.DataError(
      f"clip {clip.name!r} holds NaN, infinity or numbers too large",
      path=path,
      expected=f"numbers within {limits.MAX_VALUE:g}",
      frame=int(np.argmin(valid)) + 1,
    )
  if skeleton.dims < 3:
    frames = np.pad(clip.frames, ((0, 0), (0, 0), (0, 1)))
    clip = dataclasses.replace(clip, frames=frames, skeleton=skeleton.in_3d)
  directions = bvh_rig.rest_directions(skeleton)
  rest = bvh_rig.rest_offsets(clip, directions)
  values = bvh_rig.solve(bvh_rig.fill(clip, rest), directions, skeleton)
  values = values.reshape(len(clip), -1)
  row = " ".join(["%.6f"] * values.shape[1]) + "\n"
  with (
    atomic_files.atomic_write(path) as temporary,
    temporary.open("w", newline="\n") as file,
  ):
    file.write("HIERARCHY\n" + "".join(_hierarchy(skeleton, 0, rest, "")))
    file.write(
      f"MOTION\nFrames: {len(clip)}\nFrame Time: {1 / float(clip.fps)!r}\n"
    )
    for start in range(0, len(clip), _BLOCK):
      block = values[start : start + _BLOCK]
      file.write(row * len(block) % tuple(block.ravel().tolist()))


def read(path: str | os.PathLike) -> clips.Clip:
  """Reads a clip of `write`, or of another tool with the same joint names.

  It has the largest skeleton whose joints are all there, in any order and tree
  and with any channels. Other joints take part in forward kinematics and are
  then left out. A joint's position channels replace its OFFSET. A frame time
  that equals that of a whole rate in six decimals gives this rate. The clip is
  named after the file.

  Raises:
    DataError: the file is missing, damaged or too large, or lacks a joint.
    StorageError: the file cannot be read.
  """
  path = pathlib.Path(path)
  foreign_files.check_file(path, limits.MAX_CLIP_FILE)
  words = _Words(path)
  joints = _read_tree(words)
  skeleton = _skeleton_of(words, [joint.name for joint in joints])
  fps, values = _read_motion(words, sum(len(j.channels) for j in joints))
  index = {joint.name: i for i, joint in enumerate(joints)}
  order = [index[name] for name in skeleton.joints]
  frames = np.empty((len(values), skeleton.num_joints, 3), np.float32)
  for start in range(0, len(values), _BLOCK):
    block = slice(start, start + _BLOCK)
    places = bvh_rig.forward(joints, values[block])[:, order]
    frames[block] = places * bvh_rig.AXES
  if np.abs(frames[..., 2]).max() <= _FLAT:  # written in 2-D
    skeleton = skeleton.detected
  places, seen = frames[..., : skeleton.dims], np.ones(frames.shape[:2], bool)
  return clips.Clip(places, seen, fps, path.stem, skeleton=skeleton)


def _hierarchy(
  skeleton: Skeleton, joint: int, rest: np.ndarray, indent: str
) -> Iterator[str]:
  def offset(position) -> str:
    return "OFFSET " + " ".join(f"{number:.6f}" for number in position)

  inner = indent + "  "
  kind = "JOINT" if joint else "ROOT"
  channels = " ".join((*_POSITIONS, *_ROTATIONS))
  yield f"{indent}{kind} {skeleton.joints[joint]}\n{indent}{{\n"
  yield f"{inner}{offset(rest[joint])}\n{inner}CHANNELS 6 {channels}\n"
  below = bvh_rig.children(skeleton, joint)
  for child in below:
    yield from _hierarchy(skeleton, child, rest, inner)
  if not below:  # as long as the previous bone
    yield f"{inner}End Site\n{inner}{{\n"
    yield f"{inner}  {offset(rest[joint])}\n{inner}}}\n"
  yield f"{indent}}}\n"


class _Words:
  """Reads a file word by word or line by line."""

  def __init__(self, path: pathlib.Path):
    self.path, self.number = path, 0
    self._lines = text_files.read_lines(path, _MAX_LINE)
    self._pending: list[str] = []

  def line(self) -> str:
    """The next line; empty at the end of the file."""
    if self._pending:
      raise self.error(repr(self._pending[-1][:40]), "the end of the line")
    self.number, line = next(self._lines, (self.number, b""))
    try:
      return line.decode()
    except UnicodeDecodeError as error:
      raise self.error("no text in UTF-8", "a BVH file") from error

  def take(self, *expected: str) -> str:
    """The next word, one of those expected if any are given."""
    blanks = 0
    while not self._pending:
      line = self.line()
      self._pending = line.split()[::-1]
      blanks += 1
      if not line or blanks > limits.MAX_BLANKS:
        problem = "the file ends" if not line else f"{blanks} empty lines"
        raise self.error(problem, " or ".join(expected) or "a word")
    word = self._pending.pop()
    if expected and word not in expected:
      raise self.error(repr(word[:40]), " or ".join(expected))
    return word

  def integer(self, most: int) -> int:
    """The next word as an integer from 0 to `most`."""
    word = self.take()
    if not re.fullmatch("[0-9]{1,9}", word) or int(word) > most:
      raise self.error(repr(word[:40]), f"a whole number, at most {most}")
    return int(word)

  def value(self) -> float:
    """The next word as a number."""
    word = self.take()
    value = decimals.parse_number(word)
    if value is None or abs(value) > limits.MAX_VALUE:
      raise self.error(repr(word[:40]), f"a number within {limits.MAX_VALUE:g}")
    return value

  def position(self) -> list[float]:
    """The next three words as a position."""
    return [self.value() for _ in range(3)]

  def error(self, problem: str, expected: str) -> errors.DataError:
    """An error at the current line."""
    return errors.DataError(
      problem, path=self.path, line=self.number or None, expected=expected
    )


def _read_tree(words: _Words) -> list[bvh_rig.Joint]:
  """Reads all joints, parents first, in file order."""
  words.take("HIERARCHY")
  kind = words.take("ROOT")
  joints, open_joints = [], [-1]
  for _ in range(3 * limits.MAX_JOINTS):  # start, end site and end of each
    if kind == "End":
      for word in ("Site", "{", "OFFSET"):
        words.take(word)
      words.position()
      words.take("}")
    elif kind == "}":
      open_joints.pop()
    else:
      joints.append(_read_joint(words, open_joints[-1]))
      open_joints.append(len(joints) - 1)
    if len(open_joints) == 1:
      break
    kind = words.take("JOINT", "End", "}")
  if len(open_joints) > 1 or len(joints) > limits.MAX_JOINTS:
    raise words.error("another joint", f"at most {limits.MAX_JOINTS}")
  return joints


def _skeleton_of(words: _Words, names: list[str]) -> Skeleton:
  """The largest skeleton that has all its joints among these, each once."""
  by_size = sorted(SKELETONS.values(), key=lambda each: -each.num_values)
  found = next((each for each in by_size if {*each.joints} <= {*names}), None)
  for name in (found or PROMPT2SIGN50).joints:
    if names.count(name) != 1:
      raise words.error(
        f"joint {name!r} is there {names.count(name)} times",
        f"each of the {PROMPT2SIGN50.num_joints} joints of "
        f"{PROMPT2SIGN50.name} or of a larger skeleton once",
      )
  return found or PROMPT2SIGN50


def _read_joint(words: _Words, parent: int) -> bvh_rig.Joint:
  name = words.take()
  words.take("{")
  words.take("OFFSET")
  offset = words.position()
  words.take("CHANNELS")
  count = words.integer(6)
  channels = [words.take(*_CHANNELS) for _ in range(count)]
  if len(set(channels)) < count:
    raise words.error(" ".join(channels), "each channel once")
  return bvh_rig.Joint(name, parent, offset, channels)


def _read_motion(words: _Words, width: int) -> tuple[float, np.ndarray]:
  """Reads frames per second and channel values [T, width]."""
  words.take("MOTION")
  words.take("Frames:")
  count = words.integer(limits.MAX_FRAMES)
  words.take("Frame")
  words.take("Time:")
  seconds = words.value()
  if not count or not seconds or not limits.is_rate(1 / seconds):
    raise words.error(f"{count} frames of {seconds:g} seconds", limits.RATES)
  if count * width > limits.MAX_NUMBERS:
    raise words.error(
      f"{count} frames of {width} numbers", f"at most {limits.MAX_NUMBERS}"
    )
  whole_fps = max(round(1 / seconds), 1)
  is_whole = abs(1 / whole_fps - seconds) <= _FRAME_TIME_DIGITS
  rows = [_read_row(words, width, count) for _ in range(count)]
  values = np.stack(rows)
  if words.line().strip():
    raise words.error("one line more", f"{count} frames")
  return float(whole_fps) if is_whole else 1 / seconds, values


def _read_row(words: _Words, width: int, count: int) -> np.ndarray:
  """Reads the numbers [width] of a frame, one of `count`."""
  line = " ".join(words.line().split()).encode()
  values = decimals.parse_float64(line) if line else np.zeros(0)
  if values is None:
    at, token = decimals.first_invalid(line)
    raise words.error(
      f"number {at + 1} is {token[:40].decode('utf-8', 'replace')!r}",
      "decimal numbers",
    )
  if not width or len(values) != width:
    raise words.error(
      f"{len(values)} numbers", f"{width} in each of {count} frames"
    )
  if max(values.max(), -values.min()) > limits.MAX_VALUE:
    raise words.error(
      "too large a number", f"numbers within {limits.MAX_VALUE:g}"
    )
  return values

"""Reading of clips from JSON, .skels and records, and a plain baseline."""

import json
import os
import pathlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from data_pipeline.keypoints import find_clips, read_clips
from signllm_jax.core import clips
from signllm_jax.core.skeleton import PROMPT2SIGN50
from signllm_jax.data import records
from signllm_jax.formats import openpose, skels, tfrecord

SKELS_GOAL, JSON_GOAL, RECORDS_GOAL = 10, 3, 20
JSON_CLIPS = 1500


class Ways(NamedTuple):
  """Functions that read the same clips, by name, with goals."""

  count: int  # of clips
  slow: str  # name of the baseline
  ways: dict[str, Callable[[], Any]]
  goals: dict[str, float]


def plain_json(paths: Sequence[str | os.PathLike]) -> np.ndarray:
  """Reads OpenPose files of one person by the standard library: [T, J, 3]."""
  frames = []
  for path in paths:
    with open(path, encoding="utf-8") as file:
      (person,) = json.load(file)["people"]
    numbers = (
      person["pose_keypoints_2d"][:24]
      + person["hand_left_keypoints_2d"]
      + person["hand_right_keypoints_2d"]
    )
    frames.append(
      np.array(numbers, np.float32).reshape(PROMPT2SIGN50.num_joints, 3)
    )
  return np.stack(frames)


def json_ways(folder: pathlib.Path) -> Ways:
  """Ways to read the clips of a folder, each listed many times.

  `lift` and `build` read them so: in a process a core, whose start is timed.
  """
  sources = find_clips.find(folder)
  many = sources * (JSON_CLIPS // len(sources))
  folders = [folder / source.name for source in many]

  def plain() -> list[np.ndarray]:
    return [plain_json(sorted(path.iterdir())) for path in folders]

  def in_turn() -> list[clips.Keypoints]:
    return [openpose.read(path) for path in folders]

  def ours() -> list[Any]:
    return [result for _, result in read_clips.read_all(many)]

  for keypoints, expected in zip(ours(), plain(), strict=True):
    np.testing.assert_array_equal(keypoints.frames[..., :2], expected[..., :2])
  return Ways(
    len(many),
    "JSON, json.load",
    {
      "JSON, json.load": plain,
      "JSON, formats.openpose": in_turn,
      "JSON, read_clips.read_all": ours,
    },
    {"JSON, read_clips.read_all": JSON_GOAL},
  )


def pose_ways(folder: pathlib.Path, poses: Sequence[clips.Clip]) -> list[Ways]:
  """Ways to read the same poses as text and as records, from a folder."""
  text, shard = folder / "poses.skels", folder / "poses.tfrecord"
  skels.write(text, poses)
  write_records(shard, poses)

  def plain() -> list[np.ndarray]:
    with open(text, encoding="utf-8") as lines:
      return [
        np.array([float(x) for x in line.split()], np.float32).reshape(
          -1, PROMPT2SIGN50.num_values + 1
        )
        for line in lines
      ]

  def as_text() -> list[clips.Clip]:
    return list(skels.read(text))

  def as_records() -> list[clips.Clip]:
    read = tfrecord.TFRecordFiles([shard])
    return [records.to_clip(records.decode(read[i])) for i in range(len(read))]

  for clip, expected, kept in zip(as_text(), plain(), poses, strict=True):
    frames = expected[:, :-1].reshape(clip.frames.shape)
    seen = (frames != np.float32(skels.MISSING)).any(-1)
    np.testing.assert_array_equal(clip.frames[seen], frames[seen])
    assert len(clip) == len(kept)
  for clip, kept in zip(as_records(), poses, strict=True):
    np.testing.assert_array_equal(clip.frames, kept.frames)
  slow = ".skels, float()"
  return [
    Ways(
      len(poses),
      slow,
      {
        slow: plain,
        ".skels, formats.skels": as_text,
        "records, formats.tfrecord": as_records,
      },
      {
        ".skels, formats.skels": SKELS_GOAL,
        "records, formats.tfrecord": RECORDS_GOAL,
      },
    )
  ]


def write_records(path: pathlib.Path, poses: Sequence[clips.Clip]) -> None:
  """Writes a shard in the format of tfds, without TensorFlow."""
  from tensorflow_datasets.core import example_serializer

  features: Any = records.features()
  serializer = example_serializer.ExampleSerializer(
    features.get_serialized_info()
  )
  with path.open("wb") as file:
    for pose in poses:
      record = records.from_clip(pose, language="ASL")
      data = serializer.serialize_example(features.encode_example(record))
      length = len(data).to_bytes(8, "little")
      for part in (length, data):
        file.write(part)
        file.write(tfrecord.FOOTER.pack(tfrecord.masked_crc(part)))

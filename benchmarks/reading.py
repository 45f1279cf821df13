"""Clips read from JSON, .skels and records, and in the plainest way."""

import json
import os
import pathlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from data_pipeline.keypoints import find_clips
from signllm_jax.core import clips, skeleton
from signllm_jax.data import records
from signllm_jax.formats import openpose, skels, tfrecord

SKELS_GOAL, JSON_GOAL, RECORDS_GOAL = 10, 3, 20
JSON_CLIPS = 1500


class Ways(NamedTuple):
  """Ways to read the same clips."""

  count: int  # of clips
  slow: str  # the way that the others are compared to
  ways: dict[str, Callable[[], Any]]
  goals: dict[str, float]


def plain_json(paths: Sequence[str | os.PathLike]) -> np.ndarray:
  """[T, J, 3] of OpenPose's files, one person each, by the standard library."""
  frames = []
  for path in paths:
    with open(path, encoding="utf-8") as file:
      (person,) = json.load(file)["people"]
    numbers = (
      person["pose_keypoints_2d"][:24]
      + person["hand_left_keypoints_2d"]
      + person["hand_right_keypoints_2d"]
    )
    frames.append(np.array(numbers, np.float32).reshape(skeleton.J, 3))
  return np.stack(frames)


def json_ways(folder: pathlib.Path) -> Ways:
  """Of the clips in a folder, a folder each, named again and again.

  As `lift` and `build` read them: in a process a core, whose start counts.
  """
  found = find_clips.find(folder)
  many = found * (JSON_CLIPS // len(found))
  folders = [folder / each.name for each in many]

  def plain() -> list[np.ndarray]:
    return [plain_json(sorted(each.iterdir())) for each in folders]

  def one() -> list[clips.Keypoints]:
    return [openpose.read(each) for each in folders]

  def ours() -> list[Any]:
    return [result for _, result in find_clips.read_all(many)]

  for keypoints, expected in zip(ours(), plain(), strict=True):
    np.testing.assert_array_equal(keypoints.frames[..., :2], expected[..., :2])
  return Ways(
    len(many),
    "JSON, json.load",
    {
      "JSON, json.load": plain,
      "JSON, formats.openpose": one,
      "JSON, intake.read_each": ours,
    },
    {"JSON, intake.read_each": JSON_GOAL},
  )


def pose_ways(folder: pathlib.Path, poses: Sequence[clips.Clip]) -> list[Ways]:
  """Of the same poses as text and as records, written to a folder."""
  text, shard = folder / "poses.skels", folder / "poses.tfrecord"
  skels.write(text, poses)
  write_records(shard, poses)
  features: Any = records.features()

  def plain() -> list[np.ndarray]:
    with open(text, encoding="utf-8") as lines:
      return [
        np.array([float(x) for x in line.split()], np.float32).reshape(
          -1, skeleton.C + 1
        )
        for line in lines
      ]

  def as_text() -> list[clips.Clip]:
    return list(skels.read(text))

  def as_records() -> list[clips.Clip]:
    read = tfrecord.TFRecordFiles([shard])
    return [
      records.to_clip(features.deserialize_example_np(read[i]))
      for i in range(len(read))
    ]

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
  """A shard as tfds writes it, without TensorFlow."""
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

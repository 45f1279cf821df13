"""The record schema that builders write and training reads.

Records are written by the tensorflow-datasets builders of `data_pipeline` and
read without the code of those. A record names its skeleton in the feature
`skeleton`; one of prompt2sign50, the first skeleton, has no such feature.
"""

import functools
import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from google.protobuf import json_format

from signllm_jax.core import clips, errors, limits
from signllm_jax.core import skeleton as skeleton_lib
from signllm_jax.core.skeleton import PROMPT2SIGN50, SKELETONS, Skeleton
from signllm_jax.formats import dataset_info, example

VERSION = "1.0.0"
REBUILD = "Remove the folder and build again"
_KINDS = {float: "a float", int: "an integer", memoryview: "bytes"}
_TEXTS = ("name", "text", "prompt", "gloss", "language", "signer")


def features(
  skeleton: Skeleton = PROMPT2SIGN50,
) -> tfds.features.FeaturesDict:
  """Features of a record, with documentation for the data set's page."""
  f = tfds.features
  named = {}
  if skeleton != PROMPT2SIGN50:
    named = {"skeleton": f.Text(doc="Name of the skeleton of the frames.")}
  axes = "x, y, z" if skeleton.dims == 3 else "x, y"
  origin = "neck" if len(skeleton.origin) == 1 else "middle of the shoulders"
  raw = f.Encoding.BYTES  # a third of the size of float lists, and faster
  return f.FeaturesDict(
    named
    | {
      "name": f.Text(doc="Name of the source file, unique in its split."),
      "text": f.Text(doc="Sentence or word, in the spoken language."),
      "prompt": f.Text(doc="The text as a question; empty if not made."),
      "gloss": f.Text(doc="Gloss, space-separated; empty if there is none."),
      "gloss_made": f.Scalar(
        np.bool_, doc="True where the gloss was made by rule, not by people."
      ),
      "language": f.Text(doc="Code of the sign language, e.g. ASL."),
      "signer": f.Text(doc="Name of the signer; empty if unknown."),
      "fps": f.Scalar(np.float32, doc="Frames a second."),
      "frames": f.Tensor(
        shape=(None, skeleton.num_values),
        dtype=np.float32,
        encoding=raw,
        doc=f"Pose: {skeleton.num_joints} joints {axes} a frame; {origin} at "
        "0, shoulders 1/3 apart, y down; 0 where missing.",
      ),
      "valid": f.Tensor(
        shape=(None, skeleton.num_joints),
        dtype=np.uint8,
        encoding=raw,
        doc="1 where the joint was seen, 0 where it is missing.",
      ),
    }
  )


def from_clip(
  clip: clips.Clip,
  *,
  language: str,
  gloss_made: bool = False,
  signer: str = "",
) -> dict:
  """Converts a canonical clip to a record of `features`."""
  named = {}
  if clip.skeleton != PROMPT2SIGN50:
    named = {"skeleton": clip.skeleton.name}
  return named | {
    "name": clip.name,
    "text": clip.text,
    "prompt": clip.prompt,
    "gloss": clip.gloss,
    "gloss_made": gloss_made,
    "language": language,
    "signer": signer,
    "fps": np.float32(clip.fps),
    "frames": clip.frames.reshape(len(clip), -1).astype(np.float32),
    "valid": clip.valid.astype(np.uint8),
  }


def open_build(folder: str | os.PathLike) -> dataset_info.DatasetInfo:
  """Opens a build for reading; imports and runs nothing that it names.

  Raises:
    DataError: there is no complete build in the folder, or its records have
      other features.
    StorageError: its description cannot be read.
  """
  try:
    info = dataset_info.read(folder)
    skeleton_of_build(folder)
  except errors.DataError as error:
    raise errors.DataError(
      f"not a complete build: {error}",
      path=folder,
      hint=REBUILD,
    ) from error
  return info


def skeleton_of_build(folder: str | os.PathLike) -> Skeleton:
  """The skeleton whose features the records of a build have.

  Raises:
    DataError: those of no skeleton.
    StorageError: its description cannot be read.
  """
  faults = []
  # One with a feature `skeleton` has the features of the first besides.
  for skeleton in reversed(SKELETONS.values()):
    try:
      dataset_info.check_features(folder, _stored_features(skeleton))
    except errors.DataError as error:
      faults.append(error)
    else:
      return skeleton
  raise faults[-1]


@functools.cache
def _stored_features(skeleton: Skeleton) -> dict[str, dict[str, Any]]:
  """The features as `features.json` states them, without documentation."""
  stored = json_format.MessageToDict(features(skeleton).to_proto())
  found = stored["featuresDict"]["features"]
  for feature in found.values():
    feature.pop("description", None)
  return found


def decode(data: bytes | memoryview) -> dict[str, Any]:
  """Decodes a serialised record of `features`, of the skeleton that it names.

  Returns:
    Texts as str, `gloss_made` as bool, `fps` as float, `frames` [T, C] float32
    and `valid` [T, J] uint8, both views of the data. The numbers of the arrays
    are not checked.

  Raises:
    DataError: a feature is missing or of another type, a text is not UTF-8, the
      arrays do not fit each other, there are no frames, or the rate is no rate.
  """
  if len(data) > limits.MAX_RECORD:
    raise errors.DataError(
      f"{len(data)} bytes", expected=f"at most {limits.MAX_RECORD}"
    )
  needed = _stored_features(PROMPT2SIGN50).keys()
  try:
    values = example.parse(data, {*needed, "skeleton"})
  except ValueError as error:
    raise errors.DataError(f"damaged: {error}") from error
  if absent := sorted(needed - values.keys()):
    raise errors.DataError(f"no {', '.join(absent)}")
  record: dict[str, Any] = {key: _text(key, values[key]) for key in _TEXTS}
  if "skeleton" in values:
    record["skeleton"] = _text("skeleton", values["skeleton"])
  joints, dims = skeleton_of(record).shape
  record["fps"] = _typed("fps", values["fps"], float)
  record["gloss_made"] = bool(_typed("gloss_made", values["gloss_made"], int))
  record["frames"] = _rows("frames", values["frames"], "<f4", joints * dims)
  record["valid"] = _rows("valid", values["valid"], "u1", joints)
  t, masks = len(record["frames"]), len(record["valid"])
  if not t or t != masks:
    raise errors.DataError(
      f"frames of {t} times and a mask of {masks}", expected="one or more each"
    )
  if not record["name"]:
    raise errors.DataError("its name is empty")
  if not limits.is_rate(record["fps"]):
    raise errors.DataError(
      f"{record['fps']:g} frames a second", expected=limits.RATES
    )
  return record


def _typed(key: str, value: Any, kind: type) -> Any:
  """A value of a record, if it is of its type."""
  if not isinstance(value, kind):
    raise errors.DataError(
      f"its {key} is of another type", expected=_KINDS[kind]
    )
  return value


def _text(key: str, value: Any) -> str:
  try:
    return str(_typed(key, value, memoryview), "utf-8")
  except UnicodeDecodeError as error:
    raise errors.DataError(f"its {key} is not UTF-8: {error}") from error


def _rows(key: str, value: Any, dtype: str, width: int) -> np.ndarray:
  """Frames [T, width], a view of their bytes."""
  data = _typed(key, value, memoryview)
  row = np.dtype(dtype).itemsize * width
  if len(data) % row:
    raise errors.DataError(
      f"its {key} are {len(data)} bytes", expected=f"a multiple of {row}"
    )
  return np.frombuffer(data, dtype).reshape(-1, width)


def to_clip(record: dict[str, Any]) -> clips.Clip:
  """Converts a decoded record, with texts as bytes or str, to a clip."""

  def text(value) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)

  skeleton = skeleton_of(record)
  return clips.Clip(
    frames=np.asarray(record["frames"]).reshape(-1, *skeleton.shape),
    valid=np.asarray(record["valid"]).astype(bool),
    fps=float(record["fps"]),
    name=text(record["name"]),
    text=text(record["text"]),
    gloss=text(record["gloss"]),
    prompt=text(record["prompt"]),
    skeleton=skeleton,
  )


def skeleton_of(record: Mapping[str, Any]) -> Skeleton:
  """The skeleton that a decoded record names.

  Raises:
    DataError: no skeleton has this name.
  """
  name = record.get("skeleton", PROMPT2SIGN50.name)
  if name not in SKELETONS:
    raise errors.DataError(
      f"skeleton {name[:60]!r}", expected="one of " + ", ".join(SKELETONS)
    )
  return skeleton_lib.get(name)

"""The record schema that builders write and training reads.

Records are written by the tensorflow-datasets builders of `data_pipeline` and
read without the code of those.
"""

import os

import numpy as np
import tensorflow_datasets as tfds
from google.protobuf import json_format

from signllm_jax.core import clips, errors, skeleton

VERSION = "1.0.0"
REBUILD = "Remove the folder and build again"


def features() -> tfds.features.FeaturesDict:
  """Features of a record, with documentation for the data set's page."""
  f = tfds.features
  raw = f.Encoding.BYTES  # a third of the size of float lists, and faster
  return f.FeaturesDict(
    {
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
        shape=(None, skeleton.C),
        dtype=np.float32,
        encoding=raw,
        doc="Pose: 50 joints x, y, z a frame; neck at 0, shoulders 1/3 apart, "
        "y down; 0 where missing.",
      ),
      "valid": f.Tensor(
        shape=(None, skeleton.J),
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
  return {
    "name": clip.name,
    "text": clip.text,
    "prompt": clip.prompt,
    "gloss": clip.gloss,
    "gloss_made": gloss_made,
    "language": language,
    "signer": signer,
    "fps": np.float32(clip.fps),
    "frames": clip.frames.reshape(len(clip), skeleton.C).astype(np.float32),
    "valid": clip.valid.astype(np.uint8),
  }


def to_clip(record: dict) -> clips.Clip:
  """Converts a decoded record, with texts as bytes or str, to a clip."""

  def text(value) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)

  return clips.Clip(
    frames=np.asarray(record["frames"]).reshape(-1, skeleton.J, 3),
    valid=np.asarray(record["valid"]).astype(bool),
    fps=float(record["fps"]),
    name=text(record["name"]),
    text=text(record["text"]),
    gloss=text(record["gloss"]),
    prompt=text(record["prompt"]),
  )


def open_build(folder: str | os.PathLike) -> tfds.core.DatasetBuilder:
  """Opens a build for reading, without the code of its data set.

  Raises:
    DataError: there is no complete build in the folder.
  """
  try:
    return tfds.builder_from_directory(folder)
  except (
    OSError,
    ValueError,
    KeyError,
    AssertionError,
    json_format.ParseError,
  ) as error:
    raise errors.DataError(
      f"not a complete build: {str(error).strip()}",
      path=folder,
      expected="dataset_info.json and features.json as tfds writes them",
      hint=REBUILD,
    ) from error

"""Pictures of poses for `tfds.show_examples`."""

import dataclasses
import importlib
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from signllm_jax.core import clips
from signllm_jax.core import skeleton as skeleton_lib
from signllm_jax.data import records
from signllm_jax.visualization import render

_WIDTH = 320  # pixels of a picture


class PoseVisualizer(tfds.visualization.Visualizer):
  """Draws the frame in the middle of each clip, below its text."""

  def match(self, ds_info: tfds.core.DatasetInfo) -> bool:
    """Whether a data set has the features of `records.features`."""
    features: Any = ds_info.features or ()
    return set(records.features()) <= set(features)

  def show(
    self,
    ds: Any,
    ds_info: tfds.core.DatasetInfo,
    rows: int = 3,
    cols: int = 3,
    plot_scale: float = 3.0,
  ) -> Any:
    """Draws the first examples in a grid and shows it.

    Args:
      ds: `tf.data.Dataset` of examples, or of pairs of `as_supervised`.
      ds_info: of the data set.
      rows: of the grid.
      cols: of the grid.
      plot_scale: width of a picture in inches.

    Returns:
      The figure of Matplotlib.
    """
    plt: Any = importlib.import_module("matplotlib.pyplot")  # slow to import
    features: Any = ds_info.features
    width = features["frames"].shape[-1]
    figure = plt.figure(figsize=(plot_scale * cols, 1.6 * plot_scale * rows))
    for number, example in enumerate(tfds.as_numpy(ds.take(rows * cols))):
      clip = _clip(example, width)
      axes = figure.add_subplot(rows, cols, number + 1)
      axes.imshow(_picture(clip))
      axes.set_title(clip.text[:60], fontsize=9, wrap=True)
      axes.axis("off")
    plt.show()
    return figure


def _clip(example: dict[str, Any], width: int) -> clips.Clip:
  """The clip of an example; a pair says neither its rate nor what is seen."""
  if "valid" in example:
    if "skeleton" in example:
      example = example | {"skeleton": example["skeleton"].decode()}
    return records.to_clip(example)
  (skeleton,) = [
    each for each in skeleton_lib.SKELETONS.values() if each.num_values == width
  ]
  frames = example["frames"].reshape(-1, *skeleton.shape)
  seen = np.any(frames != 0, axis=-1)
  seen[:, list(skeleton.origin)] = True
  return clips.Clip(
    frames, seen, text=example["text"].decode(), skeleton=skeleton
  )


def _picture(clip: clips.Clip) -> np.ndarray:
  """The frame in the middle: [H, W, 3] uint8."""
  middle = slice(len(clip) // 2, len(clip) // 2 + 1)
  alone = dataclasses.replace(
    clip, frames=clip.frames[middle], valid=clip.valid[middle]
  )
  return next(render.frames({"": alone}, size=_WIDTH))


def register() -> None:
  """Lets `tfds.show_examples` draw poses.

  tfds keeps its visualizers in a list that it does not export. Where a later
  version has none, `show_examples` says that it does not support the data set.
  """
  module: Any = importlib.import_module(
    "tensorflow_datasets.core.visualization.show_examples"
  )
  known = getattr(module, "_ALL_VISUALIZERS", [])
  if not any(isinstance(each, PoseVisualizer) for each in known):
    known.insert(0, PoseVisualizer())

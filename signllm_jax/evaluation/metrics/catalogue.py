"""The metrics of poses, in the order of the report."""

import functools
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from signllm_jax.core import clips
from signllm_jax.evaluation.metrics import (
  distances,
  frechet,
  metric,
  pose,
  spread,
  visibility,
)

_UNIT = "canonical units (shoulders 1/3 apart)"


def _mean(
  key: str,
  head: str,
  distance: Callable[[Sequence[clips.Clip], Sequence[clips.Clip]], np.ndarray],
  definition: str,
  style: str = "{:.4f}",
) -> metric.Metric:
  """Mean over sequences of a distance a pair; lower is better."""
  return metric.Metric(
    key,
    head,
    "lower",
    definition + ", mean over sequences",
    lambda produced, true: metric.counted(distance(produced, true)),
    metric.ratio,
    style,
  )


def _part(part: str) -> metric.Metric:
  name = part.replace("_", " ")
  return _mean(
    f"dtw_mje_{part}",
    f"{name} DTW-MJE",
    functools.partial(distances.dtw_mje_of_part, part=part),
    f"DTW-MJE over the joints of the {name} alone, aligned by themselves, "
    f"{_UNIT}",
  )


DTW_MJE = _mean(
  "dtw_mje",
  "DTW-MJE",
  distances.dtw_mje,
  "exact DTW, mean 3-D distance of the truth's visible joints, total over path "
  f"length, {_UNIT}",
)

POSE: tuple[metric.Metric, ...] = (
  DTW_MJE,
  _part("body"),
  _part("left_hand"),
  _part("right_hand"),
  _mean(
    "mpjpe",
    "aligned MPJPE",
    distances.mpjpe,
    "position error of the truth's visible joints along DTW-MJE's path, each "
    f"true frame once, {_UNIT}",
  ),
  _mean(
    "dtw_pt",
    "PT DTW",
    distances.dtw_pt,
    "exact DTW, L1 over 150 numbers, total over frames of the truth (Saunders "
    f"et al. 2020), {_UNIT}",
    "{:.3f}",
  ),
  _mean(
    "ndtw_mje",
    "nDTW-MJE",
    distances.ndtw_mje,
    "shoulder-normalised, exact DTW a keypoint, missing in truth 0, missing in "
    "hypothesis half the distance from the origin, total of the path, mean "
    "over 50 keypoints (Arkushin et al. 2023), shoulder widths",
    "{:.3f}",
  ),
  _mean(
    "dtwp",
    "nDTWp",
    distances.dtwp,
    "shoulder-normalised, frames without hands trimmed, hands only, missing "
    "filled with 10, exact DTW a keypoint, root of the squared Euclidean "
    "total, mean over 42 keypoints (Jiang et al. 2025), shoulder widths",
    "{:.3f}",
  ),
  metric.Metric(
    "frechet",
    "Fréchet",
    "lower",
    "squared Frechet distance of Gaussians over frames: nose, elbows, wrists, "
    "fingertips and their velocities, standardised by the truth, shrunk to "
    "the diagonal by D / (D + true frames)",
    frechet.sums,
    frechet.finish,
    "{:.2f}",
    biased=True,
  ),
  metric.Metric(
    "motion_share",
    "motion",
    "one",
    "path of both wrists, produced over true, sums over sequences",
    pose.motion,
    metric.ratio,
    "{:.3f}",
  ),
  metric.Metric(
    "jerk_ratio",
    "jerk",
    "one",
    "mean norm of the third derivative over visible joints, produced over true",
    pose.jerks,
    pose.jerk_ratio,
    "{:.3f}",
  ),
  metric.Metric(
    "length_ratio",
    "length",
    "one",
    "frames, produced over true, sums over sequences",
    pose.lengths,
    metric.ratio,
    "{:.3f}",
  ),
  metric.Metric(
    "bone_length_error",
    "bone error",
    "lower",
    "|length / its median in the clip - 1|, mean over limbs and frames, plus "
    "|mean over clips of the medians, produced over true - 1|, mean over limbs",
    pose.bones,
    pose.bone_length_error,
    "{:.3f}",
    biased=True,
    version=2,
  ),
  metric.Metric(
    "spread",
    "spread",
    "one",
    "root mean squared distance of visible joints from the mean of the text's "
    f"clips, interpolated to {spread.FRAMES} frames, unbiased, produced over "
    "true, sums over texts with several true clips",
    spread.sums,
    spread.ratio,
    "{:.3f}",
  ),
  _mean(
    "visibility_error",
    "visibility error",
    visibility.errors,
    "|share of frames that show a part, produced - true|, mean over body, left "
    "and right hand",
    "{:.3f}",
  ),
)


def hidden_parts(trained: Mapping[str, np.ndarray]) -> metric.Metric:
  """Share of frames that show what no recording of their text shows.

  Args:
    trained: `visibility.parts_of_texts` of the training clips.
  """
  return metric.Metric(
    "hidden_parts",
    "hidden parts shown",
    "lower",
    "frames that show a part (body, left or right hand) which no training and "
    "no true clip of the text ever shows, over all frames",
    functools.partial(visibility.hidden_shown, trained=trained),
    metric.ratio,
    "{:.1%}",
  )

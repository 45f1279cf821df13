"""The metrics of poses, in the order of the report."""

import functools
from collections.abc import Mapping, Sequence

import numpy as np

from signllm_jax.core import clips
from signllm_jax.core.skeleton import PROMPT2SIGN50, SKELETONS, Skeleton
from signllm_jax.evaluation.metrics import (
  coverage,
  distances,
  frechet,
  metric,
  pose,
  published_metrics,
  signing_distance,
  spread,
  visibility,
)
from signllm_jax.evaluation.metrics.metric import UNIT, mean_of_pairs


def _part(part: str) -> metric.Metric:
  name = part.replace("_", " ")
  return mean_of_pairs(
    f"dtw_mje_{part}",
    f"{name} DTW-MJE",
    functools.partial(distances.dtw_mje_of_part, part=part),
    f"DTW-MJE over the joints of the {name} alone, aligned by themselves, "
    f"{UNIT}",
  )


DTW_MJE = mean_of_pairs(
  "dtw_mje",
  "DTW-MJE",
  distances.dtw_mje,
  "exact DTW, mean 3-D distance of the truth's visible joints, total over path "
  f"length, {UNIT}",
)

SIGNING = mean_of_pairs(
  "signing_distance",
  "RSD",
  signing_distance.signing_distance,
  "relative signing distance: hand shape in palm lengths, place of the wrist "
  "about the shoulders and its velocity in shoulder widths, x and y, at "
  f"{signing_distance.MOMENTS} moments equally far apart in activity; exact "
  "DTW, mean cost of the path over sqrt(T (W + "
  f"{signing_distance.TOLERANCE})), T the mean cost between, W within clips",
  "{:.3f}",
)
_MPJPE = mean_of_pairs(
  "mpjpe",
  "aligned MPJPE",
  distances.mpjpe,
  "position error of the truth's visible joints along DTW-MJE's path, each "
  f"true frame once, {UNIT}",
)
_DTWP = mean_of_pairs(
  "dtwp",
  "nDTWp",
  distances.dtwp,
  "shoulder-normalised, frames without hands trimmed, hands only, missing "
  "filled with 10, exact DTW a keypoint, root of the squared Euclidean "
  "total, mean over 42 keypoints (Jiang et al. 2025, which normalises pixels), "
  "shoulder widths",
  "{:.3f}",
)
_MOTION: tuple[metric.Metric, ...] = (
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
)
_FRECHET_FACE = metric.Metric(
  "frechet_face",
  "face Fréchet",
  "lower",
  "as Fréchet, of points of brows, eyes and mouth about their middle "
  "and their velocities",
  functools.partial(frechet.sums, face=True),
  frechet.finish,
  "{:.2f}",
  biased=True,
)
_BONES = metric.Metric(
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
)
COVERAGE = metric.Metric(
  "coverage",
  "coverage",
  "higher",
  "true clips that have a produced clip of their text within the distance of "
  "their nearest true one (Naeem et al. 2020), root mean square over visible "
  f"joints, interpolated to {coverage.FRAMES} frames; texts with several clips",
  lambda produced, true: metric.counted(coverage.covered(produced, true)),
  metric.ratio,
  "{:.1%}",
)
_SPREAD = metric.Metric(
  "spread",
  "spread",
  "one",
  "root mean squared distance of visible joints from the mean of the text's "
  f"clips, interpolated to {spread.FRAMES} frames, unbiased, produced over "
  "true, sums over texts with several true clips",
  spread.sums,
  spread.ratio,
  "{:.3f}",
)


def _features(skeleton: Skeleton) -> list[str]:
  """The parts of the face that carry grammar, where the skeleton has them."""
  return [name for name in frechet.FEATURES if name in skeleton.features]


def _listed(skeleton: Skeleton, word: str) -> str:
  """The parts of a skeleton, in words."""
  if not skeleton.face:
    return f"body, left {word} right hand"
  return f"body, left hand, right hand {word} face"


@functools.cache
def pose_metrics(skeleton: Skeleton) -> tuple[metric.Metric, ...]:
  """The metrics of clips of a skeleton, in the order of the report.

  In 2-D there is no error of bones: those of a projection change their lengths.
  """
  visible = mean_of_pairs(
    "visibility_error",
    "visibility error",
    visibility.errors,
    "|share of frames that show a part, produced - true|, mean over "
    + _listed(skeleton, "and"),
    "{:.3f}",
  )
  return (
    SIGNING,
    DTW_MJE,
    *(_part(part) for part in (*skeleton.parts, *_features(skeleton))),
    _MPJPE,
    *published_metrics.of_all_numbers(skeleton),
    _DTWP,
    *_MOTION,
    *([_FRECHET_FACE] if _features(skeleton) else []),
    *([_BONES] if skeleton.dims == 3 else []),
    _SPREAD,
    visible,
    *published_metrics.slrtp(skeleton),
  )


def hidden_parts(
  trained: Mapping[str, np.ndarray], skeleton: Skeleton
) -> metric.Metric:
  """Share of frames that show what no recording of their text shows.

  Args:
    trained: `visibility.parts_of_texts` of the training clips.
    skeleton: of the clips.
  """
  return metric.Metric(
    "hidden_parts",
    "hidden parts shown",
    "lower",
    f"frames that show a part ({_listed(skeleton, 'or')}) which no training "
    "and no true clip of the text ever shows, over all frames",
    functools.partial(visibility.hidden_shown, trained=trained),
    metric.ratio,
    "{:.1%}",
  )


def of_repeated_texts(true: Sequence[clips.Clip]) -> list[metric.Metric]:
  """Coverage, where a text has several true clips; else nothing."""
  return [COVERAGE] if len({clip.text for clip in true}) < len(true) else []


def all_metrics() -> list[metric.Metric]:
  """The metrics of every skeleton, for their names and styles."""
  listed = [m for each in SKELETONS.values() for m in pose_metrics(each)]
  return [*listed, hidden_parts({}, PROMPT2SIGN50), COVERAGE]

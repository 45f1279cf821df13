"""Distances as others publish them, as metrics with their deviations said."""

import dataclasses

from signllm_jax.core.skeleton import Skeleton
from signllm_jax.evaluation.metrics import distances, published_forms
from signllm_jax.evaluation.metrics.metric import (
  UNIT,
  Metric,
  mean_of_pairs,
  ratio,
)


def of_all_numbers(skeleton: Skeleton) -> tuple[Metric, ...]:
  """Published distances over all numbers or joints of a frame."""
  return (
    mean_of_pairs(
      "dtw_pt",
      "PT DTW",
      distances.dtw_pt,
      f"exact DTW, L1 over {skeleton.num_values} numbers, total over frames of "
      "the truth (Saunders et al. 2020); unlike PT's script, the last frame of "
      "both clips counts, and missing numbers of the truth count as the mean "
      f"of the frame's others, {UNIT}",
      "{:.3f}",
    ),
    mean_of_pairs(
      "dtw_pt_own",
      "PT DTW, own form",
      published_forms.dtw_pt_own,
      f"exact DTW, L1 over {skeleton.num_values} numbers as they stand, "
      "missing ones 0, without the last frame of both clips, total over frames "
      f"of the truth, as PT's script (Saunders et al. 2020), {UNIT}",
      "{:.3f}",
    ),
    mean_of_pairs(
      "ndtw_mje",
      "nDTW-MJE",
      distances.ndtw_mje,
      "shoulder-normalised, exact DTW a keypoint, missing in truth 0, "
      "missing in hypothesis half the distance from the origin, total of the "
      "path, mean "
      f"over {skeleton.num_joints} keypoints (Arkushin et al. 2023, which is "
      f"in 2-D with fastdtw; here exact in {skeleton.dims}-D), shoulder widths",
      "{:.3f}",
    ),
  )


def slrtp(skeleton: Skeleton) -> tuple[Metric, ...]:
  """The distances of the challenge SLRTP 2025 by its evaluation code."""
  frames = f"every n-th frame, about {published_forms.SLRTP_RATE} a second"
  source = "(Walsh et al. 2025)"
  return (
    Metric(
      "slrtp_dtw_mje",
      "SLRTP DTW-MJE",
      "lower",
      f"{frames}; aligned by the Euclidean distance of {skeleton.num_values} "
      "numbers as they stand, missing ones 0, exact where SLRTP's is fastdtw; "
      f"mean joint distance over the aligned frames of all clips {source}, "
      f"{UNIT}, where SLRTP's are those of its files",
      published_forms.slrtp_mje,
      ratio,
    ),
    Metric(
      "slrtp_distance",
      "SLRTP distance",
      "one",
      f"{frames}; path of each wrist, produced over true, means over clips, "
      f"then over both wrists {source}; numbers as they stand",
      published_forms.slrtp_distances,
      published_forms.slrtp_distance_ratio,
      "{:.3f}",
    ),
    dataclasses.replace(
      mean_of_pairs(
        "slrtp_duration",
        "SLRTP duration",
        published_forms.slrtp_durations,
        f"{frames}; produced over true {source}",
        "{:.3f}",
      ),
      better="one",
    ),
  )

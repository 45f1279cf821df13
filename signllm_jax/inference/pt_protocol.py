"""PT's published inference, which is given a part of the truth."""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import numpy as np

from signllm_jax.core import clips


class PTProtocol(NamedTuple):
  """The truth that PT's published inference is given.

  The frame after the first follows the true first one, every counter that
  comes in is the true one, and a sequence is as long as the truth. All poses
  that come out are the model's own.
  """

  first: jax.Array  # [B, C] the true first frame, in canonical units
  valid: jax.Array  # [B, C] bool, False where it is missing
  length: jax.Array  # [B] true frames


def arrays(true: Sequence[clips.Clip], rows: int) -> dict[str, np.ndarray]:
  """`PTProtocol` of a batch; rows of padding repeat the first clip."""
  listed = [*true, *[true[0]] * (rows - len(true))]
  return {
    "first": np.stack([clip.frames[0].reshape(-1) for clip in listed]),
    "valid": np.stack(
      [clip.valid[0].repeat(clip.skeleton.dims) for clip in listed]
    ),
    "length": np.array([len(clip) for clip in listed], np.int32),
  }

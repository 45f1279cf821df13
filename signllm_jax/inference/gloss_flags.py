"""Options of glosses, of `signllm_jax.produce` and `signllm_jax.evaluate`."""

import argparse
import dataclasses
import os
from collections.abc import Sequence

from signllm_jax import config as config_lib
from signllm_jax.core import errors

MOST_BEAM, MOST_SAMPLES = 64, 256


@dataclasses.dataclass(frozen=True)
class GlossOptions:
  """How glosses are written; None: as the run's configuration says.

  Attributes:
    ensemble: further work directories or model files; all write together.
    beam: hypotheses.
    length_penalty: alpha of GNMT.
    samples: of each text, for minimum Bayes risk; 0: the beam alone.
  """

  ensemble: Sequence[str | os.PathLike] = ()
  beam: int | None = None
  length_penalty: float | None = None
  samples: int | None = None

  def apply(self, settings: config_lib.Gloss) -> config_lib.Gloss:
    """The settings of a run with these options."""
    given = {
      name: value
      for name in ("beam", "length_penalty", "samples")
      if (value := getattr(self, name)) is not None
    }
    return dataclasses.replace(settings, **given)

  def check(self) -> None:
    """Refuses values out of range.

    Raises:
      UsageError: names the option.
    """
    for name, value, low, high in (
      ("beam", self.beam, 1, MOST_BEAM),
      ("length_penalty", self.length_penalty, 0, 10),
      ("samples", self.samples, 0, MOST_SAMPLES),
    ):
      if value is not None and not low <= value <= high:
        raise errors.UsageError(
          f"--gloss_{name}={value}", expected=f"{low} to {high}"
        )


AS_TRAINED = GlossOptions()


def add(options: argparse.ArgumentParser) -> None:
  """Adds the options to a parser."""
  group = options.add_argument_group(
    "glosses", "of models that write them; by default as they were trained"
  )
  group.add_argument(
    "--ensemble",
    nargs="+",
    default=[],
    metavar="WORKDIR",
    help="further models of the same data, such as other seeds: the mean of "
    "all probabilities decides",
  )
  group.add_argument("--gloss_beam", type=int, help="hypotheses of the search")
  group.add_argument(
    "--gloss_length_penalty",
    type=float,
    help="alpha of GNMT: above 0 favours long glosses",
  )
  group.add_argument(
    "--gloss_samples",
    type=int,
    help="samples beside the beam; the gloss most like all others is taken "
    "(minimum Bayes risk on chrF); 0: the best of the beam",
  )


def read(args: argparse.Namespace) -> GlossOptions:
  """The options that were given."""
  return GlossOptions(
    tuple(args.ensemble),
    args.gloss_beam,
    args.gloss_length_penalty,
    args.gloss_samples,
  )

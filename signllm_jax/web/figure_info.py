"""The description of figures as `/v1/info` gives it to the page."""

import dataclasses

from signllm_jax.core.skeleton import Skeleton
from signllm_jax.visualization import figure, themes, view
from signllm_jax.web import info_schema


def of_skeleton(skeleton: Skeleton) -> info_schema.Figure:
  """The figure of a skeleton."""
  return info_schema.Figure(
    shapes=[_shape(shape) for shape in figure.describe(skeleton)],
    origin=info_schema.Point(
      joints=list(skeleton.origin),
      weights=[1 / len(skeleton.origin)] * len(skeleton.origin),
      down=0.0,
    ),
    rules=info_schema.Rules(
      layers=list(figure.LAYERS),
      behind=list(figure.BEHIND),
      deep=list(figure.DEEP),
      halo=figure.HALO,
      head_lift=figure.HEAD_LIFT,
      limb=figure.LIMB,
      finger=figure.FINGER,
      margin=view.MARGIN,
      farthest=view.FARTHEST,
      widest=view.WIDEST,
      palm=view.PALM,
      palm_range=view.PALM_RANGE,
    ),
  )


def of_themes() -> dict[str, dict[str, str]]:
  """The colours of both themes by their role."""
  return {"light": themes.LIGHT, "dark": themes.DARK}


def _shape(shape: figure.Shape) -> info_schema.Shape:
  fields = {
    field.name: getattr(shape, field.name)
    for field in dataclasses.fields(shape)
  }
  points = [
    info_schema.Point(
      joints=list(point.joints),
      weights=[round(weight, 5) for weight in point.weights],
      down=point.down,
    )
    for point in shape.points
  ]
  return info_schema.Shape(**{**fields, "points": points})

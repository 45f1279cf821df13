"""The answer of `/v1/info`: what a server can do."""

from typing import Annotated, Literal

from msgspec import Meta

from signllm_jax.web import schema


class Language(schema.Base):
  """A sign language of a model."""

  code: schema.LanguageCode
  name: str
  spoken: Annotated[
    str, Meta(description="Surrounding spoken language, ISO 639-1.")
  ]
  source: Literal["text", "prompt", "gloss"]
  tokens: Literal["words", "characters", "words+characters"]
  knows: Annotated[str, Meta(description="What the model can read.")]
  fps: float
  max_tokens: Annotated[int, Meta(description="Of a part of a text.")]
  timed: Annotated[
    bool, Meta(description="Whether the model knows when it signs each token.")
  ]
  examples: Annotated[
    list[str], Meta(description="Texts whose true signing is known.")
  ]


class FormatInfo(schema.Base):
  """A file format of downloads."""

  format: schema.FileFormat
  name: str


class Colours(schema.Base):
  """CSS colours; of a side the arm, then thumb to little finger."""

  bone: str
  right: list[str]
  left: list[str]


class Point(schema.Base):
  """A weighted sum of joints."""

  joints: list[int]
  weights: list[float]
  down: Annotated[float, Meta(description="Further down, in shoulder widths.")]


class Shape(schema.Base):
  """A shape of the figure."""

  kind: Annotated[
    Literal["line", "area", "wedge", "disc"],
    Meta(
      description="A wedge is half as wide where it begins; a disc has the "
      "head's radius."
    ),
  ]
  layer: str
  points: list[Point]
  colour: Annotated[str, Meta(description="Role in a theme; empty: no line.")]
  width: Annotated[float, Meta(description="Of the line, in the unit.")]
  unit: Annotated[
    Literal["shoulders", "palm"],
    Meta(description="Width of the shoulders, or length of the palm."),
  ]
  fill: Annotated[str, Meta(description="Role in a theme; empty: none.")]
  side: Annotated[Literal["", "left", "right"], Meta(description="Of a hand.")]
  halo: Annotated[
    bool,
    Meta(
      description="A wider line of the card's colour lies below it, from the "
      "middle of its first segment on."
    ),
  ]
  smooth: Annotated[bool, Meta(description="A curve (Catmull-Rom).")]
  depth_of: Annotated[
    int | None, Meta(description="Shape whose depth it takes.")
  ]
  needs: Annotated[
    int, Meta(description="Points of an area that must be seen.")
  ]


class Rules(schema.Base):
  """Numbers that all shapes share."""

  layers: Annotated[list[str], Meta(description="From back to front.")]
  behind: Annotated[
    list[str], Meta(description="The same, seen from behind the signer.")
  ]
  deep: Annotated[
    list[str], Meta(description="Layers within which depth decides.")
  ]
  halo: Annotated[float, Meta(description="Its width over the line's.")]
  head_lift: Annotated[
    float, Meta(description="Of a disc above the nose, in its radius.")
  ]
  limb: Annotated[float, Meta(description="Width, in shoulder widths.")]
  finger: Annotated[float, Meta(description="Width, in lengths of the palm.")]
  margin: Annotated[float, Meta(description="Of a window around the figure.")]
  farthest: Annotated[
    float,
    Meta(description="Points farther from the neck are faults; shoulders."),
  ]
  widest: Annotated[
    float, Meta(description="Fingertips farther from the hand are; palms.")
  ]
  palm: Annotated[
    float, Meta(description="Percentile of its length over all frames.")
  ]
  palm_range: Annotated[
    tuple[float, float], Meta(description="In shoulder widths.")
  ]


class Figure(schema.Base):
  """How to draw a skeleton."""

  shapes: Annotated[list[Shape], Meta(description="From back to front.")]
  origin: Annotated[Point, Meta(description="Neck or middle of shoulders.")]
  rules: Rules


class Skeleton(schema.Base):
  """The joints of a frame and how to draw them."""

  name: str
  dims: Annotated[int, Meta(description="Numbers a joint: 2 or 3.")]
  joints: Annotated[list[str], Meta(min_length=1)]
  limbs: Annotated[
    list[tuple[int, int]], Meta(description="Parent and child joint.")
  ]
  hands: Annotated[
    dict[str, int], Meta(description="First joint of each hand.")
  ]
  colours: Colours
  figure: Figure


class Model(schema.Base):
  """A model that is served."""

  name: str
  stochastic: Annotated[
    bool, Meta(description="Whether its clips depend on a seed.")
  ]
  languages: Annotated[list[Language], Meta(min_length=1)]
  skeleton: Skeleton


class Info(schema.Base):
  """The models and file formats of a server; the first model's skeleton."""

  models: Annotated[list[Model], Meta(min_length=1)]
  formats: list[FormatInfo]
  modes: list[schema.Mode]
  max_text: Annotated[int, Meta(description="Characters.")]
  skeleton: Skeleton
  themes: Annotated[
    dict[str, dict[str, str]],
    Meta(description="light and dark: CSS colours by their role."),
  ]

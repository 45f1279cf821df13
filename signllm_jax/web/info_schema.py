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

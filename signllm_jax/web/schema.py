"""Requests and responses of the API.

The types decode and validate requests, encode responses, and describe both in
`/openapi.json` (see `openapi`).
"""

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from signllm_jax.inference import pauses, text_signer

MAX_TEXT = 5000  # characters
MIN_SPEED, MAX_SPEED = 0.5, 2.0  # slower signing makes long clips

Split = Literal["dev", "test"]  # splits whose true clips are shown
Mode = Literal["text", "prompt"]
Theme = Literal["light", "dark"]
FileFormat = Literal[
  ".gif",
  ".mp4",
  ".png",
  ".svg",
  ".bvh",
  ".pose",
  ".npz",
  ".h5",
  ".skels",
  "openpose",
  "dwpose",
  "dwpose_npz",
]
Frames = Annotated[
  list[list[float | None]],
  Meta(
    description="Frames: x, y and, in 3-D, z (right, down, depth) of each "
    "joint of the model's skeleton in /v1/info, in units where the shoulders "
    "are 1/3 apart; null where a joint is missing."
  ),
]
Length = Annotated[int, Meta(description="Number of frames.")]
FirstFrame = Annotated[float, Meta(description="Its first frame.")]
LanguageCode = Annotated[
  str,
  Meta(description="Such as ASL; empty if the model names none."),
]


class Base(msgspec.Struct, forbid_unknown_fields=True):
  """Of all types: unknown fields are refused."""


class SignRequest(Base):
  """A text to sign."""

  text: Annotated[str, Meta(min_length=1, max_length=MAX_TEXT)]
  language: (
    Annotated[
      str,
      Meta(
        description="Code such as ASL; by default the one that a question "
        "names, else the model's first."
      ),
    ]
    | UnsetType
  ) = UNSET
  mode: Annotated[
    Mode,
    Meta(
      description="prompt: what a question has in quotation marks is signed."
    ),
  ] = "text"
  model: (
    Annotated[
      str, Meta(description="A name of /v1/info; the first by default.")
    ]
    | UnsetType
  ) = UNSET
  speed: Annotated[
    float,
    Meta(
      ge=MIN_SPEED,
      le=MAX_SPEED,
      description="Speed of signing; 2 is twice as fast.",
    ),
  ] = 1.0
  pause: Annotated[
    float,
    Meta(
      ge=0,
      le=pauses.LONGEST,
      description="Seconds between words that are spelt; at the end of a "
      "sentence three times as long.",
    ),
  ] = pauses.SECONDS
  smooth: Annotated[
    bool, Meta(description="Reduces jitter (one-euro filter).")
  ] = False
  constant_bones: Annotated[
    bool,
    Meta(description="Gives each bone its median length over the clip."),
  ] = False
  seed: (
    Annotated[
      int,
      Meta(
        ge=0,
        le=text_signer.MAX_SEED,
        description="Of a stochastic model, which signs a text in another way "
        "with another seed; 0 by default.",
      ),
    ]
    | UnsetType
  ) = UNSET


class EmbedRequest(SignRequest):
  """A text to sign on a page without a script."""

  theme: Annotated[Theme, Meta(description="Its colours.")] = "light"


class DownloadRequest(SignRequest, kw_only=True):
  """A text to sign into a file."""

  format: FileFormat


class Token(Base):
  """A letter, word or gloss, and when it is signed."""

  token: str
  start: FirstFrame
  end: Annotated[float, Meta(description="The frame after its last.")]


class Part(Base):
  """A part of a text that was signed in one go."""

  text: Annotated[str, Meta(description="As the model read it.")]
  start: FirstFrame
  end: Annotated[
    float,
    Meta(
      description="The frame after its last; the next part starts after a few "
      "frames that join them."
    ),
  ]


Finished = Annotated[bool, Meta(description="False: cut off at the limit.")]
Gloss = Annotated[
  str,
  Meta(description="The signed gloss; empty if the model writes none."),
]
Tokens = Annotated[
  list[Token] | None,
  Meta(
    description="When each letter, word or gloss is signed; null if the model "
    'does not know. The end of the text is "".'
  ),
]
Parts = Annotated[
  list[Part],
  Meta(
    min_length=1, description="Sentences or words of a text, signed in one go."
  ),
]


class TrueClip(Base):
  """The true signing of a text."""

  split: Split
  fps: float
  length: Length
  frames: Frames


class _Start(Base):
  """Fields that are known before the first frame."""

  model: str
  language: LanguageCode
  text: Annotated[str, Meta(description="The text as the model read it.")]
  notes: Annotated[
    list[str], Meta(description="Remarks on how the text was read.")
  ]
  seed: Annotated[
    int | None,
    Meta(description="That gives this clip again; null if no seed matters."),
  ]
  fps: Annotated[float, Meta(description="Frames a second.")]
  true: Annotated[
    TrueClip | None,
    Meta(
      description="The true signing, if the text is in the dev or test split."
    ),
  ]


class Signing(_Start):
  """A signed text."""

  length: Length
  finished: Finished
  gloss: Gloss
  tokens: Tokens
  parts: Parts
  frames: Frames


class StartLine(_Start, tag_field="type", tag="start"):
  """First line of a stream."""


class FramesLine(Base, tag_field="type", tag="frames"):
  """Some frames of a stream, in order."""

  first: Annotated[int, Meta(description="Index of the first of them.")]
  frames: Frames


class EndLine(Base, tag_field="type", tag="end"):
  """Last line of a stream."""

  length: Length
  finished: Finished
  gloss: Gloss
  tokens: Tokens
  parts: Parts


class ErrorLine(Base, tag_field="type", tag="error"):
  """Last line of a stream that failed after its first frames."""

  code: str
  detail: str


StreamLine = StartLine | FramesLine | EndLine | ErrorLine


class Status(Base):
  """State of the server."""

  status: str


class Problem(Base, omit_defaults=True):
  """A refusal, after RFC 9457."""

  status: Annotated[int, Meta(description="Status of HTTP.")]
  code: Annotated[str, Meta(description="Stays the same between versions.")]
  detail: str
  unknown: (
    Annotated[
      list[str],
      Meta(description="Characters or words that the model does not know."),
    ]
    | UnsetType
  ) = UNSET

"""A finding of the audit, as reports hold it."""

from typing import NamedTuple

FOUND, CLEAR, UNKNOWN = "found", "clear", "not tried"
HEADS = {
  "lengths": "true lengths",
  "first_frame": "true first frame",
  "truth_frames": "frames of the truth",
  "training": "copies of training",
  "above_truth": "above the truth",
}
_SHOWN = 10  # names in a sentence


class Finding(NamedTuple):
  """The answer to one question.

  Attributes:
    key: of `HEADS`.
    verdict: FOUND, CLEAR or UNKNOWN.
    said: the answer, a sentence or two.
    clips: names of the clips with evidence, all of them.
  """

  key: str
  verdict: str
  said: str
  clips: list[str]

  @property
  def named(self) -> str:
    """The answer, with the first clips of a finding."""
    if self.verdict != FOUND or not self.clips:
      return self.said
    more = len(self.clips) - _SHOWN
    names = ", ".join(self.clips[:_SHOWN])
    tail = f" and {more} more (report.json)" if more > 0 else ""
    return f"{self.said} Clips: {names}{tail}."

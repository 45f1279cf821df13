"""The questions of a study.

They follow the seven dimensions that Deaf co-researchers chose with Liu et al.,
Beyond Technical Metrics, CHI 2026 (10.1145/3772318.3791429): comprehension,
objective by a paraphrase and subjective, temporal fluency, spatial grammar,
non-manual markers, expressiveness, mental demand (after NASA-TLX) and
acceptance; with naturalness as a whole. The wording is ours.
"""

from typing import NamedTuple

POINTS = 5  # of a scale
ANSWERS = tuple(str(i + 1) for i in range(POINTS))  # in the results
PREFERENCES = ("0", "0.5", "1")  # in the results: the other clip, equal, this


class Question(NamedTuple):
  """A question about one clip.

  Attributes:
    key: in the results.
    text: what is asked.
    low: the answer 1.
    high: the answer 5.
    better: whether 5 is the good end.
  """

  key: str
  text: str
  low: str
  high: str
  better: bool = True


PARAPHRASE = "What does the person say? Write it in your own words."
SCALES = (
  Question("comprehension", "I understood it.", "nothing", "everything"),
  Question("fluency", "The rhythm and the pauses are right.", "no", "yes"),
  Question("space", "Places and directions are used right.", "no", "yes"),
  Question("face", "Face, mouth, head and body are used right.", "no", "yes"),
  Question("expression", "It is expressive.", "no", "yes"),
  Question("naturalness", "It looks like a person signing.", "no", "yes"),
  Question("effort", "Watching it is hard work.", "no", "yes", better=False),
  Question("acceptance", "I would accept it on a screen.", "no", "yes"),
)
PREFERENCE = "Which of the two is better?"

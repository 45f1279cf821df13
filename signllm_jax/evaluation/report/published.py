"""Published figures, reported beside ours with their source.

They come from other back-translation models on other poses. Under a public
evaluator (SLRTP 2025) the ground truth itself gets BLEU-4 12.78, so none of
them is comparable with a number of ours.
"""

from typing import NamedTuple

CAUTION = "not comparable across evaluators"


class Figure(NamedTuple):
  """Scores of one system; empty where its paper gives none."""

  task: str
  system: str
  bleu_4: str  # dev / test
  rouge: str  # dev / test
  source: str
  evaluator: str = "its own back-translation"
  given: str = "not stated"  # of the truth, when it signs


_PT = "Saunders et al., ECCV 2020"
_SLRTP = "Walsh et al., CVPRW 2025"
_READER = "SLRTP 2025's reader"
_SIGNLLM = "Fang et al., arXiv 2405.10718"
GSL = "PHOENIX14T text to pose"
ASL = "How2Sign text to pose"
_GLOSS = "PHOENIX14T text to gloss"

FIGURES: tuple[Figure, ...] = (
  Figure(
    GSL,
    "Progressive Transformer",
    "11.82 / 10.51",
    "33.18 / 32.46",
    _PT,
    given="first frame, counter and length",
  ),
  Figure(
    GSL,
    "Adversarial",
    "12.65 / 10.81",
    "33.68 / 32.74",
    "Saunders et al., BMVC 2020",
  ),
  Figure(
    GSL,
    "Mixture of Motion Primitives",
    "14.03 / 13.30",
    "37.76 / 36.77",
    "Saunders et al., ICCV 2021",
  ),
  Figure(GSL, "SignLLM-M 40M", "18.61 / 22.76", "40.69 / 48.05", _SIGNLLM),
  Figure(GSL, "SignLLM-M 120M", "19.31 / 23.25", "41.42 / 49.08", _SIGNLLM),
  Figure(GSL, "SignLLM-M 1B", "19.07 / 23.21", "41.83 / 49.52", _SIGNLLM),
  Figure(GSL, "SignLLM, gloss mode, 40M", "17.12 / 20.93", "", _SIGNLLM),
  Figure(GSL, "SignLLM, gloss mode, 120M", "17.55 / 21.39", "", _SIGNLLM),
  Figure(GSL, "SignLLM, gloss mode, 1B", "17.54 / 21.35", "", _SIGNLLM),
  Figure(GSL, "truth", "– / 12.78", "", _SLRTP, _READER, "it is the truth"),
  Figure(
    GSL,
    "SLRTP 2025, first place (retrieval)",
    "– / 12.06",
    "",
    _SLRTP,
    _READER,
    "length; poses copied from training",
  ),
  Figure(
    GSL,
    "PT in SLRTP 2025, 26 % of the motion",
    "– / 5.43",
    "",
    _SLRTP,
    _READER,
    "not stated",
  ),
  Figure(ASL, "SignLLM-M 40M", "18.77 / 14.13", "", _SIGNLLM),
  Figure(ASL, "SignLLM-M 120M", "19.40 / 14.52", "", _SIGNLLM),
  Figure(ASL, "SignLLM-M 1B", "20.09 / 15.03", "", _SIGNLLM),
  Figure(ASL, "SignLLM 40M, base", "10.96 / 9.27", "", _SIGNLLM),
  Figure(ASL, "SignLLM 40M, gloss mode", "15.78 / 16.32", "", _SIGNLLM),
  Figure(ASL, "SignLLM 40M, RL", "18.33 / 13.26", "", _SIGNLLM),
  Figure(ASL, "SignLLM 40M, RL + PLC", "18.77 / 14.13", "", _SIGNLLM),
  Figure(_GLOSS, "Stoll et al. 2018", "16.34 / 15.26", "", _PT, "glosses", "–"),
  Figure(_GLOSS, "PT, first stage", "20.23 / 19.10", "", _PT, "glosses", "–"),
)
HEADS = (
  "task",
  "system",
  "BLEU-4 dev / test",
  "ROUGE dev / test",
  "source",
  "evaluator",
  "given of the truth",
)

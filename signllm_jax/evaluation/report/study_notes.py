"""Sentences about a study: what was run, and how to read its table."""

from signllm_jax.evaluation.report import published
from signllm_jax.evaluation.report.study import Study

_PAPER_SAVING = (
  "The paper reports 27.1 % less training time to equal DTW with RL + PLC "
  "(Fang et al., arXiv 2405.10718), without seeds or intervals."
)


def notes(study: Study) -> list[str]:
  """The sentences above the table."""
  seeds = len(next(iter(study.runs.values())))
  said = [
    f"Study {study.name} of {study.base}: {study.steps} steps, {seeds} seeds; "
    "means with Student's 95 % intervals over seeds."
  ]
  if study.name == "efficiency":
    return [
      *said,
      f"The base's score is its last DTW-MJE of {study.while_training} with "
      "the same seed; time is that of training, without compilation and "
      "evaluation. " + _PAPER_SAVING,
    ]
  if study.name == "sizes" and study.scale != 1:
    said.append(
      f"All widths are {study.scale:.3f} of SignLLM's: the rows have its "
      "layers and its ratios of widths, not its numbers of parameters."
    )
  said.append(
    "Minutes are those of training, without compilation and evaluation."
  )
  if study.references:
    said.append(
      "The last rows are no models: the true clips and, where texts are "
      "repeated, other recordings of the same texts and their mean."
    )
  if study.name != "signing":
    said.append(f"The paper's figures are {published.CAUTION}.")
  said += _of_reader(study)
  if left := [
    row for row in study.runs if row not in study.rows_of_one_score()
  ]:
    said.append(
      f"The curves leave out {', '.join(left)}: during training a generative "
      "decoder is scored by its Fréchet distance, the other rows by DTW-MJE."
    )
  if equal := study.equal_rows():
    said.append(
      "Rows marked = equal the named row in every digit of every run."
    )
    if {"GN", "FP + GN"} & set(equal):
      said.append(
        "Noise (GN) is scaled by the residuals of the epoch before: until the "
        "end of the first epoch it changes nothing."
      )
  return said


def _of_reader(study: Study) -> list[str]:
  """What read the clips; how to train such a model, where none did."""
  if not study.reader:
    return [
      "No reader was given, so no column of ours stands beside the paper's "
      "BLEU-4. This trains one, to be named with --back_translation: "
      "`python -m signllm_jax.train --config=configs/back_translation.py "
      f"--config.data.folder={study.folder} "
      f"--config.data.language={study.language} --config.data.tokens=words "
      "--config.data.glosses=False --workdir=runs/reader`"
    ]
  said = [f"The texts were read by {study.reader}."]
  if study.references.get("truth", {}).get("bleu_4") == 0:
    said.append(
      "BLEU-4 is 0 for the true clips as well, as it is where texts have "
      "fewer than four words."
    )
  return said

"""The console command `signllm`: every door and every stage of the pipeline."""

import runpy
import sys

COMMANDS = {
  "build": "build the training records of a data set",
  "train": "train a model, or go on with a run",
  "produce": "sign texts: clips, pictures and videos",
  "evaluate": "score a run on a split; compare two runs",
  "serve": "serve a model: web page and JSON API",
  "ablate": "train the rows of the paper's studies",
  "add_language": "add a language to a run of MLSF",
  "export_model": "write a run into one model file",
  "doctor": "check devices, storage and data before a long run",
  "extract": "keypoints of any form -> one .h5",
  "lift": "keypoints -> clips in 3-D, with their quality",
  "skels": "lifted clips -> .skels and the files beside it",
  "prompts": "sentences -> questions and glosses",
  "verify": "check counts, checksums and every record of a build",
  "report": "a build -> its data card, one HTML page",
  "convert": "clips of one form -> another",
}
STAGES = (  # of data_pipeline; the others are modules of signllm_jax
  "build",
  "extract",
  "lift",
  "skels",
  "prompts",
  "verify",
  "report",
  "convert",
)


def usage() -> str:
  """The text of `signllm --help`."""
  lines = [
    "usage: signllm COMMAND [OPTIONS]",
    "",
    "Sign language production: text in, 3-D signing skeletons out.",
    "",
    *(f"  {name:14}{line}" for name, line in COMMANDS.items()),
    "",
    "`signllm COMMAND --help` explains a command. Without installation:",
    "`python -m signllm_jax.train ...`, `python -m data_pipeline build ...`.",
  ]
  return "\n".join(lines)


def main() -> int:
  """Runs a command; nothing else is imported before it is known."""
  if len(sys.argv) < 2:
    print(usage(), file=sys.stderr)
    return 1
  name, *arguments = sys.argv[1:]
  if name in ("-h", "--help", "help"):
    print(usage())
    return 0
  name = name.replace("-", "_")
  if name not in COMMANDS:
    print(
      f"error: unknown command {sys.argv[1]!r}; expected one of "
      + ", ".join(COMMANDS),
      file=sys.stderr,
    )
    return 1
  if name in STAGES:
    module, arguments = "data_pipeline", [name, *arguments]
  else:
    module = f"signllm_jax.{name}"
  sys.argv[1:] = arguments
  runpy.run_module(module, run_name="__main__", alter_sys=True)
  return 0


if __name__ == "__main__":
  sys.exit(main())

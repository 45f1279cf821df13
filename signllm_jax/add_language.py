r"""Gives a model of several sign languages one more (MLSF, section 5).

A group is appended to the checkpoint; every other group stays bit-equal. The
result is a new work directory, trained on with `python -m signllm_jax.train
--workdir=OUT`. The new group starts fresh, or warm from another language's.

  python -m signllm_jax.add_language --workdir=runs/mlsf --out=runs/mlsf5 \
      --language=CSE --folder=data/fingerspelling/cse/1.0.0 --warm_start=GSL
"""

import argparse
import sys
from collections.abc import Sequence

from signllm_jax.core import errors
from signllm_jax.training import append_language

EPILOG = """\
exit codes: 0 done; 1 wrong request; 65 fault in the data; 74 fault in storage
"""


def main(arguments: Sequence[str] | None = None) -> int:
  """The command; returns the exit code."""
  parser = argparse.ArgumentParser(
    prog="python -m signllm_jax.add_language",
    description=__doc__,
    epilog=EPILOG,
    formatter_class=argparse.RawDescriptionHelpFormatter,
    allow_abbrev=False,
  )
  add = parser.add_argument
  add("--workdir", required=True, help="a trained run of MLSF")
  add("--out", required=True, help="work directory to make")
  add("--language", required=True, help="code of the new sign language")
  add("--folder", required=True, help="its built data set")
  add("--warm_start", default="", help="language to start the new group from")
  add("--freeze", action="store_true", help="only the new group learns")
  args = parser.parse_args(arguments)

  def work() -> None:
    append_language.append_language(
      args.workdir,
      args.out,
      args.language,
      args.folder,
      warm_start=args.warm_start,
      freeze=args.freeze,
    )
    print(
      f"{args.language} is added. Train it:\n"
      f"  python -m signllm_jax.train --workdir={args.out}"
    )

  return errors.exit_code_of(work)


if __name__ == "__main__":
  sys.exit(main())

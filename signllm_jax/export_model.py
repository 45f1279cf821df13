"""Exports a trained model: `python -m signllm_jax.export_model`.

Writes one file that every command of this package loads (`model_file`), or a
folder of compiled programs that run without this package (`stablehlo`).
"""

import argparse
import os
import sys
from collections.abc import Sequence
from typing import Any

from signllm_jax.core import (
  errors,
  paths,
)
from signllm_jax.data import datasets
from signllm_jax.inference import load, stablehlo
from signllm_jax.runs import (
  description,
  hub_folder,
  model_file,
  restore,
  workdir,
)

EXAMPLES = """\
the name of --out decides:
  NAME.safetensors  one file; `produce`, `serve` and `evaluate` take it as
                    --model. float32 signs the same bits as the checkpoint,
                    float16 needs half the room
  NAME --hub        a folder in the form of the Hugging Face hub: the same
                    file, config.json and a model card; --model takes it
  NAME (a folder)   StableHLO of encoder and decoding step (and of what writes
                    the gloss, if the model does), and model.json: JAX alone
                    runs them, on CPU, GPU and TPU

examples:
  python -m signllm_jax.export_model --workdir=runs/quickstart \\
      --out=quickstart.safetensors --dtype=float16
  python -m signllm_jax.produce --model=quickstart.safetensors --text=hello \\
      --out=hello.gif
  python -m signllm_jax.export_model --workdir=runs/quickstart --out=deployed

exit codes: 0 done; 1 wrong request; 2 wrong option; 65 fault in the data;
74 fault in storage
"""


def export_model(
  path: str | os.PathLike,
  out: str | os.PathLike,
  *,
  dtype: str = "float32",
  language: str = "",
  hub: bool = False,
) -> None:
  """Writes a trained model as a file or as compiled programs.

  Args:
    path: work directory of a run, or a model file.
    out: file with the suffix .safetensors, or a folder that does not exist.
    dtype: of the file's parameters.
    language: of the programs, where the model knows several.
    hub: write a folder in the form of the Hugging Face hub, with a model card.

  Raises:
    UsageError: the request cannot be met.
    DataError: a parameter does not fit the dtype.
    StorageError: nothing can be read or written.
  """
  out = paths.resolve(out)
  if hub:
    _write_hub_folder(path, out, dtype, language)
    return
  if out.suffix == model_file.SUFFIX:
    if language:
      raise errors.UsageError("--language: a model file holds all languages")
    config, infos, _, state = restore.restore(path)
    described = description.Description(config, infos)
    model_file.write(out, described, state, dtype)
    print(f"wrote {out}: {out.stat().st_size / 1e6:.1f} MB")
    return
  if out.suffix or dtype != "float32":
    raise errors.UsageError(
      f"--dtype={dtype} of programs" if not out.suffix else "unknown suffix",
      path=out,
      expected=f"{model_file.SUFFIX}, or a folder's name without --dtype",
    )
  folder = paths.local(out, "the folder of compiled programs")
  producer = load.load_producer(path, language)
  stablehlo.write(folder, producer)
  print(f"wrote {out}: " + ", ".join(sorted(os.listdir(folder))))


def _read_reports(path: str | os.PathLike) -> list[dict[str, Any]]:
  """The reports of `evaluate`; without any, that of the training."""
  splits = [paths.resolve(path, "evaluation", name) for name in datasets.SPLITS]
  found = [workdir.read_report(folder) for folder in splits]
  known = [report for report in found if report is not None]
  trained = None if known else workdir.read_report(path)
  return known if trained is None else [trained]


def _write_hub_folder(
  path: str | os.PathLike, out: paths.AnyPath, dtype: str, language: str
) -> None:
  if language or out.suffix or paths.is_remote(out):
    raise errors.UsageError(
      "--hub with --language" if language else "no name of a folder",
      path=out,
      expected="a local folder's name; it holds all languages",
    )
  config, infos, _, state = restore.restore(path)
  reports = [] if model_file.is_model_file(path) else _read_reports(path)
  described = description.Description(config, infos)
  files = hub_folder.write(out, described, state, reports, dtype)
  print(f"wrote {out}: " + ", ".join(file.name for file in files))


def main(arguments: Sequence[str] | None = None) -> int:
  """The command; returns the exit code."""
  parser = argparse.ArgumentParser(
    prog="python -m signllm_jax.export_model",
    description="Writes a trained model as a file, or as compiled programs.",
    epilog=EXAMPLES,
    formatter_class=argparse.RawDescriptionHelpFormatter,
    allow_abbrev=False,
  )
  add = parser.add_argument
  add("--workdir", required=True, help="work directory of a training run")
  add("--out", required=True, help="what to write")
  add(
    "--dtype",
    choices=model_file.DTYPES,
    default="float32",
    help="of the parameters in the file (float32)",
  )
  add("--language", default="", help="of the programs, e.g. ASL")
  add(
    "--hub",
    action="store_true",
    help="write a folder in the form of the Hugging Face hub: safetensors, "
    "config.json and a model card (README.md)",
  )
  args = parser.parse_args(arguments)
  return errors.exit_code_of(
    lambda: export_model(
      args.workdir,
      args.out,
      dtype=args.dtype,
      language=args.language,
      hub=args.hub,
    )
  )


if __name__ == "__main__":
  sys.exit(main())

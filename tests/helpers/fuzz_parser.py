"""Fuzzes a parser with atheris, guided by the branches that it takes.

  python -m helpers.fuzz_parser NAME SECONDS FOLDER

Ends with 0 if nothing but typed errors was raised, and no file took more than
a few seconds or 2 GiB.
"""

import contextlib
import pathlib
import sys

import atheris

with atheris.instrument_imports(include=["signllm_jax", "data_pipeline"]):
  from helpers import parsers

  from signllm_jax.core import errors


def main() -> None:
  """Fuzzes until the time is up."""
  name, seconds, home = sys.argv[1], int(sys.argv[2]), pathlib.Path(sys.argv[3])
  parser = parsers.PARSERS[name]
  folder, corpus, whole = (home / each for each in ("in", "corpus", "whole"))
  for path in (folder, corpus, whole):
    path.mkdir()
  for number, data in enumerate(parsers.seeds(parser, whole)):
    (corpus / f"{number}").write_bytes(data)
  path = folder / parser.file

  def try_one(data: bytes) -> None:
    path.write_bytes(data)
    with contextlib.suppress(errors.SignLLMError):
      parser.read(path)

  options = {
    "max_total_time": seconds,
    "timeout": 10,
    "rss_limit_mb": 2048,
    "max_len": 1 << 17,
    "artifact_prefix": f"{home}/",
    "seed": 1 + seconds,
  }
  atheris.Setup(
    [sys.argv[0], *(f"-{k}={v}" for k, v in options.items()), str(corpus)],
    try_one,
  )
  atheris.Fuzz()


if __name__ == "__main__":
  main()

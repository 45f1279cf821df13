"""Letter errors of spelt words that no training has, produced and true.

  python -m benchmarks.letters --workdir runs/quickstart [runs/other ...]

The words are hard: doubled letters, and words of 18 and more letters, where the
words of the lists have ten at most. Truth are the letter recordings, joined as
for training. `letter_reader` reads both; it is made of single recordings and
was trained on nothing.
"""

import argparse
import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import jiwer
import numpy as np

from benchmarks import letter_reader
from data_pipeline.fingerspelling import alphabets, spell
from signllm_jax.core import clips
from signllm_jax.inference import signer

_DOUBLED = """
accommodate aardvark bookkeeper cappuccino committee continuum coolly eggshell
embarrass glowworm hitchhike keenness misspell mississippi occurrence pizzazz
possess roommate skiing succinct sweettooth tattoo whippersnapper withhold
woolly
"""
_LONG = """
antidisestablishment antidisestablishmentarianism characteristically
compartmentalization counterintelligence counterrevolutionary
deinstitutionalization disproportionateness electrocardiographic
electroencephalogram extraterritoriality immunohistochemistry industrializations
institutionalization interconnectedness internationalization
magnetohydrodynamics microarchitectures oversimplification psychophysiological
radiopharmaceuticals telecommunications uncharacteristically unconstitutionally
"""
WORDS: Mapping[str, tuple[str, ...]] = {
  "doubled": tuple(_DOUBLED.split()),
  "18 and more": tuple(_LONG.split()),
}


class Reading(NamedTuple):
  """What was read of a word."""

  word: str
  true: str
  produced: str


def read_words(
  reader: letter_reader.Reader,
  sign: signer.Signer,
  alphabet: str,
  words: Sequence[str],
) -> list[Reading]:
  """Reads words, as they are joined for training and as a model spells them."""
  language = alphabets.ALPHABETS[alphabet]
  (fps,) = {info.fps for info in sign.infos.values()}
  readings = []
  for word, produced in zip(words, sign(words), strict=True):
    true = clips.canonical(spell.spell(word, language, fps))
    texts = ("".join(reader.read(clip)) for clip in (true, produced))
    readings.append(Reading(word, *texts))
  return readings


def errors(readings: Sequence[Reading], side: str) -> float:
  """Letter errors in per cent, of "true" or "produced"."""
  words = [reading.word for reading in readings]
  read = [getattr(reading, side) for reading in readings]
  return 100 * float(jiwer.cer(words, read))


def main() -> None:
  """The command line."""
  parser = argparse.ArgumentParser(
    prog="python -m benchmarks.letters",
    description=__doc__,
    formatter_class=argparse.RawDescriptionHelpFormatter,
  )
  add = parser.add_argument
  add("--workdir", nargs="+", required=True, help="runs of one configuration")
  add("--alphabet", default="asl", help="of the words (asl)")
  add("--words", help="a file of words, one a line, in place of the hard ones")
  add("--json", help="a file for all that was read")
  args = parser.parse_args()
  groups = WORDS
  if args.words:
    text = pathlib.Path(args.words).read_text(encoding="utf-8")
    groups = {"words": tuple(text.split())}
  reader = letter_reader.Reader(alphabets.ALPHABETS[args.alphabet])
  words = [word for group in groups.values() for word in group]
  runs = [
    read_words(reader, signer.Signer(workdir), args.alphabet, words)
    for workdir in args.workdir
  ]
  print(f"{'':>12} {'letters':>8} {'truth':>7} {'produced':>9} {'runs':>6}")
  for name, group in [*groups.items(), ("all", words)]:
    chosen = [[r for r in run if r.word in group] for run in runs]
    produced = [errors(run, "produced") for run in chosen]
    print(
      f"{name:>12} {sum(map(len, group)):>8} "
      f"{errors(chosen[0], 'true'):>6.1f}% {np.mean(produced):>8.1f}% "
      f"{min(produced):>6.1f} to {max(produced):.1f}"
    )
  for reading in dict.fromkeys(reading for run in runs for reading in run):
    if {reading.true, reading.produced} != {reading.word}:
      print(f"{reading.word}: truth {reading.true}, made {reading.produced}")
  if args.json:
    pathlib.Path(args.json).write_text(
      json.dumps([[r._asdict() for r in run] for run in runs], indent=1),
      encoding="utf-8",
    )


if __name__ == "__main__":
  main()

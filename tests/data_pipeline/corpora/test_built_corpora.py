"""Corpora built by one command: records, splits, texts, licence, card."""

import html
import pathlib
import shutil

import pytest
from helpers import downloads
from helpers.landmarks import frames_258, write_recording
from helpers.paths import DATA
from helpers.real_data import real

from data_pipeline.building import held_out, record_reader
from data_pipeline.cli import parser
from data_pipeline.corpora import (
  autsl,
  corpus,
  dgs_sentences,
  google,
  how2sign,
  ksl,
  lsa64,
  phoenix14t,
  prompt2sign,
  signsuisse,
  slrtp,
)

KNOWN = {
  module.__name__.rpartition(".")[2]: value
  for module in (autsl, dgs_sentences, ksl, lsa64, phoenix14t, prompt2sign)
  for value in [module.CORPUS]
} | {
  "how2sign": how2sign.HOW2SIGN,
  "how2sign with DWPose": how2sign.DWPOSE,
  "isolated signs": google.ISOLATED,
  "fingerspelling": google.FINGERSPELLING,
  "signsuisse": signsuisse.CORPUS,
  "slrtp": slrtp.CORPUS,
}


def build(source: pathlib.Path, output: pathlib.Path, language: str, *more):
  """Builds by one command; returns the folder of the records."""
  command = ["build", f"--dataset=prompt2sign/{language}", *more]
  command += [f"--input={source}", f"--output={output}"]
  assert parser.main([*command, "--file_format=array_record"]) == 0
  (folder,) = output.glob("prompt2sign/*/1.0.0")
  return folder


def texts(folder: pathlib.Path) -> dict[str, list[tuple[str, str]]]:
  """Text and gloss of the records of each split."""
  info = record_reader.open_build(folder)
  return {
    name: sorted(
      (record["text"], record["gloss"])
      for record in record_reader.read_records(split, info.file_format)
    )
    for name, split in info.splits.items()
  }


def check(folder: pathlib.Path, known: corpus.Corpus, splits: str, capsys):
  """`verify` and the data card name corpus, licence, skeleton and splits."""
  capsys.readouterr()
  assert parser.main(["verify", f"--input={folder}"]) == 0
  said = capsys.readouterr().out
  assert (folder / "LICENSE").read_text().strip() == known.licence
  assert held_out.read_record(folder).corpus == known.name
  card = folder.parents[3] / "card.html"
  command = ["report", f"--input={folder}", f"--output={card}"]
  assert parser.main(command) == 0
  page = html.unescape(card.read_text())
  for text in (known.name, known.licence.split(" (")[0], "prompt2sign50"):
    assert text in said and text in page
  assert f"splits: {splits}" in said
  for split in splits.split(", "):
    assert split.split()[0] in page


@pytest.mark.parametrize("name", KNOWN)
def test_every_corpus_states_its_terms_and_where_they_are(name):
  known = KNOWN[name]
  assert known.licence != corpus.NOT_STATED
  terms = known.licence.rpartition("Terms: ")[2]
  assert "." in terms and " " not in terms.partition(" and ")[0]
  names = [other.name for other in KNOWN.values()]
  assert names.count(known.name) == 1


def test_phoenix14t_beside_its_pictures(tmp_path, capsys):
  downloads.phoenix14t(tmp_path / "in")
  folder = build(tmp_path / "in", tmp_path / "out", "gsl")
  assert texts(folder) == {
    split: [(f'und "{split} regen', f"REGEN {split.upper()}")]
    for split in ("train", "dev", "test")
  }
  check(folder, phoenix14t.CORPUS, "train 1, dev 1, test 1", capsys)


def test_recordings_of_signs(tmp_path, capsys):
  for sign in ("tea", "thank-you"):
    for number in range(4):
      place = tmp_path / "MP_Data" / sign / str(number)
      write_recording(place, frames_258(3, seed=number))
  size = ("--size=640x480", "--fps=15")
  folder = build(tmp_path / "MP_Data", tmp_path / "out", "asl", *size)
  assert texts(folder)["dev"] == [("tea", "TEA"), ("thank-you", "THANK-YOU")]
  assert (folder / "LICENSE").read_text().strip() == corpus.NOT_STATED
  capsys.readouterr()
  assert parser.main(["verify", f"--input={folder}"]) == 0
  assert "splits: train 4, dev 2, test 2" in capsys.readouterr().out


def test_prompt2sign_2025(tmp_path, capsys):
  source = tmp_path / "in"
  shutil.copytree(real(DATA / "prompt2sign_2025") / "dwpose", source)
  source.chmod(0o755)
  names = sorted(path.name for path in source.iterdir() if path.is_dir())
  (source / "clips.files").write_text("".join(f"{n}\n" for n in names))
  (source / "clips.text").write_text("".join(f"I am {n}.\n" for n in names))
  folder = build(source, tmp_path / "out", "asl", "--size=640x480")
  assert [text for text, _ in texts(folder)["train"]] == sorted(
    f"I am {name}." for name in names
  )
  check(folder, prompt2sign.CORPUS, f"train {len(names)}", capsys)

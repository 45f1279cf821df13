"""Clips of train that a build sets aside as dev and test."""

import collections
import json

import pytest
from helpers import built_data
from helpers.prompt2sign import write_split

from data_pipeline.building import held_out
from data_pipeline.cli import parser
from data_pipeline.lifting import lifted_folder
from signllm_jax.core import errors


def test_a_size_is_a_share_or_a_number():
  sizes = {"5%": 10, "0.1%": 1, "12.5%": 25, "7": 7}
  assert {size: held_out.count(size, 200) for size in sizes} == sizes
  for size in ("0%", "100%", "5.%", "-3", "0", "5 %", "a", "1e3"):
    with pytest.raises(errors.UsageError, match="a share such as 5%"):
      held_out.count(size, 200)


def test_the_choice_depends_on_names_and_seed_alone():
  names = [f"clip{i}" for i in range(200)]
  request = held_out.HeldOut(dev="5%", test="20", seed=3)
  chosen = held_out.choose(request, names)
  assert {split: len(each) for split, each in chosen.items()} == {
    "dev": 10,
    "test": 20,
  }
  assert not set(chosen["dev"]) & set(chosen["test"])
  assert held_out.choose(request, names[::-1]) == chosen
  assert chosen["dev"] == sorted(chosen["dev"])
  other = held_out.choose(held_out.HeldOut(dev="5%", seed=4), names)
  assert other["dev"] != chosen["dev"]
  # A clip more exchanges one clip at most.
  more = held_out.choose(held_out.HeldOut(dev="10", seed=3), [*names, "new"])
  assert len(set(more["dev"]) - set(chosen["dev"])) <= 1
  assert held_out.choose(held_out.NONE, names) == {}
  with pytest.raises(errors.UsageError, match="leave none to train on"):
    held_out.choose(held_out.HeldOut(dev="100", test="100"), names)


def test_recordings_are_chosen_from_every_sign():
  totals = {"tea": 40, "can": 10, "no": 3, "rare": 2}
  names = [f"{sign}/{i}" for sign, n in totals.items() for i in range(n)]
  request = held_out.HeldOut(dev="10%", test="12", seed=1)
  chosen, whole = held_out.choose_by_sign(request, names)
  assert whole == ["rare"]
  signs = {
    split: collections.Counter(map(held_out.sign_of, each))
    for split, each in chosen.items()
  }
  assert signs == {
    "dev": {"tea": 4, "can": 1, "no": 1},
    "test": {"tea": 8, "can": 2, "no": 1},
  }
  assert not set(chosen["dev"]) & set(chosen["test"])
  again = held_out.choose_by_sign(request, names[::-1])
  assert again == (chosen, whole)
  other = held_out.HeldOut(dev="10%", test="12", seed=2)
  assert held_out.choose_by_sign(other, names)[0] != chosen
  assert held_out.choose_by_sign(held_out.NONE, names) == ({}, [])
  for size, message in (
    ("3", "3 recordings of 4 signs to set aside"),
    ("59", "59 of 55 clips to set aside leave none"),
  ):
    with pytest.raises(errors.UsageError, match=message):
      held_out.choose_by_sign(held_out.HeldOut(dev=size), names)
  with pytest.raises(errors.UsageError, match="too few recordings of each of"):
    held_out.choose_by_sign(held_out.HeldOut("1", "10%"), ["a/0", "a/1"])


def test_the_default_is_for_recordings_alone():
  default = held_out.HeldOut("10%", "10%", 5)
  seeded = held_out.HeldOut(seed=5)
  assert held_out.with_default(seeded, ["tea/0", "no/1"]) == default
  for request, names in (
    (seeded, ["tea/0", "a"]),
    (seeded, []),
    (held_out.HeldOut(dev="1"), ["tea/0"]),
  ):
    assert held_out.with_default(request, names) == request


def _command(source, output, *arguments) -> list[str]:
  return [
    *("build", "--dataset=prompt2sign/gsl", f"--input={source}"),
    *(f"--output={output}", "--file_format=array_record", *arguments),
  ]


def _names(folder) -> dict[str, list[str]]:
  return {
    split: sorted(record["name"] for record in found)
    for split, found in built_data.read_records(folder).items()
  }


def test_a_build_sets_clips_aside(tmp_path, capsys):
  source = tmp_path / "source"
  write_split(source, "train", 10)
  write_split(source, "test", 2, seed=50)
  arguments = ("--dev=20%", "--seed=7")
  command = _command(source, tmp_path / "data", *arguments)
  assert parser.main([*command, "--dry-run"]) == 0
  out = capsys.readouterr().out
  assert "dev: 20% of the clips of train would be set aside" in out
  assert parser.main(command) == 0
  out = capsys.readouterr().out
  assert "dev: 2 clips of train set aside (--dev=20% --seed=7)" in out
  folder = tmp_path / "data" / "prompt2sign" / "gsl" / "1.0.0"
  names = _names(folder)
  listed = (source / "train.files").read_text().splitlines()
  assert sorted(names["train"] + names["dev"]) == sorted(listed)
  assert [len(names[split]) for split in ("train", "dev", "test")] == [8, 2, 2]
  record = json.loads((folder / held_out.RECORD).read_text())
  assert record == {
    "corpus": "not recognised",
    "fps": 25.0,
    "held_out": {"dev": {"size": "20%", "seed": 7, "clips": names["dev"]}},
  }
  assert parser.main(["verify", f"--input={folder}"]) == 0
  # Built again elsewhere, it is the same; reused as asked for, or refused.
  assert parser.main(_command(source, tmp_path / "again", *arguments)) == 0
  again = tmp_path / "again" / "prompt2sign" / "gsl" / "1.0.0"
  assert (again / "SHA256SUMS").read_text() == (
    folder / "SHA256SUMS"
  ).read_text()
  assert parser.main(command) == 0
  assert parser.main(_command(source, tmp_path / "data")) == 0
  capsys.readouterr()
  for other in (["--dev=20%"], ["--dev=2", "--seed=7"]):
    assert parser.main(_command(source, tmp_path / "data", *other)) == 1
    assert "holds a build without" in capsys.readouterr().err


def test_a_split_that_is_there_is_not_replaced(tmp_path, capsys):
  source = tmp_path / "source"
  write_split(source, "train", 4)
  write_split(source, "dev", 2, seed=50)
  output = tmp_path / "data"
  assert parser.main(_command(source, output, "--dev=1", "--dry-run")) == 1
  assert capsys.readouterr().err == (
    f"error: {source}: --dev=1, but there is a split dev. Leave --dev out, or "
    "move its files elsewhere\n"
  )
  assert parser.main(_command(source, output, "--test=4")) == 1
  assert "leave none to train on" in capsys.readouterr().err
  assert parser.main(_command(source, output, "--test=no")) == 1
  assert "'no' clips to set aside" in capsys.readouterr().err
  spelt = ["build", "--dataset=fingerspelling/asl", f"--output={output}"]
  assert parser.main([*spelt, "--dev=5%", "--file_format=array_record"]) == 1
  assert "has splits of its own" in capsys.readouterr().err
  assert not list(output.glob("*/*/1.0.0"))


def test_a_split_of_lifted_clips_is_not_replaced(tmp_path, capsys):
  for split in ("train", "val"):
    folder = tmp_path / "lifted" / split
    folder.mkdir(parents=True)
    lifted_folder.claim(folder, lifted_folder.DEFAULT)
  command = _command(tmp_path / "lifted", tmp_path / "data", "--dry-run")
  assert parser.main([*command, "--test=1"]) == 0
  assert parser.main([*command, "--dev=1"]) == 1
  assert "--dev=1, but there is a split dev" in capsys.readouterr().err

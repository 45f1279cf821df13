"""Landmark recordings of signs: found, named, lifted, split and built."""

import json
import pathlib

import numpy as np
import pytest
from helpers import built_data
from helpers.landmarks import frames_258, write_recording
from helpers.paths import DATA
from helpers.real_data import real

from data_pipeline.building import held_out
from data_pipeline.cli import parser
from data_pipeline.keypoints import find_clips, read_clips, recordings
from signllm_jax.core import errors


def find(path, **options) -> tuple[list[find_clips.Source], list[str]]:
  notes: list[str] = []
  options = {"size": (640, 480), **options}
  return find_clips.find(path, report=notes.append, **options), notes


def write_signs(root: pathlib.Path, **counts: int) -> pathlib.Path:
  seed = 0
  for sign, count in counts.items():
    for index in range(count):
      write_recording(
        root / sign.replace("_", "-") / str(index), frames_258(4, seed)
      )
      seed += 1
  return root


def build(source, output, *arguments: str) -> int:
  return parser.main(
    [
      *("build", "--dataset=prompt2sign/asl", f"--input={source}"),
      *(f"--output={output}", "--file_format=array_record"),
      *("--fps=15", "--size=640x480", *arguments),
    ]
  )


def read_records(output: pathlib.Path) -> dict[str, dict[str, tuple]]:
  folder = output / "prompt2sign" / "asl" / "1.0.0"
  return {
    split: {
      record["name"]: (record["text"], record["gloss"], record["fps"])
      for record in found
    }
    for split, found in built_data.read_records(folder).items()
  }


def test_both_layouts_are_found(tmp_path):
  root = write_signs(tmp_path / "MP_Data", thank_you=2, tea=1)
  sources, notes = find(root)
  assert notes == []
  assert [(x.name, x.text, x.gloss, x.kind) for x in sources] == [
    ("tea/0", "tea", "TEA", "npy"),
    ("thank-you/0", "thank-you", "THANK-YOU", "npy"),
    ("thank-you/1", "thank-you", "THANK-YOU", "npy"),
  ]
  clip = sources[1].read()
  assert (clip.name, clip.text, len(clip)) == ("thank-you/0", "thank-you", 4)
  for inner in (root / "tea", root / "tea" / "0"):
    assert [source.name for source in find(inner)[0]] == ["tea/0"]
  path = tmp_path / "landmarks.npz"
  both = [
    np.stack([frames_258(4, seed) for seed in pair]) for pair in ((2,), (0, 1))
  ]
  np.savez(path, **dict(zip(("tea", "thank-you"), both, strict=True)))
  packed, _ = find(path)
  assert [(x.name, x.text, x.gloss) for x in packed] == [
    (x.name, x.text, x.gloss) for x in sources
  ]
  for one, other in zip(packed, sources, strict=True):
    np.testing.assert_allclose(one.read().frames, other.read().frames)
  path.rename(root / "landmarks.npz")
  with pytest.raises(errors.DataError, match="3 of npy, 3 of npz"):
    find(root)


def test_a_folder_of_other_archives_is_no_input(tmp_path):
  np.savez(tmp_path / "a.npz", x=np.zeros((3, 150)))
  with pytest.raises(errors.DataError, match="no keypoints"):
    find(tmp_path)
  (source,), _ = find(tmp_path / "a.npz")
  with pytest.raises(errors.DataError, match="an array of shape"):
    source.read()


def test_the_size_of_the_picture_is_needed(tmp_path):
  root = write_signs(tmp_path, tea=1)
  with pytest.raises(errors.UsageError, match="such as --size=640x480"):
    find(root, size=None)


def test_people_who_sign_the_same(tmp_path):
  for person in ("anna", "ben"):
    write_signs(tmp_path / person, tea=1)
  sources, _ = find(tmp_path)
  assert [(x.name, x.sign) for x in sources] == [
    ("anna-tea/0", "tea"),
    ("ben-tea/0", "tea"),
  ]


def test_bad_recordings_leave_their_siblings(tmp_path, capsys):
  root = write_signs(tmp_path / "MP_Data", tea=6, coffee=4)
  np.save(root / "tea" / "1" / "2.npy", np.ones(257))
  (root / "tea" / "2" / "2.npy").unlink()
  (root / "tea" / "3" / "notes.txt").write_text("x")
  (root / "coffee" / "4").mkdir()
  (root / "water").mkdir()
  write_recording(root / "tea" / "9", frames_258(4, 4))  # tea/4 again
  assert build(root, tmp_path / "data") == 65
  out, err = capsys.readouterr()
  assert "train: 8 lifted, 5 bad" in out
  assert err.startswith("note: files that are not frames beside those of recor")
  for line in (
    f"tea/1: {root}/tea/1/2.npy: an array of shape (257,); expected 258 or",
    f"tea/2: {root}/tea/2/2.npy: no such frame; expected numbers without a gap",
    f"coffee/4: {root}/coffee/4: an empty recording; expected 0.npy, 1.npy",
    f"water: {root}/water: a sign without recordings; expected a folder a",
    "tea/9: a copy of tea/4, byte by byte. Remove one of them",
  ):
    assert f"  train {line}" in err
  records = read_records(tmp_path / "data")
  assert {split: len(names) for split, names in records.items()} == {
    "train": 4,
    "dev": 2,
    "test": 2,
  }


def test_a_build_splits_by_recording_within_each_sign(tmp_path, capsys):
  root = write_signs(tmp_path / "MP_Data", thank_you=6, tea=3, rare=2)
  names = tmp_path / "names"
  names.write_text("tea\tTee\nthank-you\tvielen Dank\nrare\tselten\n")
  arguments = (f"--names={names}", "--seed=3")
  assert build(root, tmp_path / "data", *arguments, "--dry-run") == 0
  out = capsys.readouterr().out
  assert "train: 11 clips would be lifted" in out
  assert "They are recordings of 3 signs" in out
  assert "test: 10% of the clips of train would be set aside" in out
  assert build(root, tmp_path / "data", *arguments) == 0
  out = capsys.readouterr().out
  assert "dev: 2 clips of train set aside (--dev=10% --seed=3)" in out
  assert (
    "All recordings of these signs are train, as there are too few to set some "
    "aside: rare" in out
  )
  records = read_records(tmp_path / "data")
  counts = {
    split: sorted(name.partition("/")[0] for name in names)
    for split, names in records.items()
  }
  assert counts == {
    "train": ["rare", "rare", "tea", *["thank-you"] * 4],
    "dev": ["tea", "thank-you"],
    "test": ["tea", "thank-you"],
  }
  of_clip = {k: v for names in records.values() for k, v in names.items()}
  assert of_clip["thank-you/5"] == ("vielen Dank", "THANK-YOU", 15.0)
  assert of_clip["tea/0"] == ("Tee", "TEA", 15.0)
  folder = tmp_path / "data" / "prompt2sign" / "asl" / "1.0.0"
  record = json.loads((folder / held_out.RECORD).read_text())
  assert record["held_out"]["dev"]["size"] == "10%"
  assert len((folder / "quality.jsonl").read_text().splitlines()) == 11
  assert parser.main(["verify", f"--input={folder}"]) == 0
  # Lifted first, the same splits; a request replaces the default.
  lifted = tmp_path / "lifted"
  lift = ["lift", f"--input={root}", f"--output={lifted}", "--size=640x480"]
  assert parser.main([*lift, "--fps=15"]) == 0
  assert parser.main([*lift, "--fps=15"]) == 0
  assert "11 lifted before" in capsys.readouterr().out
  other = [
    *("build", "--dataset=prompt2sign/asl", f"--input={lifted}"),
    *(f"--output={tmp_path / 'again'}", "--file_format=array_record"),
  ]
  assert parser.main([*other, f"--names={names}"]) == 1
  assert "names of signs, but nothing to lift" in capsys.readouterr().err
  assert parser.main([*other, "--seed=3"]) == 0
  again = read_records(tmp_path / "again")
  assert {k: set(v) for k, v in again.items()} == {
    k: set(v) for k, v in records.items()
  }
  assert again["train"]["rare/0"][0] == "rare"
  assert build(root, tmp_path / "one", "--dev=4") == 0
  assert {k: len(v) for k, v in read_records(tmp_path / "one").items()} == {
    "train": 7,
    "dev": 4,
  }


def test_real_recordings_are_built(tmp_path):
  source = real(DATA / "whole_signs" / "MP_Data")
  assert build(source, tmp_path / "data") == 0
  records = read_records(tmp_path / "data")
  for split in ("train", "dev", "test"):
    assert {sign: gloss for sign, gloss, _ in records[split].values()} == {
      "coffee": "COFFEE",
      "i": "I",
      "tea": "TEA",
    }
    assert len(records[split]) == 3


def test_splits_of_the_input_are_kept(tmp_path):
  write_signs(tmp_path / "in" / "train", tea=4)
  write_signs(tmp_path / "in" / "test", tea=1)
  assert build(tmp_path / "in", tmp_path / "data") == 0
  assert {k: len(v) for k, v in read_records(tmp_path / "data").items()} == {
    "train": 4,
    "test": 1,
  }


def test_faults_of_a_file_of_names(tmp_path):
  sources, _ = find(write_signs(tmp_path / "in", tea=1, coffee=1))
  path = tmp_path / "names"
  cases = {
    "tea\tTee\ncoffee": ":2: 'coffee'; expected name<TAB>text",
    "tea\t \n": ":1: 'tea\\t '; expected name<TAB>text",
    "tea\tTee\ntea\tx\n": ":2: sign 'tea' again; expected each sign of the",
    "tea\tTee\nmilk\tx\n": ":2: no sign 'milk' in the input; expected each",
    "tea\tTee\n": ":2: no line for coffee; expected each sign of the input on",
  }
  for text, message in cases.items():
    path.write_text(text)
    with pytest.raises(errors.DataError) as caught:
      recordings.name_signs({"train": sources}, path)
    assert str(caught.value).startswith(f"{path}{message}")
  path.write_bytes(b"tea\tT\xff")
  with pytest.raises(errors.DataError, match="byte 6 is not UTF-8"):
    recordings.name_signs({"train": sources}, path)
  path.write_text("coffee\tcaf\u00e9 noir\r\ntea\tTee\r\n")
  named = recordings.name_signs({"train": sources}, path)["train"]
  assert [source.text for source in named] == ["caf\u00e9 noir", "Tee"]


def test_names_need_recordings_of_signs(tmp_path, capsys):
  names = tmp_path / "names"
  (tmp_path / "in").mkdir()
  (tmp_path / "in" / "a.pose").write_bytes(b"")
  assert build(tmp_path / "in", tmp_path / "data", f"--names={names}") == 1
  assert "no such file" in capsys.readouterr().err
  names.write_text("a\tb\n")
  assert build(tmp_path / "in", tmp_path / "data", f"--names={names}") == 65
  assert "the input holds no recordings of signs" in capsys.readouterr().err


def test_a_damaged_archive_is_a_bad_clip_among_good_ones(tmp_path):
  good = np.random.default_rng(0).random((2, 20, 258)).astype(np.float32)
  np.savez(tmp_path / "good.npz", tea=good)
  (tmp_path / "bad.npz").write_bytes(b"PK" + bytes(100))
  found = dict(
    (source.name, result)
    for source, result in read_clips.read_all(
      find_clips.find(tmp_path, size=(640, 480))
    )
  )
  assert sorted(found) == ["bad", "tea/0", "tea/1"]
  assert "bad.npz: not a whole .npz file" in str(found["bad"])
  assert len(found["tea/0"]) == 20

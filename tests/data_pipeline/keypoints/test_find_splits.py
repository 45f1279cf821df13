"""Names of splits, and files that look like input and are not read."""

import pathlib

import pytest
from helpers import downloads, prompt2sign
from helpers.paths import DATA

from data_pipeline.cli import parser
from data_pipeline.keypoints import find_clips, find_splits
from signllm_jax.core import errors


@pytest.mark.parametrize(
  ("name", "split"),
  [
    ("train", "train"),
    ("val", "dev"),
    ("valid", "dev"),
    ("Dev", "dev"),
    ("test_seen", "test"),
    ("train_2D_keypoints", "train"),
    ("val_2D", "dev"),
    ("trainset", "train"),
    ("openpose-test", "test"),
    ("testdrive", None),
    ("test_drive", None),
    ("valley", None),
    ("val_test", None),
    ("clip_000001", None),
  ],
)
def test_split_of_a_name(name, split):
  assert find_splits.split_of(name) == split


@pytest.mark.parametrize(
  ("folders", "message"),
  [
    (("train", "dev", "val"), "'dev' and 'val' are both the split dev"),
    (("train", "test_seen", "test_unseen"), "are both the split test"),
    (("train", "heldout"), "'heldout' may be a split"),
    (("a", "test_drive"), "'test_drive' may be a split"),
    (("train", "other"), "a folder 'other' beside train"),
    (("val",), "a folder val but no train"),
  ],
)
def test_doubtful_folders_are_refused_by_name(tmp_path, folders, message):
  for name in folders:
    downloads.put_openpose(tmp_path / name, "a")
  with pytest.raises(errors.DataError, match=message):
    find_splits.find(tmp_path)


def test_folders_of_other_names_are_the_splits_they_mean(tmp_path):
  for name in ("train_2D", "val_2D", "test_seen"):
    downloads.put_openpose(tmp_path / name, "a")
  notes: list[str] = []
  found = find_splits.find(tmp_path, note=notes.append)
  assert list(found) == ["train", "dev", "test"]
  assert notes[1] == "val_2D is taken as the split dev"


def build(source: pathlib.Path, output: pathlib.Path, *more: str) -> int:
  return parser.main(
    [
      "build",
      "--dataset=prompt2sign/gsl",
      "--file_format=array_record",
      f"--input={source}",
      f"--output={output}",
      *more,
    ]
  )


def test_val_skels_are_dev(tmp_path, capsys):
  source = DATA / "cases" / "val_split_lost"
  if not source.exists():
    prompt2sign.write_split(tmp_path / "in", "train", 2)
    prompt2sign.write_split(tmp_path / "in", "val", 2)
    source = tmp_path / "in"
  assert build(source, tmp_path / "data") == 0
  said = capsys.readouterr()
  assert "note: val.* is taken as the split dev" in said.err
  assert "  dev: 2 clips of poses" in said.out
  assert "\ndev             2" in said.out


@pytest.mark.parametrize(
  ("name", "message"),
  [
    ("eval", "'eval' may be a split"),
    ("extra", "'extra' is no split"),
    ("Valid", "'Valid' and 'dev' are both the split dev"),
  ],
)
def test_skels_of_other_names_are_refused_by_name(
  tmp_path, capsys, name, message
):
  for split in ("train", "dev", name):
    prompt2sign.write_split(tmp_path / "in", split, 1)
  assert build(tmp_path / "in", tmp_path / "data") == 65
  assert message in capsys.readouterr().err
  assert not (tmp_path / "data").exists()


def test_files_that_are_not_read_are_named_and_end_with_65(tmp_path, capsys):
  folder = tmp_path / "in"
  downloads.put_openpose(folder, "tea")
  (folder / "tea.mp4").write_bytes(b"")  # its own video
  (folder / "README.txt").write_text("about")
  command = ["extract", f"--input={folder}"]
  assert parser.main([*command, f"--output={tmp_path / 'a.h5'}"]) == 0
  for name in ("coffee.mp4", "sentences.csv", "train.skels", "more.zip"):
    (folder / name).write_bytes(b"x")
  (folder / "pictures").mkdir()
  (folder / "pictures" / "1.png").write_bytes(b"x")
  assert parser.main([*command, f"--output={tmp_path / 'b.h5'}"]) == 65
  said = capsys.readouterr().err
  assert "5 files look like input and are not read" in said
  assert "coffee.mp4: a video without keypoints; launch/video.sh" in said
  assert "sentences.csv: a table of no corpus that is recognised" in said
  assert "more.zip: an archive; unpack it first" in said
  assert "pictures: pictures without keypoints" in said
  assert "tea.mp4" not in said
  assert (tmp_path / "b.h5").is_file()


def test_texts_under_the_name_of_the_split(tmp_path):
  downloads.put_openpose(tmp_path / "train", "a")
  (tmp_path / "train.files").write_text("a\n")
  (tmp_path / "train.text").write_text("hello\n")
  (source,) = find_clips.find(tmp_path / "train")
  assert source.text == "hello"

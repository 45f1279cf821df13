"""Corpora in their downloaded form: recognised, counted, built."""

import json
import os
import pathlib
import random
import shutil

import numpy as np
import pytest
from helpers import downloads
from helpers.paths import DATA
from helpers.random_clips import random_clip
from helpers.real_data import real

from data_pipeline.building import held_out, record_reader
from data_pipeline.cli import parser
from data_pipeline.corpora import corpus, folder, recognise
from signllm_jax.core import clips, errors
from signllm_jax.core.skeleton import HOLISTIC178
from signllm_jax.formats import pose

pyarrow = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")


def find(path: pathlib.Path, **options) -> corpus.Recognised:
  return recognise.recognise(corpus.Request(path, **options))


def rows(found: corpus.Recognised) -> dict[str, list[tuple[str, ...]]]:
  """Name, text, gloss and signer of each clip, by split."""
  return {
    split: [(s.name, s.text, s.gloss, s.signer) for s in sources]
    for split, sources in found.splits.items()
  }


def test_how2sign_is_built_by_one_command(tmp_path, capsys):
  downloads.how2sign(tmp_path / "in")
  command = ["build", "--dataset=prompt2sign/asl", "--file_format=array_record"]
  command += [f"--input={tmp_path / 'in'}", f"--output={tmp_path / 'data'}"]
  assert parser.main(command) == 0
  said = capsys.readouterr()
  assert said.out.startswith("Corpus: How2Sign (by how2sign_realigned_test.csv")
  assert "  dev: 1 clips, 1 with a text, 0 with a gloss" in said.out
  assert "val_2D_keypoints is taken as the split dev" in said.err
  assert "dev: 1 lines of how2sign_realigned_val.csv without a clip" in said.err
  folder = tmp_path / "data" / "prompt2sign" / "asl" / "1.0.0"
  assert (folder / "LICENSE").read_text().startswith("How2Sign (Duarte et al.")
  assert held_out.read_record(folder).corpus == "How2Sign"
  info = record_reader.open_build(folder)
  for split, other in (("train", "train"), ("dev", "val"), ("test", "test")):
    (record,) = record_reader.read_records(info.splits[split], info.file_format)
    assert record["text"] == f'He said "{other}", twice.'
    assert record["fps"] == 24


def test_phoenix14t_beside_its_pictures(tmp_path):
  downloads.phoenix14t(tmp_path)
  found = find(tmp_path)
  assert found.corpus.name == "RWTH-PHOENIX-Weather 2014T"
  assert "CC BY-NC-SA 3.0" in found.corpus.licence
  assert found.unread == {}
  name = "01April_2010_Thursday_heute-5"
  assert rows(found)["train"] == [
    (name, 'und "train regen', "REGEN TRAIN", "Signer04")
  ]
  assert list(found.splits) == ["train", "dev", "test"]
  clip = found.splits["train"][0].read()
  assert (len(clip), clip.fps, clip.size) == (3, 25, (210, 260))


def test_phoenix14t_of_progressive_transformers():
  folder = real(DATA / "phoenix14t_mini")
  found = find(folder)
  assert found.corpus.name == "RWTH-PHOENIX-Weather 2014T"
  assert {split: len(of) for split, of in found.poses.items()} == {
    "train": 5,
    "dev": 5,
  }


def test_dgs_sentences(tmp_path):
  for name in ("train_1", "validation_2"):
    for kind in ("original", "updated"):
      clip = random_clip(name, 4)
      pose.write(tmp_path / f"{name}_{kind}.pose", clip)
    metadata = downloads.dgs_metadata(f"Satz {name}.", "ICH1", "NEIN1A")
    (tmp_path / f"{name}_metadata.json").write_text(metadata)
  pose.write(tmp_path / "train_3_original.pose", random_clip("c", 4))
  (tmp_path / "train_3_metadata.json").write_text('{"sentence": {}}')
  found = find(tmp_path)
  assert found.corpus.name == "Public DGS Corpus, sentences"
  assert "research" in found.corpus.licence
  assert rows(found)["dev"] == [
    ("validation_2", "Satz validation_2.", "ICH1 NEIN1A", "")
  ]
  assert [source.name for source in found.splits["train"]] == [
    "train_1",
    "train_3",
  ]
  assert "german" in str(found.splits["train"][1].fault)
  assert found.notes[0].startswith("2 files *_updated.pose are left out")
  with pytest.raises(errors.UsageError, match="is of GSL, not ASL"):
    find(tmp_path, language="ASL")


def test_real_dgs_sentences():
  folder = real(DATA / "dgs_sentences")
  found = find(folder)
  sources = found.splits["train"]
  assert len(sources) == 16
  assert all(source.text and source.gloss for source in sources)
  assert found.unread == {}
  assert all(len(source.read()) for source in sources)


def test_autsl(tmp_path):
  for split, clip in (("train", "signer0_sample1"), ("val", "signer2_sample3")):
    (tmp_path / split).mkdir()
    path = tmp_path / split / f"{clip}_color.pose"
    pose.write(path, random_clip(clip, 4))
    (tmp_path / f"{split}_labels.csv").write_text(f"{clip},41\n")
  table = tmp_path / "SignList_ClassId_TR_EN.csv"
  table.write_text("ClassId,TR,EN\n41,hoşça_kal,goodbye\n")
  found = find(tmp_path)
  assert rows(found) == {
    "train": [
      ("signer0_sample1_color", "hoşça kal", "HOŞÇA-KAL", "signer0"),
    ],
    "dev": [("signer2_sample3_color", "hoşça kal", "HOŞÇA-KAL", "signer2")],
  }
  assert "published form alone" in found.describe()[0]
  table.write_text("ClassId,TR,EN\n40,abla,sister\n")
  with pytest.raises(errors.DataError, match=r"_labels\.csv:1: class '41'"):
    find(tmp_path)


def test_lsa64(tmp_path):
  for clip in ("001_004_002", "020_001_005", "070_001_001"):
    pose.write(tmp_path / f"{clip}.pose", random_clip(clip, 4))
  found = find(tmp_path)
  assert rows(found)["train"][:2] == [
    ("001_004_002", "opaco", "OPACO", "004"),
    ("020_001_005", "dulce de leche", "DULCE-DE-LECHE", "001"),
  ]
  assert found.notes == [
    "train: 1 clips without a line in the signs of LSA64: 070_001_001"
  ]
  names = tmp_path / "names.tsv"
  names.write_text("001\tno transparente\n")
  found = find(tmp_path, names=names)
  assert found.splits["train"][0].text == "no transparente"
  assert found.unread == {}


def test_ksl_of_ai_hub(tmp_path):
  for view in "FL":
    name = f"NIA_SL_WORD0001_REAL02_{view}"
    downloads.put_openpose(tmp_path / "keypoints", name, size=(1920, 1080))
  for path in (tmp_path / "keypoints").rglob("*.json"):
    frame = json.loads(path.read_text())
    frame["people"] = frame["people"][0]  # as AI Hub has it
    path.write_text(json.dumps(frame))
  morphemes = {"data": [{"start": 1.0, "attributes": [{"name": "고민"}]}]}
  (tmp_path / "NIA_SL_WORD0001_REAL02_F_morpheme.json").write_text(
    json.dumps(morphemes)
  )
  found = find(tmp_path)
  assert rows(found)["train"] == [
    ("NIA_SL_WORD0001_REAL02_F", "고민", "고민", "REAL02")
  ]
  assert "1 clips from the side" in found.notes[-1]
  assert len(found.splits["train"][0].read()) == 6


def test_signsuisse(tmp_path):
  lines = ["path,spoken_language,signed_language,words,glosses,priority"]
  for code, spoken, word in (("sgg", "de", "Grüezi"), ("ssr", "fr", "été")):
    (tmp_path / code).mkdir()
    pose.write(tmp_path / code / f"{code}1.pose", random_clip(code, 4))
    lines.append(f"{code}/{code}1.pose,{spoken},{code},{word},,0")
  (tmp_path / "index.csv").write_text("\n".join(lines) + "\n")
  found = find(tmp_path, language="LSF-CH")
  assert rows(found)["train"] == [("ssr1", "été", "ÉTÉ", "")]
  assert found.notes == ["1 signs of the other languages are left out"]


def landmark_rows(frames: int) -> dict[str, list]:
  """Rows of an isolated sign: a body in the middle, no left hand."""
  columns = {"frame": [], "row_id": [], "type": [], "landmark_index": []}
  columns |= {axis: [] for axis in "xyz"}
  for frame in range(20, 20 + frames):
    for kind, count in (("pose", 33), ("left_hand", 21), ("right_hand", 21)):
      for index in range(count):
        seen = kind != "left_hand"
        columns["frame"].append(frame)
        columns["row_id"].append(f"{frame}-{kind}-{index}")
        columns["type"].append(kind)
        columns["landmark_index"].append(index)
        columns["x"].append(0.5 + index / 100 if seen else np.nan)
        columns["y"].append(0.25 if seen else np.nan)
        columns["z"].append(0.0)
  return columns


def test_google_isolated_signs(tmp_path):
  path = tmp_path / "train_landmark_files" / "26734" / "1000035562.parquet"
  path.parent.mkdir(parents=True)
  parquet.write_table(pyarrow.table(landmark_rows(3)), path)
  other = path.with_name("7.parquet")
  parquet.write_table(pyarrow.table(landmark_rows(1)), other)
  (tmp_path / "train.csv").write_text(
    "path,participant_id,sequence_id,sign\n"
    "train_landmark_files/26734/1000035562.parquet,26734,1000035562,blow\n"
    "train_landmark_files/26734/8.parquet,26734,8,wait\n"
  )
  with pytest.raises(errors.UsageError, match="--size=640x480"):
    find(tmp_path)
  found = find(tmp_path, size=(100, 200))
  assert "CC BY 4.0" in found.corpus.licence
  assert rows(found)["train"] == [("26734-1000035562", "blow", "BLOW", "26734")]
  assert found.notes == ["train: 1 lines without a file: 26734-8"]
  assert list(found.unread) == [str(other)]
  clip = found.splits["train"][0].read()
  assert len(clip) == 3
  assert not clip.valid[:, 8:29].any()  # the left hand
  np.testing.assert_allclose(clip.frames[0, 0], [50, 50, 1])  # the nose
  np.testing.assert_allclose(clip.frames[0, 29 + 20], [70, 50, 1])
  path.write_bytes(path.read_bytes()[:200])
  with pytest.raises(errors.DataError, match="not a whole Parquet file"):
    found.splits["train"][0].read()


def test_google_fingerspelling(tmp_path):
  columns: dict[str, list] = {"sequence_id": [5, 5, 6], "frame": [1, 0, 0]}
  for axis in "xyz":
    for kind, count in (("pose", 33), ("left_hand", 21), ("right_hand", 21)):
      for index in range(count):
        value = np.nan if kind == "left_hand" else 0.5
        columns[f"{axis}_{kind}_{index}"] = [0.25, value, value]
  (tmp_path / "train_landmarks").mkdir()
  path = tmp_path / "train_landmarks" / "105.parquet"
  parquet.write_table(pyarrow.table(columns), path)
  (tmp_path / "train.csv").write_text(
    "path,file_id,sequence_id,participant_id,phrase\n"
    "train_landmarks/105.parquet,105,5,217,3 creekhouse\n"
    "train_landmarks/105.parquet,105,6,217,a b\n"
  )
  found = find(tmp_path, size=(100, 100), fps=20.0)
  name, text, gloss, signer = rows(found)["train"][0]
  assert (name, text, signer) == ("105-5", "3 creekhouse", "217")
  assert gloss == "3 _ C R E E K H O U S E"
  clip = found.splits["train"][0].read()
  assert (len(clip), clip.fps) == (2, 20)
  np.testing.assert_allclose(clip.frames[:, 0, 0], [50, 25])  # by frame


def test_slrtp(tmp_path):
  pytest.importorskip("torch")
  from signllm_jax.formats import slrtp

  frames = np.random.default_rng(0).normal(size=(3, 178, 3)).astype("f4")
  clip = clips.Clip(
    frames,
    np.ones((3, 178), bool),
    name="a",
    text="regen",
    gloss="REGEN",
    skeleton=HOLISTIC178,
  )
  for split in ("train", "val"):
    slrtp.write(tmp_path / f"{split}.pt", [clip])
  found = find(tmp_path, skeleton="holistic178")
  assert rows(found) == {
    "train": [("a", "regen", "REGEN", "")],
    "dev": [("a", "regen", "REGEN", "")],
  }
  found = find(tmp_path, skeleton="holistic178", fps=50.0)
  assert found.fps == 50 and found.splits["train"][0].read().fps == 50
  (tmp_path / "val.pt").rename(tmp_path / "more.pt")
  with pytest.raises(errors.DataError, match=r"'more' among the files \*\.pt"):
    find(tmp_path)


def test_prompt2sign_2025():
  folder = real(DATA / "prompt2sign_2025")
  found = find(folder / "dwpose", size=(640, 480))
  assert found.corpus.name == "Prompt2Sign 2025"
  assert "CC BY-NC-SA 4.0" in found.corpus.licence
  assert len(found.splits["train"]) == 2
  found = find(folder / "skels")
  assert found.corpus.name == "Prompt2Sign 2025"
  assert len(found.poses["train"]) == 1


def test_what_is_recognised_does_not_depend_on_the_order_of_a_disk(
  tmp_path, monkeypatch
):
  names = [f"{number:03d}_001_001" for number in range(1, 600)]
  for name in names:
    (tmp_path / f"{name}.pose").touch()
  (tmp_path / "zz.csv").touch()
  scan = os.scandir

  class Shuffled(list):
    __enter__ = list.__iter__

    def __exit__(self, *_):
      pass

  found = set()
  for seed in range(3):
    entries = sorted(scan(tmp_path), key=lambda entry: entry.name)
    random.Random(seed).shuffle(entries)
    monkeypatch.setattr(os, "scandir", lambda _, all=entries: Shuffled(all))
    root = folder.Folder(tmp_path)
    assert root.tables(r"zz\.csv")  # though it is the last of 600 names
    found.add((root.match(r"\d{3}_\d{3}_\d{3}"), tuple(root.names)))
  ((first, seen),) = found
  assert first == "001_001_001.pose" and len(seen) == 401


def test_two_tables_of_one_split_are_refused(tmp_path):
  for split in ("dev", "val"):
    downloads.how2sign(tmp_path, ("train",))
    table = tmp_path / f"how2sign_realigned_{split}.csv"
    table.write_text(downloads.HOW2SIGN_COLUMNS)
    shutil.rmtree(tmp_path / "train_2D_keypoints")
  with pytest.raises(errors.DataError, match="both of the split dev"):
    find(tmp_path)


def test_a_licence_is_stated_or_unknown(tmp_path):
  downloads.put_openpose(tmp_path / "in", "a")
  found = find(tmp_path / "in")
  assert found.corpus.licence == "not stated: ask who gave you the data"
  recognise.with_licence(found, "CC0, of my aunt")
  assert found.corpus.licence == "CC0, of my aunt"
  (tmp_path / "LICENCE").write_text("For our class alone.\n")
  recognise.with_licence(found, str(tmp_path / "LICENCE"))
  assert found.corpus.licence == "For our class alone."
  (tmp_path / "LICENCE").write_text(" \n")
  with pytest.raises(errors.DataError, match="an empty licence"):
    recognise.with_licence(found, str(tmp_path / "LICENCE"))


@pytest.mark.parametrize(
  ("table", "message"),
  [
    (b"SENTENCE_NAME\tSENTENCE\na\tb\na\tc\n", r"csv:3: clip 'a' again"),
    (b"SENTENCE_NAME\tSENTENCE\na\n", r"csv:2: 1 fields; expected 2"),
    (b"SENTENCE_ID\tSENTENCE\na\tb\n", r"csv:1: no column 'SENTENCE_NAME'"),
    (b"SENTENCE_NAME\tSENTENCE\na\t\xff\n", r"csv:2: byte 3 is not UTF-8"),
    (b"SENTENCE_NAME\tSENTENCE\na\t" + b"x" * 200_000, r"not a whole table"),
  ],
)
def test_damaged_tables_are_named(tmp_path, table, message):
  downloads.how2sign(tmp_path, ("train",))
  (tmp_path / "how2sign_realigned_train.csv").write_bytes(table)
  with pytest.raises(errors.DataError, match=message):
    find(tmp_path)

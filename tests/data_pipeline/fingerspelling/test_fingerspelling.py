"""Fingerspelling: spelling, the mapping to joints, splits, and a real build."""

import collections
import contextlib
import hashlib
import io
import pathlib
import re
import subprocess
import sys
import warnings

import numpy as np
import pytest
import tensorflow_datasets as tfds
from helpers import built_data
from helpers.paths import ROOT
from tensorflow_datasets.proto import tf_example_pb2

from data_pipeline.building import build_plan, record_reader
from data_pipeline.cli import parser
from signllm_jax.core import clips, errors, skeleton
from signllm_jax.core.skeleton import PROMPT2SIGN50
from signllm_jax.data import records
from signllm_jax.formats import shards

LEFT = slice(
  PROMPT2SIGN50.hand("left"), PROMPT2SIGN50.hand("left") + skeleton.HAND_JOINTS
)
RIGHT = slice(
  PROMPT2SIGN50.hand("right"),
  PROMPT2SIGN50.hand("right") + skeleton.HAND_JOINTS,
)

with warnings.catch_warnings():
  # Escapes in the package's own code; seen where Python keeps no bytecode.
  warnings.filterwarnings("ignore", "invalid escape sequence")
  pytest.importorskip("spoken_to_signed.gloss_to_pose")

from spoken_to_signed.gloss_to_pose.lookup import (  # noqa: E402
  fingerspelling_lookup,
)

from data_pipeline import fingerspelling  # noqa: E402
from data_pipeline.fingerspelling import alphabets, spell  # noqa: E402
from data_pipeline.fingerspelling import (  # noqa: E402
  fingerspelling_dataset_builder as builder,
)

ASL = alphabets.ALPHABETS["asl"]
FEW = builder.Config(
  name="asl_few", alphabet="asl", train_words=5, held_out_words=2
)
ARRAYS = {"file_format": "array_record"}


def build_few(folder: pathlib.Path, config=FEW) -> pathlib.Path:
  made = fingerspelling.Builder(config=config, data_dir=folder)
  made.download_and_prepare(
    file_format="array_record",
    download_config=tfds.download.DownloadConfig(
      num_shards=2, try_download_gcs=False
    ),
  )
  return pathlib.Path(made.data_dir)


def read(folder: pathlib.Path) -> dict[str, list[dict]]:
  return built_data.read_records(folder)


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> pathlib.Path:
  return build_few(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def splits(built) -> dict[str, list[dict]]:
  return read(built)


def test_spoken_language_without_templates_has_no_prompts(tmp_path):
  config = builder.Config(
    name="cse_few", alphabet="cse", train_words=5, held_out_words=2
  )
  examples = read(build_few(tmp_path, config))["train"]
  assert [example["prompt"] for example in examples] == [""] * 5
  assert all(example["text"] and example["gloss"] for example in examples)


def package_joints(word: str, language) -> np.ndarray:
  """[T, J, 3] of the untouched package, which shows no nose."""
  lookup = fingerspelling_lookup.FingerspellingPoseLookup()
  with contextlib.redirect_stdout(io.StringIO()):
    pose = lookup.lookup(word, word, language.spoken, language.iso639_3).pose
  index = pose.header.get_point_index
  xy = np.ma.filled(pose.body.data[:, 0, :, :2], 0)
  # Its interpolation overshoots the confidence 1; ours is cut there.
  confidence = np.minimum(pose.body.confidence[:, 0, :, None], 1)
  values = np.concatenate([xy, confidence], -1)
  joints = np.zeros((len(values), PROMPT2SIGN50.num_joints, 3))
  for joint, name in enumerate(PROMPT2SIGN50.joints[:8]):
    if name not in ("nose", "neck"):
      joints[:, joint] = values[:, index("POSE_LANDMARKS", name.upper())]
  for side, hand in (("LEFT", LEFT), ("RIGHT", RIGHT)):
    start = index(f"{side}_HAND_LANDMARKS", "WRIST")
    joints[:, hand] = values[:, start : start + skeleton.HAND_JOINTS]
  joints[joints[..., 2] == 0] = 0
  return joints


@pytest.mark.parametrize(
  "code, word", [("asl", "jazy"), ("dsgs", "schal"), ("tsl", "ama")]
)
def test_spelt_as_by_the_package(code, word):
  """Letters kept between words change nothing, nor does the cut.

  Letters that repeat are another matter (test_doubled.py).
  """
  language = alphabets.ALPHABETS[code]
  spell.spell(word[::-1], language, 25)  # the same letters elsewhere
  parts = spell.split_letters(word, language)
  with contextlib.redirect_stdout(io.StringIO()):
    ours = spell._to_joints(spell._join(parts, language))
  expected = package_joints(word, language)
  shown = np.r_[
    2 : PROMPT2SIGN50.num_joints
  ]  # without the nose, which only we keep
  difference = np.abs(ours - expected)[:, shown]
  assert difference[..., :2].max() < 1e-5 * np.abs(expected).max()
  assert difference[..., 2].max() < 1e-5
  assert (ours[:, PROMPT2SIGN50.joint("nose"), 2] > 0).all()


def test_neck_is_between_the_shoulders():
  clip = spell.spell("key", ASL, 12.5)
  ends = clip.frames[
    :,
    [
      PROMPT2SIGN50.joint("right_shoulder"),
      PROMPT2SIGN50.joint("left_shoulder"),
    ],
  ]
  np.testing.assert_allclose(
    clip.frames[:, PROMPT2SIGN50.joint("neck"), :2],
    ends[..., :2].mean(1),
    rtol=1e-6,
  )
  assert clip.valid[:, PROMPT2SIGN50.joint("neck")].all()
  # Viewed from the front, y down: her right is on the left, the nose above.
  assert (ends[:, 0, 0] < ends[:, 1, 0]).all()
  assert (
    clip.frames[:, PROMPT2SIGN50.joint("nose"), 1] < ends[..., 1].min(1)
  ).all()


def test_missing_stays_missing():
  """American recordings show the right hand only."""
  clip = spell.spell("key", ASL, 12.5)
  assert not clip.valid[:, LEFT].any()
  assert (clip.frames[:, LEFT] == 0).all()
  assert clip.valid[:, RIGHT].mean() > 0.5
  assert clip.gloss == "K E Y" and clip.text == clip.name == "key"
  assert clip.fps == 12.5


def test_letter_groups():
  language = alphabets.ALPHABETS["dsgs"]
  assert spell.split_letters("schal", language) == ["sch", "a", "l"]
  assert spell.spell("schal", language, 25).gloss == "SCH A L"


def test_unknown_letters():
  with pytest.raises(errors.DataError, match="'ñ' cannot be spelt in American"):
    spell.spell("año", ASL, 12.5)


@pytest.mark.parametrize("code", alphabets.ALPHABETS)
def test_every_alphabet_has_words(code):
  language = alphabets.ALPHABETS[code]
  config = fingerspelling.Builder.builder_configs[code]
  letters = spell.letters(language)
  parts = builder.split_words(builder.words(language.spoken), letters, config)
  assert len(parts["train"]) >= 200 and len(parts["dev"]) >= 20
  assert len(parts["dev"]) == len(parts["test"]) <= 128
  clip = spell.spell(parts["dev"][0], language, config.fps)
  assert clips.canonical(clip).valid.any()


def test_splits_are_disjoint_and_keep_their_words():
  letters = spell.letters(ASL)
  config = fingerspelling.Builder.builder_configs["asl"]
  listed = builder.words("en")
  parts = builder.split_words(listed, letters, config)
  assert [len(parts[name]) for name in parts] == [4190, 128, 128]
  chosen = [word for part in parts.values() for word in part]
  assert len(set(chosen)) == len(chosen)
  for part in parts.values():  # every letter in every split
    assert set("".join(part)) == {x for x in letters if len(x) == 1}
  grown = builder.split_words([*listed, "zzyzx"], letters, config)
  assert grown["dev"][:100] == parts["dev"][:100]
  assert len(set(grown["train"][:4000]) - set(parts["train"])) <= 1
  config = builder.Config(
    name="all", alphabet="asl", train_words=0, long_words=0
  )
  everything = builder.split_words(listed, letters, config)
  assert everything["train"][:4000] == parts["train"][:4000]
  assert sum(map(len, everything.values())) == len(listed)


@pytest.mark.parametrize("code", ["asl", "swl"])
def test_long_words_are_joined_from_training_words(code):
  language = alphabets.ALPHABETS[code]
  config = fingerspelling.Builder.builder_configs[code]
  listed = builder.words(language.spoken)
  parts = builder.split_words(listed, spell.letters(language), config)
  long = [word for word in parts["train"] if word not in listed]
  short = [word for word in parts["train"] if word in listed]
  assert parts["train"] == [*short, *long]
  assert len(short) // 12 <= len(long) <= 200 or len(long) >= 180
  lengths = collections.Counter(map(len, long))
  assert set(lengths) <= set(builder.LONG_WORD)
  assert sum(n for length, n in lengths.items() if length >= 18) > len(long) / 4
  pattern = re.compile("(?:" + "|".join(map(re.escape, short)) + ")+")
  assert all(pattern.fullmatch(word) for word in long)
  assert not set(long) & {*parts["dev"], *parts["test"]}


def test_letters_are_doubled_where_words_are_joined():
  made = builder.join_words(["abc", "cab", "bcde", "egb"], 4)
  assert made and all(len(word) in builder.LONG_WORD for word in made)
  assert all(re.search(r"(bb|cc|ee)", word) for word in made)


def test_words_without_a_recording_are_left_out():
  config = builder.Config(name="x", alphabet="asl", held_out_words=0)
  parts = builder.split_words(["ab", "añ", "ba"], ["a", "b", "ab"], config)
  assert sorted(parts["train"]) == ["ab", "ba"]


def test_no_word_list():
  with pytest.raises(errors.DataError, match="no word list"):
    builder.words("xx")


def test_records(splits):
  assert {name: len(part) for name, part in splits.items()} == {
    "train": 5,
    "dev": 2,
    "test": 2,
  }
  for record in (each for part in splits.values() for each in part):
    clip = records.to_clip(record)
    assert record["language"] == "ASL" and record["gloss_made"]
    assert clip.text == clip.name and clip.fps == 12.5
    assert clip.gloss.replace(" ", "").lower() == clip.text
    assert not clip.valid[:, LEFT].any() and clip.valid[:, RIGHT].any()
    assert (clip.frames[:, PROMPT2SIGN50.joint("neck")] == 0).all()
    ends = clip.frames[
      :,
      [
        PROMPT2SIGN50.joint("right_shoulder"),
        PROMPT2SIGN50.joint("left_shoulder"),
      ],
      :2,
    ]
    width = np.linalg.norm(ends[:, 0] - ends[:, 1], axis=-1)
    assert np.median(width) == pytest.approx(1 / 3, abs=1e-5)
    depth = np.ptp(clip.frames[:, RIGHT, 2], axis=1)
    assert 0.02 < np.median(depth) < 0.5  # a hand's, in three dimensions


def test_bones_are_one_signers(splits):
  """Of the right hand: each finger's parts have one length in all words."""
  limbs = [
    limb
    for limb in PROMPT2SIGN50.limbs
    if limb[0] >= PROMPT2SIGN50.hand("right")
  ]
  found = []
  for record in (each for part in splits.values() for each in part):
    clip = records.to_clip(record)
    shown = clip.frames[clip.valid[:, RIGHT].all(1)]
    ends = (
      shown[:, [a for a, _, _ in limbs]] - shown[:, [b for _, b, _ in limbs]]
    )
    lengths = np.linalg.norm(ends, axis=-1)  # [T, 20]
    assert lengths.std(0).max() < 1e-4
    found.append(lengths.mean(0))
  ratio = np.stack(found) / np.median(found, 0)
  assert ratio.min() > 0.9 and ratio.max() < 1.1  # the scale is a clip's own


def test_licence_notice(built, capsys):
  licence = (built / "LICENSE").read_text()
  assert "SpreadTheSign" in licence and "non-commercial" in licence
  command = ["build", "--dataset=fingerspelling/asl", f"--output={built}"]
  assert parser.main([*command, "--file_format=array_record", "--dry-run"]) == 0
  assert "SpreadTheSign" in capsys.readouterr().out


def test_built_again_it_is_the_same(built, tmp_path):
  """Shard by shard, though the letters were prepared in another order."""
  again = build_few(tmp_path)

  def sums(folder: pathlib.Path) -> dict[str, str]:
    shards = folder.glob("*array_record*")
    return {x.name: hashlib.sha256(x.read_bytes()).hexdigest() for x in shards}

  assert len(sums(built)) == 6
  assert sums(built) == sums(again)
  # Features go by their names, not by a hash that another process changes.
  for split in record_reader.open_build(built).splits.values():
    for data in shards.Shards(split.paths, split.shard_lengths, "array_record"):
      example = tf_example_pb2.Example.FromString(data)
      assert data == example.SerializeToString(deterministic=True)


def test_frame_rate(tmp_path):
  asked = build_plan.make_plan("fingerspelling/asl", tmp_path, fps=25, **ARRAYS)
  assert asked.name == "fingerspelling/asl"
  assert asked.folder == tmp_path / "fingerspelling" / "asl" / "1.0.0"
  assert asked.fps == 25
  assert vars(asked.config)["alphabet"] == "asl"
  usual = build_plan.make_plan(
    "fingerspelling/asl", tmp_path, fps=12.5, **ARRAYS
  )
  assert usual.name == "fingerspelling/asl"
  assert len(spell.spell("key", ASL, 25)) == pytest.approx(
    2 * len(spell.spell("key", ASL, 12.5)), abs=2
  )


def test_without_the_package(tmp_path):
  code = (
    "import sys; sys.modules['spoken_to_signed'] = None\n"
    "from data_pipeline.cli import parser\n"
    "sys.exit(parser.main(sys.argv[1:]))"
  )
  command = ["build", "--dataset=fingerspelling/asl", f"--output={tmp_path}"]
  run = subprocess.run(
    [sys.executable, "-c", code, *command],
    cwd=ROOT,
    capture_output=True,
    text=True,
  )
  assert run.returncode == errors.UsageError.exit_code
  assert "package spoken_to_signed" in run.stderr
  assert 'pip install "signllm-jax[data]"' in run.stderr
  assert "Traceback" not in run.stderr


def test_not_on_beam(tmp_path, capsys):
  command = ["build", "--dataset=fingerspelling/asl", f"--output={tmp_path}"]
  assert parser.main([*command, "--beam=DirectRunner"]) == 1
  assert "not built on Beam" in capsys.readouterr().err
  assert parser.main([*command, "--policy=drop"]) == 1
  assert "nothing to lift" in capsys.readouterr().err


def test_help_names_every_alphabet(capsys):
  with pytest.raises(SystemExit):
    parser.main(["build", "--help"])
  said = capsys.readouterr().out.replace(",", " ").replace("/", " ").split()
  assert set(alphabets.ALPHABETS) <= set(said)

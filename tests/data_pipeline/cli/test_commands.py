"""The command line of the data pipeline, stage by stage, on real input."""

import json
import pathlib
import re
import shutil
import sys

import numpy as np
import pytest
import tensorflow_datasets as tfds
from helpers import built_data
from helpers.paths import DATA, ROOT

import data_pipeline.prompt2sign as prompt2sign
from data_pipeline.building import build, build_plan
from data_pipeline.cli import parser
from data_pipeline.lifting import lifted_folder, lifter, stage_files
from data_pipeline.prompt2sign import prompt2sign_dataset_builder
from data_pipeline.texts import prompts
from signllm_jax.core import clips, languages, skeleton
from signllm_jax.core.skeleton import PROMPT2SIGN50
from signllm_jax.data import records
from signllm_jax.formats import h5, skels, splits

HOW2SIGN = DATA / "how2sign_mini"
GOLDEN = DATA / "golden" / "lift"
VARIANTS = DATA / "openpose_variants"
PHOENIX = DATA / "phoenix14t_mini"


@pytest.fixture(scope="module", autouse=True)
def real_data():
  if not HOW2SIGN.exists():
    pytest.skip("needs ../shared/data")


@pytest.fixture(scope="module", autouse=True)
def one_bucket():
  """All clips in one padded length: compiling takes most of the time here."""
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(lifter, "BUCKET", 160)
    yield


def run(stage: str, *words: str, **options: object) -> int:
  """Runs a stage in this process: `size="1x1"` is --size=1x1."""
  named = [
    f"--{key.replace('_', '-') if key == 'dry_run' else key}"
    + ("" if value is True else f"={value}")
    for key, value in options.items()
  ]
  return parser.main([stage, *named, *words])


@pytest.fixture(scope="module")
def from_json(tmp_path_factory) -> pathlib.Path:
  """The real clips, lifted from JSON, with their five texts."""
  folder = tmp_path_factory.mktemp("lifted") / "json"
  assert (
    run("lift", input=HOW2SIGN / "openpose", output=folder, fps=24, stages=True)
    == 0
  )
  return folder


@pytest.fixture(scope="module")
def extracted(tmp_path_factory) -> pathlib.Path:
  """The real clips in one .h5, their texts beside it."""
  folder = tmp_path_factory.mktemp("extracted")
  path = folder / "clips.h5"
  assert run("extract", input=HOW2SIGN / "openpose", output=path, fps=24) == 0
  for kind in ("files", "text"):
    shutil.copy(HOW2SIGN / f"clips.{kind}", folder)
  return path


def keypoint_folder(folder: pathlib.Path, **names: list[int]) -> pathlib.Path:
  """Real clips by number, in folders a split; `train=[0, 1], dev=[2]`."""
  listed = (HOW2SIGN / "clips.files").read_text().split()
  said = (HOW2SIGN / "clips.text").read_text().splitlines()
  for split, numbers in names.items():
    for number in numbers:
      (folder / split).mkdir(parents=True, exist_ok=True)
      (folder / split / listed[number]).symlink_to(
        HOW2SIGN / "openpose" / listed[number]
      )
    for kind, lines in (("files", listed), ("text", said)):
      path = folder / split / f"clips.{kind}"
      path.write_text("".join(f"{lines[number]}\n" for number in numbers))
  return folder


def read(folder: pathlib.Path) -> dict[str, list[dict]]:
  """The records of a build by split, in their order."""
  return built_data.read_records(folder)


def contents(folder: pathlib.Path) -> dict[str, bytes]:
  return {path.name: path.read_bytes() for path in folder.glob("*.*")}


def test_extracted_is_what_was_read(extracted):
  names = (HOW2SIGN / "clips.files").read_text().split()
  found = {clip.name: clip for clip in h5.read(extracted)}
  assert sorted(found) == sorted(names)
  for name in names:
    golden = np.load(GOLDEN / f"{name}.npz")["keypoints"]
    expected = np.where(golden[..., 2:] > 0, golden, 0)
    np.testing.assert_array_equal(
      found[name].frames[..., :2], expected[..., :2]
    )
    assert found[name].fps == 24 and len(found[name]) == len(golden)


def test_lifting_from_h5_equals_lifting_from_json(
  extracted, from_json, tmp_path
):
  assert run("lift", input=extracted, output=tmp_path / "h5") == 0
  assert lifted_folder.names(tmp_path / "h5") == lifted_folder.names(from_json)
  found, expected = contents(tmp_path / "h5"), contents(from_json)
  assert found.keys() == expected.keys()
  for name in expected:
    if name.endswith(".npz"):
      assert found[name] == expected[name]
  for one, other in zip(
    lifted_folder.records(tmp_path / "h5"),
    lifted_folder.records(from_json),
    strict=True,
  ):
    assert {**one[1], "made_from": ""} == {**other[1], "made_from": ""}


def test_a_rerun_writes_nothing(from_json, capsys):
  before = {path: path.stat().st_mtime_ns for path in from_json.rglob("*")}
  assert run("lift", input=HOW2SIGN / "openpose", output=from_json, fps=24) == 0
  assert "3 lifted before" in capsys.readouterr().out
  after = {path: path.stat().st_mtime_ns for path in from_json.rglob("*")}
  assert after == before


def test_the_five_texts(from_json):
  for name in lifted_folder.names(from_json):
    golden = np.load(GOLDEN / f"{name}.npz")
    found = stage_files.read(from_json / name)
    for at, key in enumerate(("normalised", "pruned", "interpolated")):
      expected = golden[key]
      # A confidence above 1 is cut by us, and weighs less in a window.
      expected[..., 2] = np.minimum(expected[..., 2], 1)
      near = np.isclose(found[at], expected, rtol=1e-5, atol=1e-6)
      assert near.mean() > 0.999
    clip = lifted_folder.read(from_json, name)
    np.testing.assert_allclose(
      np.where(clip.valid[..., None], found[4], 0), clip.frames, atol=2e-6
    )


def test_skels_of_the_reference_mode_are_the_published_ones(tmp_path, capsys):
  folder = tmp_path / "reference"
  assert (
    run(
      "lift",
      input=HOW2SIGN / "openpose",
      output=folder,
      fps=24,
      mode="reference",
    )
    == 0
  )
  assert "confidences above 1 are cut to 1" in capsys.readouterr().err
  assert run("skels", input=folder, output=tmp_path / "out", split="clips") == 0
  for kind in ("files", "text"):
    written = (tmp_path / "out" / f"clips.{kind}").read_text()
    assert written == (HOW2SIGN / f"clips.{kind}").read_text()
  assert not (tmp_path / "out" / "clips.gloss").exists()
  made, golden = (
    [
      np.array(line.split(), float).reshape(-1, 151)
      for line in path.read_text().splitlines()
    ]
    for path in (tmp_path / "out" / "clips.skels", GOLDEN / "clips.skels")
  )
  for one, other in zip(made, golden, strict=True):
    np.testing.assert_array_equal(one[:, -1], other[:, -1])
    near = np.abs(one - other)[:, :-1] < 1e-4
    # What nobody saw is marked by us and lifted all the same by the tool.
    marked = (one[:, :-1] == skels.MISSING) & ~near
    joints = marked.reshape(len(one), PROMPT2SIGN50.num_joints, 3)
    assert (joints.all(-1) == joints.any(-1)).all()
    assert near[~marked].mean() >= 0.99
    assert near.mean() >= 0.99


def test_skels_in_the_other_convention(from_json, tmp_path):
  assert (
    run("skels", input=from_json, output=tmp_path, split="a", convention="pt")
    == 0
  )
  for clip in splits.read_split(tmp_path, "a"):
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
    assert (clip.frames[:, PROMPT2SIGN50.joint("neck")] == 0).all()
    expected = clips.canonical(lifted_folder.read(from_json, clip.name))
    np.testing.assert_allclose(clip.frames, expected.frames, atol=6e-6)


def test_real_variants_of_openpose_are_lifted(tmp_path, capsys):
  """Hands that are often missing, two people, COCO-18, other versions."""
  source = tmp_path / "in"
  shutil.copytree(VARIANTS / "posefmt_openpose", source / "posefmt")
  for path in VARIANTS.glob("*.json"):
    shutil.copy(path, source / f"{path.stem}_000000000000_keypoints.json")
  assert run("lift", input=source, output=tmp_path / "out") == 0
  assert "3 lifted" in capsys.readouterr().out
  found = {
    name: lifted_folder.read(tmp_path / "out", name)
    for name in lifted_folder.names(tmp_path / "out")
  }
  assert {name: len(clip) for name, clip in found.items()} == {
    "hmr_v1.0_coco18_2people": 1,
    "spin_im1010_openpose": 1,
    "posefmt_openpose": 93,
  }
  hand = slice(
    PROMPT2SIGN50.hand("left"),
    PROMPT2SIGN50.hand("left") + skeleton.HAND_JOINTS,
  )
  seen = found["posefmt_openpose"].valid[:, hand].mean()
  assert 0.4 < seen < 0.6
  (record,) = (
    record
    for name, record in lifted_folder.records(tmp_path / "out")
    if name == "posefmt_openpose"
  )
  assert record["missing"]["left_hand"]["share"] == pytest.approx(1 - seen)


@pytest.mark.parametrize(
  ("options", "frames"),
  [
    ({"condense": "1/5"}, [32, 22, 13]),
    ({"condense": "12fps"}, [79, 55, 31]),
    ({"policy": "drop"}, None),
    ({"policy": "trim"}, None),
  ],
)
def test_policies_and_condensing(options, frames, extracted, tmp_path, capsys):
  folder = tmp_path / "out"
  assert run("lift", input=extracted, output=folder, **options) == 0
  said = capsys.readouterr().out
  assert run("lift", input=extracted, output=folder, **options) == 0
  again = capsys.readouterr().out
  found = [
    lifted_folder.read(folder, name) for name in lifted_folder.names(folder)
  ]
  if frames:
    assert [len(clip) for clip in found] == frames
    expected = 24 / 5 if options["condense"] == "1/5" else 12
    assert all(clip.fps == pytest.approx(expected) for clip in found)
  assert said.count("dropped") == again.count("dropped")
  assert again.startswith("3 lifted before") or "dropped" in again


@pytest.mark.parametrize("code", languages.LANGUAGES)
def test_prompts_and_glosses_of_each_language(code, tmp_path, capsys):
  spoken = languages.get(code).spoken
  said = {
    "de": '"Regen, Wind und ""Sturm"""',
    "en": "I bought this at the store.",
    "es": "Hoy llueve mucho.",
    "fr": "Il pleut aujourd\u2019hui.",
    "it": "Oggi piove.",
    "ko": "오늘은 비가 와요.",
    "tr": "Bugün yağmur yağıyor.",
  }[spoken]
  (tmp_path / "dev.text").write_text(f"{said}\n{said}\n", encoding="utf-8")
  (tmp_path / "dev.files").write_text("one\ntwo\n")
  out = tmp_path / "out"
  if spoken == "ko":  # the package for its glosses takes seconds to start
    (tmp_path / "dev.gloss").write_text("A\nB\n")
  options = {"input": tmp_path, "output": out, "language": code}
  assert run("prompts", dry_run=True, **options) == 0 and not out.exists()
  assert run("prompts", **options) == 0
  asked = (out / "dev.prompt").read_text(encoding="utf-8").splitlines()
  text = 'Regen, Wind und "Sturm"' if spoken == "de" else said
  assert asked == [
    prompts.make_prompt(text, spoken, name) for name in ("one", "two")
  ]
  if spoken == "ko":
    return  # its glosses: tests/test_gloss.py
  first, second = (out / "dev.gloss").read_text(encoding="utf-8").splitlines()
  assert first == second and first == first.upper() and len(first) > 3
  assert run("prompts", **options) == 1
  assert "exists already" in capsys.readouterr().err
  shutil.rmtree(out)
  (tmp_path / "dev.gloss").write_text("A\nB\n")
  assert run("prompts", **options) == 0
  assert [path.name for path in out.iterdir()] == ["dev.prompt"]


def test_prompts_of_real_sentences(tmp_path):
  options = {"input": PHOENIX, "output": tmp_path, "language": "gsl"}
  assert run("prompts", **options) == 0
  for split in ("train", "dev"):
    said = (PHOENIX / f"{split}.text").read_text(encoding="utf-8").splitlines()
    lines = (tmp_path / f"{split}.prompt").read_text(encoding="utf-8")
    names = (PHOENIX / f"{split}.files").read_text().splitlines()
    assert lines.splitlines() == [
      prompts.make_prompt(text.strip(), "de", name)
      for text, name in zip(said, names, strict=True)
    ]


def test_bad_texts_are_named(tmp_path, capsys):
  options = {"input": tmp_path, "output": tmp_path / "out", "language": "asl"}
  assert run("prompts", **options) == 65
  for content, place in (
    (b"fine\nsch\xf6n\n", "dev.text:2: byte 4 is not UTF-8"),
    (b"fine\n\n", "dev.text:2: an empty line"),
    (b"fine\na\x00b\n", "dev.text:2: character 2 is U+0000"),
    (b"fine\n...\n", "dev.text:2: '...' has no words"),
  ):
    (tmp_path / "dev.text").write_bytes(content)
    assert run("prompts", **options) == 65
    assert place in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
  assert run("prompts", **{**options, "language": "xxx"}) == 1


def test_build_from_keypoints_verify_and_report(tmp_path, from_json, capsys):
  source = keypoint_folder(tmp_path / "in", train=[0, 1], dev=[2])
  data = tmp_path / "data"
  options = {
    "dataset": "prompt2sign/asl",
    "input": source,
    "output": data,
    "fps": 24,
    "file_format": "array_record",
  }
  assert run("build", dry_run=True, **options) == 0
  said = capsys.readouterr().out
  assert "train: 2 clips would be lifted" in said and not data.exists()
  assert run("build", **options) == 0
  assert capsys.readouterr().err == ""
  folder = data / "prompt2sign" / "asl" / "1.0.0"
  found = read(folder)
  assert {split: len(part) for split, part in found.items()} == {
    "train": 2,
    "dev": 1,
  }
  said = (HOW2SIGN / "clips.text").read_text().splitlines()
  names = (HOW2SIGN / "clips.files").read_text().split()
  for record in (each for part in found.values() for each in part):
    clip = records.to_clip(record)
    text = said[names.index(clip.name)]
    expected = clips.canonical(lifted_folder.read(from_json, clip.name))
    np.testing.assert_array_equal(clip.frames, expected.frames)
    np.testing.assert_array_equal(clip.valid, expected.valid)
    assert (clip.text, clip.fps) == (text, 24)
    assert record["gloss_made"] and clip.gloss == clip.gloss.upper()
    prompt = prompts.make_prompt(text, "en", clip.name)
    assert record["prompt"] == prompt
    assert record["language"] == "ASL"
  lines = (folder / build.QUALITY).read_text().splitlines()
  kept = [json.loads(line) for line in lines]
  assert [(line["split"], line["name"]) for line in kept] == [
    ("dev", names[2]),
    ("train", names[0]),
    ("train", names[1]),
  ]
  assert sorted(path.name for path in data.iterdir()) == ["prompt2sign"]
  assert run("verify", input=folder) == 0
  assert "3 records" in capsys.readouterr().out
  card = tmp_path / "card.html"
  assert run("report", input=folder, output=card) == 0
  assert "prompt2sign/asl" in card.read_text()
  assert run("report", input=folder, output=card) == 1
  before = contents(folder)
  assert run("build", **options) == 0
  assert contents(folder) == before


def test_build_without_folders_is_all_train(tmp_path, extracted):
  folder = build.build_dataset(
    build_plan.make_plan(
      "prompt2sign/asl",
      tmp_path,
      input=extracted,
      file_format="array_record",
      lifting=lifted_folder.Options(condense="1/5"),
    )
  )
  (part,) = read(folder).values()
  assert sorted(len(record["frames"]) for record in part) == [13, 22, 32]
  assert {float(record["fps"]) for record in part} == {np.float32(24 / 5)}


def test_build_from_lifted_clips(tmp_path, from_json, extracted):
  flat = build.build_dataset(
    build_plan.make_plan(
      "prompt2sign/asl",
      tmp_path / "flat",
      input=from_json,
      file_format="array_record",
    )
  )
  (tmp_path / "in").mkdir()
  (tmp_path / "in" / "train").symlink_to(from_json)
  by_split = build.build_dataset(
    build_plan.make_plan(
      "prompt2sign/asl",
      tmp_path / "by_split",
      input=tmp_path / "in",
      file_format="array_record",
    )
  )
  whole = build.build_dataset(
    build_plan.make_plan(
      "prompt2sign/asl",
      tmp_path / "whole",
      input=extracted,
      file_format="array_record",
    )
  )
  shard = "prompt2sign-train.array_record-00000-of-00001"
  assert contents(flat)[shard] == contents(by_split)[shard]
  assert contents(flat)[shard] == contents(whole)[shard]


def test_lifted_clips_have_a_frame_rate(from_json, tmp_path, capsys):
  options = {"dataset": "prompt2sign/asl", "input": from_json}
  assert run("build", **options, output=tmp_path, fps=24) == 1
  assert "which have their own" in capsys.readouterr().err


def test_a_build_needs_texts(tmp_path, from_json, capsys):
  options = {
    "dataset": "prompt2sign/asl",
    "output": tmp_path / "data",
    "file_format": "array_record",
  }
  source = keypoint_folder(tmp_path / "in", train=[0, 1])
  (source / "train" / "clips.text").unlink()
  assert run("build", input=source, **options) == 65
  said = capsys.readouterr().err
  assert "no clip of train can be used" in said and "has no text" in said
  silent = tmp_path / "silent"
  assert run("lift", input=source, output=silent) == 0
  assert run("build", input=silent, **options) == 65
  assert "clips.text beside the keypoints" in capsys.readouterr().err


def test_refused_inputs(tmp_path, capsys):
  (tmp_path / "empty").mkdir()
  (tmp_path / "other").mkdir()
  (tmp_path / "other" / "notes.json").write_text("{}")
  (tmp_path / "file.xyz").write_text("")
  cases = ("absent", "empty", "other", "file.xyz")
  for stage in ("extract", "lift", "skels", "prompts", "verify", "convert"):
    for name in cases:
      output = {} if stage == "verify" else {"output": tmp_path / "out.h5"}
      more = {"language": "asl"} if stage == "prompts" else {}
      if (stage, name) == ("prompts", "file.xyz"):
        continue  # an empty file of texts has no lines
      code = run(stage, input=tmp_path / name, **output, **more)
      said = capsys.readouterr().err
      assert code == 65 and str(tmp_path / name) in said, (stage, name, said)
  for name in cases:
    assert (
      run(
        "build",
        dataset="prompt2sign/asl",
        input=tmp_path / name,
        output=tmp_path / "data",
        file_format="array_record",
      )
      == 65
    )
  assert sorted(path.name for path in tmp_path.iterdir())[-2:] != ["out.h5"]
  assert not (tmp_path / "out.h5").exists()


def test_refused_folders(tmp_path, capsys):
  source = keypoint_folder(tmp_path / "in", train=[0], other=[1])
  options = {
    "dataset": "prompt2sign/asl",
    "input": source,
    "output": tmp_path / "data",
    "file_format": "array_record",
  }
  assert run("build", **options, dry_run=True) == 0
  said = capsys.readouterr().err
  assert "other is not read: keypoints beside the splits" in said
  (source / "other").rename(source / "dev")
  (source / "train").rename(source / "test")
  assert run("build", **options) == 65
  assert "no train" in capsys.readouterr().err


def test_refused_requests(tmp_path, from_json, extracted, capsys):
  def refused(stage: str, **options) -> str:
    assert run(stage, **options) == 1
    return capsys.readouterr().err

  out = tmp_path / "out"
  wrong = {
    "fps": ("0", "nan", "-1", "1e3", "inf"),
    "size": ("0x1", "1280", "axb"),
    "workers": ("0", "-1", "x"),
    "mode": ("slow",),
    "condense": ("1/0", "x", "0fps"),
  }
  for key, values in wrong.items():
    for value in values:
      said = refused("lift", input=extracted, output=out, **{key: value})
      assert value in said and not out.exists()
  assert "--output" in refused("lift", input=extracted)
  assert "exists" in refused("extract", input=extracted, output=extracted)
  said = refused("lift", input=extracted, output=from_json, mode="reference")
  assert "was lifted with mode='fast', not 'reference'" in said
  said = refused("lift", input=VARIANTS / "posefmt_openpose", output=from_json)
  assert "holds 3 lifted clips that are not in the input, e.g. " in said
  assert "holds files but no lift.json" in refused(
    "lift", input=extracted, output=extracted.parent
  )
  with lifted_folder.locked(from_json):
    said = refused("lift", input=HOW2SIGN / "openpose", output=from_json)
    assert "another process writes into it" in said
  build_options = {
    "dataset": "prompt2sign/gsl",
    "input": PHOENIX,
    "output": tmp_path / "data",
    "file_format": "array_record",
  }
  assert "nothing to lift" in refused("build", **build_options, policy="drop")
  assert "'1/0'" in refused("build", **build_options, condense="1/0")
  assert "0 shards" not in refused("build", **build_options, shards=0)
  for path in ("dev.text", "dev.files"):
    shutil.copy(PHOENIX / path, tmp_path)
  said = refused("skels", input=from_json, output=tmp_path, split="dev")
  assert "dev.files: exists already" in said
  assert not (tmp_path / "dev.skels").exists()
  assert main_code() == 1 and main_code("lift", "--nonsense") == 1


def main_code(*arguments: str) -> int:
  return parser.main(arguments)


def test_changed_sources_are_lifted_anew(tmp_path, capsys):
  source = keypoint_folder(tmp_path / "in", train=[0, 2]) / "train"
  options = {"input": source, "output": tmp_path / "out"}
  assert run("lift", **options) == 0
  capsys.readouterr()
  said = (source / "clips.text").read_text().splitlines()
  (source / "clips.text").write_text(f"{said[0]}\nanother\n")
  assert run("lift", **options) == 0
  assert "1 lifted, 1 lifted before" in capsys.readouterr().out
  name = lifted_folder.names(tmp_path / "out")[1]
  assert lifted_folder.read(tmp_path / "out", name).text == "another"
  (tmp_path / "out" / f"{name}.npz").unlink()
  assert run("lift", **options) == 0
  assert "1 lifted, 1 lifted before" in capsys.readouterr().out
  assert run("lift", **options, fps=50) == 0
  assert "2 lifted:" in capsys.readouterr().out
  assert lifted_folder.read(tmp_path / "out", name).fps == 50
  assert run("lift", **options, fps=50, stages=True) == 0
  assert "2 lifted:" in capsys.readouterr().out


def test_links_to_folders_are_followed_but_not_in_circles(tmp_path, capsys):
  source = keypoint_folder(tmp_path / "in", train=[2])
  (source / "train" / "back").symlink_to(source)
  assert run("lift", input=source, output=tmp_path / "out") == 0
  assert "1 lifted" in capsys.readouterr().out


def test_help_of_every_stage(capsys):
  for stage in (
    *("extract", "lift", "skels", "prompts", "build", "verify", "report"),
    "convert",
  ):
    with pytest.raises(SystemExit) as caught:
      main_code(stage, "--help")
    assert caught.value.code == 0
    said = capsys.readouterr().out
    assert "exit codes:" in said and "--input" in said


def test_tfds_knows_the_data_set(tmp_path):
  """Loaded by name, read at random, cited; nothing of ours but the import."""
  folder = build.build_dataset(
    build_plan.make_plan(
      "prompt2sign/gsl", tmp_path, input=PHOENIX, file_format="array_record"
    )
  )
  source = tfds.data_source("prompt2sign/gsl", split="dev", data_dir=tmp_path)
  assert len(source) == 5
  last = records.to_clip(source[4])
  assert last.name == records.to_clip(read(folder)["dev"][4]).name
  assert records.to_clip(source[0]).name != last.name
  builder = tfds.builder("prompt2sign/gsl", data_dir=tmp_path)
  part = builder.as_data_source(split="train[20%:60%]")
  assert len(part) == 2
  info = builder.info
  configs = list(prompt2sign.Builder.builder_configs)
  assert configs[:8] == [
    language.config_name for language in languages.LANGUAGES.values()
  ]
  assert len(configs) == 8 * len(skeleton.SKELETONS)
  assert "@" in info.citation and "2405.10718" in info.citation
  assert info.redistribution_info.license.startswith("not stated")
  assert info.homepage and "skeleton" in info.description
  assert all(feature.doc.desc for feature in info.features.values())


def test_a_language_is_added_in_one_line(tmp_path, monkeypatch):
  """The line of docs/data.md, as if it stood in languages.py."""
  page = (ROOT / "docs" / "data.md").read_text(encoding="utf-8")
  (entry,) = re.findall(r"^Language\(.*\)$", page, re.MULTILINE)
  added = eval(entry, {"Language": languages.Language})
  monkeypatch.setitem(languages.LANGUAGES, added.code, added)
  (config,) = (
    prompt2sign_dataset_builder._config(language, PROMPT2SIGN50)
    for code, language in languages.LANGUAGES.items()
    if code not in ("ASL", "GSL", "DSGS", "LSF-CH", "LIS-CH")
    and code not in ("LSA", "KSL", "TSL")
  )
  assert config.name == "ogs"
  builder = prompt2sign.Builder(config=config, data_dir=tmp_path)
  builder.download_and_prepare(
    file_format="array_record",
    download_config=tfds.download.DownloadConfig(manual_dir=PHOENIX),
  )
  for record in read(tmp_path / "prompt2sign" / "ogs" / "1.0.0")["dev"]:
    assert record["language"] == "OGS"
    clip = records.to_clip(record)
    prompt = prompts.make_prompt(clip.text, "de", clip.name)
    assert record["prompt"] == prompt
  options = {"input": PHOENIX, "output": tmp_path, "language": "ogs"}
  assert run("prompts", **options) == 0


def test_beam_is_asked_for_without_beam(tmp_path, monkeypatch, capsys):
  monkeypatch.setitem(sys.modules, "apache_beam", None)
  monkeypatch.setitem(sys.modules, "apache_beam.options.pipeline_options", None)
  options = {
    "dataset": "prompt2sign/gsl",
    "input": PHOENIX,
    "output": tmp_path,
    "file_format": "array_record",
    "beam": "DirectRunner",
  }
  assert run("build", **options) == 1
  assert 'pip install "signllm-jax[beam]"' in capsys.readouterr().err

"""The builder of prompt2sign and the command line that runs it."""

import pathlib
import shutil
import subprocess
import sys
import tempfile

import numpy as np
import pytest
import tensorflow_datasets as tfds
from helpers import built_data
from helpers.paths import ROOT
from helpers.prompt2sign import PHOENIX, write_split
from tensorflow_datasets.proto import tf_example_pb2

import data_pipeline.prompt2sign as prompt2sign
from data_pipeline.building import (
  build,
  build_checks,
  build_plan,
  record_reader,
)
from data_pipeline.cli import parser
from data_pipeline.texts import prompts
from signllm_jax.core import clips, errors, languages
from signllm_jax.core.skeleton import PROMPT2SIGN50
from signllm_jax.data import records
from signllm_jax.formats import shards, skels, splits, tfrecord


@pytest.fixture
def source(tmp_path):
  folder = tmp_path / "source"
  write_split(folder, "train", 5)
  write_split(folder, "test", 2, seed=50)
  return folder


@pytest.fixture
def built(tmp_path, source):
  """A build as ArrayRecords."""
  return build.build_dataset(
    build_plan.make_plan(
      "prompt2sign/gsl",
      tmp_path / "data",
      input=source,
      file_format="array_record",
    )
  )


class BuilderTest(tfds.testing.DatasetBuilderTestCase):
  """The suite tfds runs over its own builders."""

  DATASET_CLASS = prompt2sign.Builder
  BUILDER_CONFIG_NAMES_TO_TEST = ["gsl", "lsf_ch"]  # noqa: RUF012
  SPLITS = {"train": 3, "dev": 2}  # noqa: RUF012

  @classmethod
  def setUpClass(cls):
    cls.EXAMPLE_DIR = tempfile.mkdtemp()
    write_split(pathlib.Path(cls.EXAMPLE_DIR), "train", 3)
    write_split(pathlib.Path(cls.EXAMPLE_DIR), "dev", 2, seed=50)
    super().setUpClass()

  @classmethod
  def tearDownClass(cls):
    super().tearDownClass()
    shutil.rmtree(cls.EXAMPLE_DIR)


def test_one_configuration_a_language_and_skeleton():
  configs = prompt2sign.Builder.builder_configs
  names = [each.config_name for each in languages.LANGUAGES.values()]
  assert list(configs) == [
    *names,
    *(f"{name}_dwpose128" for name in names),
    *(f"{name}_dwpose128_lifted" for name in names),
    *(f"{name}_holistic178" for name in names),
  ]
  assert all(config.fps == 25 for config in configs.values())


@pytest.mark.parametrize("file_format", build_checks.FILE_FORMATS)
def test_records_are_the_canonical_clips(tmp_path, source, file_format):
  folder = build.build_dataset(
    build_plan.make_plan(
      "prompt2sign/lis_ch",
      tmp_path / "data",
      input=source,
      file_format=file_format,
      shards=2,
    )
  )
  assert folder == tmp_path / "data" / "prompt2sign" / "lis_ch" / "1.0.0"
  info = tfds.builder_from_directory(folder).info
  assert info.splits["train"].num_shards == 2
  read = {}
  for split in record_reader.open_build(folder).splits.values():
    for data in shards.Shards(split.paths, split.shard_lengths, file_format):
      example = tf_example_pb2.Example.FromString(data)
      assert data == example.SerializeToString(deterministic=True)
      record = records.decode(data)
      assert record["language"] == "LIS-CH"
      assert record["gloss_made"] is False
      assert record["signer"] == ""
      text = record["text"]
      clip = records.to_clip(record)
      prompt = prompts.make_prompt(text, "it", clip.name)
      assert record["prompt"] == prompt
      read[clip.name] = clip
  written = [*splits.read_split(source, "train")]
  written += splits.read_split(source, "test")
  assert sorted(read) == sorted(clip.name for clip in written)
  for clip in map(clips.canonical, written):
    np.testing.assert_array_equal(read[clip.name].frames, clip.frames)
    np.testing.assert_array_equal(read[clip.name].valid, clip.valid)
    assert not clip.valid.all()
    assert read[clip.name].text == clip.text
    assert read[clip.name].gloss == clip.gloss
    assert read[clip.name].fps == 25


def test_tfds_load(tmp_path, source):
  """Through tfds' own door, and equal to our TFRecord reader."""
  download = tfds.download.DownloadConfig(
    manual_dir=source, try_download_gcs=False
  )
  data, info = tfds.load(
    "prompt2sign/gsl",
    data_dir=tmp_path / "data",
    split="train",
    with_info=True,
    builder_kwargs={"file_format": "tfrecord"},
    download_and_prepare_kwargs={"download_config": download},
  )
  loaded = {each["name"]: each for each in tfds.as_numpy(data)}
  assert len(loaded) == 5
  split = info.splits["train"]
  files = tfrecord.TFRecordFiles(split.filepaths, split.shard_lengths)
  for payload in files:
    record = records.decode(payload)
    for key, value in loaded[record["name"].encode()].items():
      value = value.decode() if isinstance(value, bytes) else value
      np.testing.assert_array_equal(record[key], value)
  again = tfds.load(
    "prompt2sign/gsl", data_dir=tmp_path / "data", split="test", download=False
  )
  assert len(again) == 2


def test_pairs_of_text_and_frames(tmp_path, source):
  """`as_supervised`, and what is built says so to readers without this code."""
  _prepare(tmp_path, source)
  pairs = tfds.load(
    "prompt2sign/gsl", data_dir=tmp_path, split="test", as_supervised=True
  )
  for text, frames in tfds.as_numpy(pairs):
    assert text.decode() and frames.shape[1:] == (150,)
  (folder,) = (tmp_path / "prompt2sign" / "gsl").iterdir()
  info = tfds.builder_from_directory(folder).info
  assert info.supervised_keys == ("text", "frames")
  with_all = tfds.load("prompt2sign/gsl", data_dir=tmp_path, split="test")
  assert len(with_all) == len(pairs) == 2


@pytest.mark.filterwarnings("ignore:FigureCanvasAgg is non-interactive")
@pytest.mark.parametrize("as_supervised", [False, True])
def test_examples_are_drawn(tmp_path, source, as_supervised):
  """`tfds.show_examples`: a skeleton below its text, not an error."""
  _prepare(tmp_path, source)
  data, info = tfds.load(
    "prompt2sign/gsl",
    data_dir=tmp_path,
    split="train",
    as_supervised=as_supervised,
    with_info=True,
  )
  figure = tfds.show_examples(data, info, rows=2, cols=2)
  assert len(figure.axes) == 4
  for axes in figure.axes:
    (image,) = axes.get_images()
    colours = np.unique(np.asarray(image.get_array()).reshape(-1, 3), axis=0)
    assert axes.get_title() and len(colours) > 20


def test_a_table_of_examples(tmp_path, source):
  """`tfds.as_dataframe`, with a row an example, also as HTML."""
  pytest.importorskip("pandas")
  _prepare(tmp_path, source)
  data, info = tfds.load(
    "prompt2sign/gsl", data_dir=tmp_path, split="train", with_info=True
  )
  table = tfds.as_dataframe(data, info)
  assert len(table) == 5 and table["frames"][0].shape[1] == 150
  assert all(isinstance(text, bytes) for text in table["text"])
  assert "text" in table._repr_html_()


def _prepare(folder: pathlib.Path, source: pathlib.Path) -> None:
  download = tfds.download.DownloadConfig(
    manual_dir=source, try_download_gcs=False
  )
  builder = tfds.builder(
    "prompt2sign/gsl", data_dir=folder, file_format="tfrecord"
  )
  builder.download_and_prepare(download_config=download)


def test_description(built):
  info = tfds.builder_from_directory(built).info
  assert info.homepage == "https://signllm.github.io"
  assert "2405.10718" in info.citation
  assert "eight sign languages" in info.description
  licence = (built / "LICENSE").read_text()
  assert licence == "not stated: ask who gave you the data"


def test_fps_of_own_configuration(tmp_path, source):
  config = prompt2sign.Config(name="asl_24fps", language="ASL", fps=24.0)
  builder = prompt2sign.Builder(config=config, data_dir=tmp_path / "data")
  builder.download_and_prepare(
    file_format="array_record",
    download_config=tfds.download.DownloadConfig(manual_dir=source),
  )
  example = builder.as_data_source("train")[0]
  assert example["fps"] == 24 and example["language"] == b"ASL"


def test_nothing_of_tensorflow(tmp_path, source):
  """Importing and building ArrayRecords works where it is not installed."""
  code = (
    "import sys\n"
    "class Without:\n"
    "  def __init__(self, finder): self.finder = finder\n"
    "  def __getattr__(self, name): return getattr(self.finder, name)\n"
    "  def find_spec(self, name, *place):\n"
    "    if name == 'tensorflow': return None\n"
    "    return self.finder.find_spec(name, *place)\n"
    "sys.meta_path[:] = map(Without, sys.meta_path)\n"
    "from data_pipeline.cli import parser\n"
    "import data_pipeline.prompt2sign\n"
    "sys.exit(parser.main(sys.argv[1:]))"
  )
  output = tmp_path / "data"
  run = subprocess.run(
    [
      *(sys.executable, "-c", code, "build", "--dataset=prompt2sign/gsl"),
      *(f"--input={source}", f"--output={output}"),
      "--file_format=array_record",
    ],
    cwd=ROOT,
    capture_output=True,
    text=True,
  )
  assert run.returncode == 0, run.stderr
  assert run.stderr == ""
  run = subprocess.run(
    [*run.args[:4], "--dataset=prompt2sign/gsl", *run.args[5:6], "--output=x"],
    cwd=ROOT,
    capture_output=True,
    text=True,
  )
  assert run.returncode == errors.UsageError.exit_code
  assert "which is not installed" in run.stderr


def test_real_sentences(tmp_path):
  if not PHOENIX.exists():
    pytest.skip("needs ../shared/data/phoenix14t_mini")
  folder = build.build_dataset(
    build_plan.make_plan(
      "prompt2sign/gsl", tmp_path, input=PHOENIX, file_format="array_record"
    )
  )
  train, dev = record_reader.summarise(folder)
  frames = sum(len(clip) for clip in splits.read_split(PHOENIX, "train"))
  assert (train.name, train.clips, train.frames) == ("train", 5, frames)
  assert (dev.name, dev.clips) == ("dev", 5)
  assert train.hours == pytest.approx(frames / 25 / 3600)
  for record in built_data.read_records(folder)["dev"]:
    clip = records.to_clip(record)
    ends = clip.frames[:, list(PROMPT2SIGN50.shoulders), :2]
    width = np.linalg.norm(ends[:, 0] - ends[:, 1], axis=-1)
    assert np.median(width) == pytest.approx(1 / 3, abs=1e-5)
    assert (clip.frames[:, PROMPT2SIGN50.joint("neck")] == 0).all()


def failing(source, tmp_path, **changes):
  """The error of a build; nothing readable may be left by it."""
  request = {"input": source, "file_format": "array_record", **changes}
  with pytest.raises(errors.SignLLMError) as caught:
    build.build_dataset(
      build_plan.make_plan("prompt2sign/gsl", tmp_path / "data", **request)
    )
  assert not list(tmp_path.glob("data/prompt2sign/gsl/*"))
  return caught.value


def test_missing_text_line(source, tmp_path):
  path = source / "train.text"
  path.write_text("".join(path.read_text().splitlines(True)[:-1]))
  error = failing(source, tmp_path)
  assert isinstance(error, errors.DataError)
  assert "5 lines; expected 4 as in train.text" in str(error)


@pytest.mark.parametrize("name", ["train.skels", "train.text", "test.skels"])
def test_missing_file(source, tmp_path, name):
  (source / name).unlink()
  error = failing(source, tmp_path)
  assert isinstance(error, errors.DataError)
  assert str(source / name) in str(error) and "no such file" in str(error)


def left_out(source, tmp_path) -> dict[str, dict[str, errors.DataError]]:
  """Split -> name -> fault of the clips that a build does without."""
  faults = {}
  folder = build.build_dataset(
    build_plan.make_plan(
      "prompt2sign/gsl",
      tmp_path / "data",
      input=source,
      file_format="array_record",
    ),
    report=lambda split, outcome: faults.update({split: outcome.failed}),
  )
  counts = {each.name: each.clips for each in record_reader.summarise(folder)}
  for split, count in {"train": 5, "test": 2}.items():
    assert counts[split] == count - len(faults.get(split, ()))
  return faults


def test_damaged_number(source, tmp_path):
  path = source / "test.skels"
  path.write_text(path.read_text().rstrip().rsplit(" ", 1)[0] + " x\n")
  ((name, error),) = left_out(source, tmp_path)["test"].items()
  assert name == "test/files 1"
  assert (error.path, error.line, error.frame) == (path, 2, 5)


def test_clip_without_neck(source, tmp_path):
  path = source / "train.skels"
  sequence = list(skels.read(path))
  sequence[3].valid[:, PROMPT2SIGN50.joint("neck")] = False
  sequence[3].frames[..., :2] += 9  # far from 0: no canonical origin
  skels.write(path, sequence)
  ((name, error),) = left_out(source, tmp_path)["train"].items()
  assert name == "train/files 3"
  assert (error.path, error.line) == (path, 4)
  assert "never shows the neck" in str(error)


def test_no_clip_is_left(source, tmp_path):
  (source / "test.skels").write_text("x\n" * 2)
  error = failing(source, tmp_path)
  assert "no clip of test can be used" in str(error)
  assert f"{source / 'test.skels'}:1 frame 1: number 1 is 'x'" in str(error)


def test_a_bad_clip_stops_others_than_the_command_line(source, tmp_path):
  """tfds.load and the like have no place to say what they would leave out."""
  path = source / "train.skels"
  path.write_text(path.read_text().rstrip().rsplit(" ", 1)[0] + " x\n")
  builder = prompt2sign.Builder(config="gsl", data_dir=tmp_path / "data")
  with pytest.raises(errors.DataError, match=f"{path}:5 frame 8"):
    builder.download_and_prepare(
      file_format="array_record",
      download_config=tfds.download.DownloadConfig(manual_dir=source),
    )


def test_wrong_requests(source, tmp_path):
  def message(name="prompt2sign/gsl", **changes):
    request = {"input": source, "file_format": "array_record", **changes}
    with pytest.raises(errors.UsageError) as caught:
      build.build_dataset(
        build_plan.make_plan(name, tmp_path / "data", **request)
      )
    return str(caught.value)

  assert "prompt2sign/lsf_ch" in message("prompt2sign/dgs")
  assert "needs a configuration" in message("prompt2sign")
  assert "expected one of fingerspelling, prompt2sign" in message("mnist")
  assert "train.skels" in message(input=None)
  assert "tfrecord or array_record" in message(file_format="parquet")
  assert "at least 1" in message(shards=0)
  with pytest.raises(errors.UsageError, match="no object of a bucket"):
    build_plan.make_plan("prompt2sign/gsl", "http://host/data", input=source)
  assert isinstance(failing(tmp_path / "gone", tmp_path), errors.DataError)
  (tmp_path / "empty").mkdir()
  assert "empty" in str(failing(tmp_path / "empty", tmp_path))


def test_reuse(source, tmp_path, built, capsys):
  before = {path: path.read_bytes() for path in built.iterdir()}
  capsys.readouterr()
  request = {"input": source, "file_format": "array_record"}
  assert (
    build.build_dataset(
      build_plan.make_plan("prompt2sign/gsl", tmp_path / "data", **request)
    )
    == built
  )
  said = capsys.readouterr().out
  assert "already built" in said and "not stated: ask who" in said
  assert before == {path: path.read_bytes() for path in built.iterdir()}
  for other in ({"file_format": "tfrecord"}, {"shards": 3}):
    with pytest.raises(errors.UsageError, match="holds a build"):
      build.build_dataset(
        build_plan.make_plan(
          "prompt2sign/gsl", tmp_path / "data", **{**request, **other}
        )
      )


@pytest.mark.parametrize("name", ["dataset_info.json", "features.json"])
@pytest.mark.parametrize("content", ["", "{", "{}", None])
def test_damaged_description(source, tmp_path, built, name, content):
  if content is None:
    (built / name).unlink()
  else:
    (built / name).write_text(content)
  with pytest.raises(errors.DataError, match="not a complete build"):
    build.build_dataset(
      build_plan.make_plan(
        "prompt2sign/gsl",
        tmp_path / "data",
        input=source,
        file_format="array_record",
      )
    )


@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "missing"])
def test_damaged_shard(built, damage):
  (path,) = built.glob("*train*")
  content = bytearray(path.read_bytes())
  content[100] ^= 0xFF
  if damage == "missing":
    path.unlink()
  elif damage == "flip":
    path.write_bytes(content)
  else:
    path.write_bytes(b"" if damage == "empty" else content[:-70000])
  with pytest.raises(errors.DataError, match=r"-train\.array_record"):
    record_reader.summarise(built)


def test_command_line(source, tmp_path, capsys):
  output = tmp_path / "data"
  command = [
    *("build", "--dataset=prompt2sign/tsl", f"--input={source}"),
    *(f"--output={output}", "--file_format=array_record", "--shards=2"),
  ]
  assert parser.main([*command, "--dry-run"]) == 0
  assert not output.exists()
  assert "would be built into" in capsys.readouterr().out
  assert parser.main(command) == 0
  said = capsys.readouterr()
  assert said.err == ""
  rows = [line.split() for line in said.out.splitlines()[4:7]]
  assert rows[0] == ["split", "clips", "frames", "hours", "shards", "MiB"]
  assert rows[1][:3] == ["train", "5", str(4 + 5 + 6 + 7 + 8)]
  assert rows[2][:3] == ["test", "2", "9"]
  assert rows[1][4] == "2"
  (source / "dev.text").write_text("one\n")
  assert parser.main(command) == 0  # reused, whatever the source is now
  shutil.rmtree(output)
  assert parser.main(command) == errors.DataError.exit_code
  said = capsys.readouterr()
  assert said.err.startswith(f"error: {source / 'dev.skels'}: no such file")
  assert "Traceback" not in said.err
  assert parser.main([*command[:1], "--dataset=no", *command[2:]]) == 1


def test_frame_rate_of_the_source(source, tmp_path, capsys):
  command = [
    *("build", "--dataset=prompt2sign/gsl", f"--input={source}"),
    *(f"--output={tmp_path / 'data'}", "--file_format=array_record"),
  ]
  assert parser.main([*command, "--fps=30"]) == 0
  said = capsys.readouterr()
  assert said.err == "" and "prompt2sign/gsl_30fps" not in said.out
  folder = tmp_path / "data" / "prompt2sign" / "gsl" / "1.0.0"
  assert built_data.read_records(folder)["train"][0]["fps"] == 30
  for arguments in ([], ["--fps=30"]):
    assert parser.main([*command, *arguments]) == 0
    assert "is used as it is" in capsys.readouterr().out
  for arguments in (["--fps=25"], ["--fps=25", "--dry-run"]):
    assert parser.main([*command, *arguments]) == 1
    assert capsys.readouterr().err == (
      f"error: {folder}: holds a build at 30 frames a second, not 25. Remove "
      "the folder and build again, or use another output folder\n"
    )
  # A build of version 0.1 does not say its rate: it is the usual one.
  (folder / "metadata.json").unlink()
  assert parser.main([*command, "--fps=25", "--dry-run"]) == 0
  assert parser.main([*command, "--fps=30", "--dry-run"]) == 1
  capsys.readouterr()
  for fps in ("0", "-1", "nan", "inf"):
    assert parser.main([*command, f"--fps={fps}"]) == 1
    assert "a number above 0" in capsys.readouterr().err


def test_help(capsys):
  for arguments in (["--help"], ["build", "--help"]):
    with pytest.raises(SystemExit) as caught:
      parser.main(arguments)
    assert caught.value.code == 0
  said = capsys.readouterr().out
  assert all(code.config_name in said for code in languages.LANGUAGES.values())
  assert "INPUT/train.skels" in said and "--dry-run" in said

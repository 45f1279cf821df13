"""R21: a built data set runs no code and points to no other file.

The fixture's builds are real; what `features.json` and `dataset_info.json` name
is made hostile. The real commands read them under an audit hook.
"""

import json
import pathlib
import shutil
import tarfile

import pytest
from helpers import audited
from helpers.paths import ROOT

from signllm_jax import config
from signllm_jax.core import errors
from signllm_jax.data import datasets, records

FIXTURE = ROOT / "tests" / "fixtures" / "version_0_1" / "records.tar.xz"
EVIL = """
import pathlib
pathlib.Path(__file__).with_name("ran").touch()
import tensorflow_datasets as tfds
class Feature(tfds.features.Text): pass
class Dict(tfds.features.FeaturesDict): pass
"""


@pytest.fixture(scope="module")
def intact(tmp_path_factory) -> pathlib.Path:
  home = tmp_path_factory.mktemp("builds")
  with tarfile.open(FIXTURE) as archive:
    archive.extractall(home, filter="data")
  return home / "data" / "prompt2sign" / "gsl" / "1.0.0"


@pytest.fixture
def build(intact, tmp_path) -> pathlib.Path:
  """One's own copy, a hostile module in it and a foreign file beside it."""
  folder = pathlib.Path(shutil.copytree(intact, tmp_path / "build"))
  (folder / "evil.py").write_text(EVIL)
  (tmp_path / "foreign").write_bytes(next(folder.glob("*-dev.*")).read_bytes())
  return folder


def change(folder: pathlib.Path, name: str, edit) -> None:
  path = folder / name
  value = json.loads(path.read_text())
  edit(value)
  path.write_text(json.dumps(value))


def features(value) -> dict:
  return value["featuresDict"]["features"]


HOSTILE = {
  "feature": lambda v: features(v)["text"].update(
    pythonClassName="evil.Feature"
  ),
  "dictionary": lambda v: v.update(pythonClassName="evil.Dict"),
  "another feature": lambda v: features(v).update(
    extra={"pythonClassName": "evil.Feature", "text": {}}
  ),
  "old form": lambda v: (
    v.clear(),
    v.update(type="evil.Feature", content={}),
  ),
}
ELSEWHERE = {
  "module": lambda v: v.update(moduleName="evil"),
  "template": lambda v: [
    split.update(filepathTemplate="../foreign") for split in v["splits"]
  ],
  "absolute": lambda v: [
    split.update(filepathTemplate="/{SPLIT}/../foreign{SHARD_X_OF_Y}")
    for split in v["splits"]
  ],
  "name": lambda v: v.update(name="../x"),
  "split": lambda v: v["splits"][1].update(name="../../foreign"),
}


@pytest.mark.parametrize("kind", [*HOSTILE, *ELSEWHERE])
def test_commands_import_nothing_that_a_build_names(build, kind):
  file, edits = (
    ("features.json", HOSTILE)
    if kind in HOSTILE
    else ("dataset_info.json", ELSEWHERE)
  )
  change(build, file, edits[kind])
  loads = kind in ("dictionary", "another feature", "module")
  command = ["data_pipeline", "verify", f"--input={build}"]
  done = audited.run(build, build.parent / "foreign", *command)
  assert done.returncode == errors.DataError.exit_code, done.stderr
  assert file in done.stderr and "Traceback" not in done.stderr
  assert not (build / "ran").exists()
  settings = config.Data(folder=str(build))
  if loads:  # the name alone does no harm
    assert datasets.open_clips(settings, "train")[0].text
    return
  for act in (records.open_build, lambda f: datasets.has_split(settings, "x")):
    with pytest.raises(errors.DataError, match="not a complete build") as fault:
      act(build)
    assert file in str(fault.value)


@pytest.mark.long
@pytest.mark.parametrize("kind", ["feature", "template"])
def test_training_and_the_card_import_nothing(build, kind, tmp_path):
  file, edits = (
    ("features.json", HOSTILE)
    if kind in HOSTILE
    else ("dataset_info.json", ELSEWHERE)
  )
  change(build, file, edits[kind])
  for command in (
    (
      *("signllm_jax.train", f"--config={ROOT / 'configs' / 'gsl.py'}"),
      *(f"--config.data.folder={build}", f"--workdir={tmp_path / 'run'}"),
    ),
    (
      "data_pipeline",
      "report",
      f"--input={build}",
      f"--output={tmp_path}/c.html",
    ),
  ):
    done = audited.run(build, build.parent / "foreign", *command)
    assert done.returncode == errors.DataError.exit_code, done.stderr[-2000:]
    assert file in done.stderr and "Traceback" not in done.stderr
  assert not (build / "ran").exists() and not (tmp_path / "run").exists()


def test_the_hook_sees_what_it_should(build):
  """tfds's own reader runs the module: the trial is no empty one."""
  change(build, "features.json", HOSTILE["feature"])
  script = build.parent / "reader.py"
  script.write_text(
    "import sys, tensorflow_datasets as tfds\n"
    "tfds.builder_from_directory(sys.argv[1])\n"
  )
  done = audited.run(build, build.parent / "foreign", "reader", str(build))
  assert done.returncode == audited.VIOLATION, done.stderr
  assert "AUDIT" in done.stderr and "evil" in done.stderr


def test_other_features_are_refused(build):
  change(
    build,
    "features.json",
    lambda v: features(v)["frames"]["tensor"]["shape"].update(
      dimensions=["-1", "149"]
    ),
  )
  with pytest.raises(errors.DataError, match=r"feature 'frames' is .*149"):
    records.open_build(build)
  change(build, "features.json", lambda v: features(v).pop("frames"))
  with pytest.raises(errors.DataError, match="feature 'frames' is missing"):
    records.open_build(build)


@pytest.mark.parametrize("name", ["dataset_info.json", "features.json"])
@pytest.mark.parametrize(
  "text", ["", "{", "[]", "null", "{}", '{"name": 1}', '{"a":1,"a":2}', "\xff"]
)
def test_damaged_descriptions_are_named(build, name, text):
  (build / name).write_text(text, encoding="latin-1")
  with pytest.raises(errors.DataError, match="not a complete build") as caught:
    records.open_build(build)
  assert name in str(caught.value)
  with pytest.raises(errors.DataError):
    datasets.open_clips(config.Data(folder=str(build)), "train")

"""Built data sets in a bucket: read, verified, damaged."""

import pickle
import random

import pytest
from helpers import small_runs
from helpers.bucket_server import bucket as bucket
from helpers.bucket_server import bucket_server as bucket_server

from data_pipeline.building import (
  beam,
  build,
  build_checks,
  build_plan,
  verify,
)
from signllm_jax import config
from signllm_jax.core import errors, paths
from signllm_jax.data import corpus_info, datasets
from signllm_jax.runs import environment_checks
from signllm_jax.web import ground_truth


@pytest.fixture(scope="module", params=["tfrecord", "array_record"])
def built(request, tmp_path_factory):
  """Twelve clips in three shards."""
  folder = tmp_path_factory.mktemp("built")
  clips = [small_runs.clip(i) for i in range(12)]
  small_runs.write_folder(folder / "clips", clips)
  return build.build_dataset(
    build_plan.make_plan(
      "prompt2sign/gsl",
      folder / "data",
      input=folder / "clips",
      file_format=request.param,
      shards=3,
    )
  )


def test_clips_are_those_of_the_disk(bucket, built):
  url = bucket.upload(built, "data/gsl/1.0.0")
  local = datasets.open_clips(config.Data(folder=str(built)), "train")
  settings = config.Data(folder=url)
  remote = datasets.open_clips(settings, "train")
  remote = pickle.loads(pickle.dumps(remote))  # as reader processes get it
  assert len(remote) == len(local) == 12
  for index in [*range(12), 11, 0, 5]:
    found, expected = remote[index], local[index]
    assert found.name == expected.name and found.text == expected.text
    assert found.frames.tobytes() == expected.frames.tobytes()
  assert datasets.has_split(settings, "train")
  assert not datasets.has_split(settings, "dev")
  infos = [corpus_info.summarise(x, settings).info for x in (remote, local)]
  texts = [corpus_info.to_json({"GSL": info}) for info in infos]
  assert texts[0] == texts[1]
  assert verify.verify(url) == 12
  assert "train 3" in environment_checks.check_data(url, 1)


def test_true_clips_are_found_in_a_bucket(bucket, tmp_path):
  clips = [small_runs.clip(i) for i in range(3)]
  for split in ("train", "dev"):
    small_runs.write_folder(tmp_path / "clips", clips, split)
  plan = build_plan.make_plan(
    "prompt2sign/gsl",
    tmp_path / "data",
    input=tmp_path / "clips",
    file_format="array_record",
  )
  folder = build.build_dataset(plan)
  for place in (str(folder), bucket.upload(folder, "data")):
    truth = ground_truth.GroundTruth(config.Data(folder=place))
    assert set(truth.examples) == {clip.text for clip in clips}
    found = truth.find(clips[0].text)
    assert found and found[0] == "dev" and found[1].name == clips[0].name


def test_damage_in_a_bucket_is_found_and_named(bucket, built):
  """A flipped bit or a cut in any file, and a missing one."""
  url = bucket.upload(built, "data")
  rng = random.Random(5)
  for number, path in enumerate(sorted(built.iterdir())):
    stored = paths.resolve(url, path.name)
    content = bytearray(path.read_bytes())
    if number % 3 == 0:
      content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    stored.write_bytes(bytes(content[: len(content) - 4 * (number % 3)]))
    if number % 3 == 2:
      stored.unlink()
    with pytest.raises(errors.DataError) as refused:
      verify.verify(url)
    assert url in str(refused.value) and path.name in str(refused.value)
    stored.upload(path)
  assert verify.verify(url) == 12


def test_what_is_not_there_says_so(bucket, tmp_path):
  settings = config.Data(folder=f"{bucket.url}/prompt2sign/gsl/1.0.0")
  with pytest.raises(errors.DataError, match="nothing there") as refused:
    datasets.open_clips(settings, "train")
  assert f"--output={bucket.url}" in str(refused.value)
  small_runs.write_folder(tmp_path / "clips", [small_runs.clip(1)])
  url = bucket.upload(tmp_path / "clips", "clips")
  with pytest.raises(errors.UsageError, match="local file system"):
    datasets.open_clips(config.Data(folder=url), "train")


def build_clips(clips, output, file_format="array_record", **options):
  return build.build_dataset(
    build_plan.make_plan(
      "prompt2sign/gsl",
      output,
      input=clips,
      file_format=file_format,
      shards=2,
      **options,
    )
  )


def test_a_build_into_a_bucket(bucket, tmp_path, monkeypatch, capsys):
  """R19: equal bytes; nothing is readable before all of it is there."""
  monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
  clips = tmp_path / "clips"
  small_runs.write_folder(clips, [small_runs.clip(i) for i in range(6)])
  local = build_clips(clips, tmp_path / "data")
  url = f"{bucket.url}/data"
  bucket.writes_left = 3
  with pytest.raises(errors.StorageError, match="cannot be copied"):
    build_clips(clips, url)
  bucket.writes_left = None
  assert len(bucket.names("data/")) == 3
  place = f"{url}/prompt2sign/gsl/1.0.0"
  with pytest.raises(errors.DataError, match="no data for the split"):
    datasets.open_clips(config.Data(folder=place), "train")
  paths.resolve(place, "stray").write_bytes(b"of another build")
  assert str(build_clips(clips, url)) == place
  assert {
    name.rsplit("/", 1)[1]: bucket.content(name)
    for name in bucket.names("data/")
  } == {path.name: path.read_bytes() for path in local.iterdir()}
  assert verify.verify(place) == 6
  assert not [x for x in (tmp_path / "cache").rglob("*") if x.is_file()]
  capsys.readouterr()
  assert str(build_clips(clips, url)) == place
  assert "already built" in capsys.readouterr().out
  with pytest.raises(errors.UsageError, match="holds a build as array_record"):
    build_clips(clips, url, "tfrecord")
  runner = beam.Runner("DataflowRunner")
  with pytest.raises(errors.UsageError, match="Build without --beam"):
    build_checks.check_workers(clips, runner, paths.resolve(url))

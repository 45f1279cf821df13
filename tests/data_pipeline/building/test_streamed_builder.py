"""The builder of records: the bytes of tfds's, in little memory; scale."""

import json
import pathlib
import re
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from typing import ClassVar

import numpy as np
import pytest
import tensorflow_datasets as tfds
from helpers.paths import ROOT

from data_pipeline.building import streamed_builder
from signllm_jax.core import errors
from signllm_jax.data import records

RECORDS, FRAMES = 120, 400  # 31 MB


def record(number: int) -> tuple[str, dict]:
  frames = np.full((FRAMES, 150), number, np.float32)
  values = {
    "name": f"clip{number}",
    "text": "a text",
    "prompt": "",
    "gloss": "",
    "gloss_made": 0,
    "language": "ASL",
    "signer": "",
    "fps": 25.0,
    "frames": frames,
    "valid": np.ones((FRAMES, 50), np.uint8),
  }
  return values["name"], values


class Streamed(streamed_builder.StreamedBuilder, skip_registration=True):
  """Records of equal frames, half of them kept before they are yielded."""

  name: ClassVar = "streamed"
  VERSION = tfds.core.Version("1.0.0")
  numbers = range(RECORDS)

  def _info(self) -> tfds.core.DatasetInfo:
    return tfds.core.DatasetInfo(builder=self, features=records.features())

  def _split_generators(self, dl_manager) -> dict:
    del dl_manager
    return {"train": self._generate_examples(), "dev": map(record, (1, 0))}

  def _generate_examples(self) -> Iterator:
    for number in self.numbers:
      example = record(number)
      yield self.keep(*example) if number % 2 else example


class Usual(Streamed, skip_registration=True):
  """The same through the writer of tfds."""

  name: ClassVar = "streamed"

  _generate_splits = tfds.core.GeneratorBasedBuilder._generate_splits

  def keep(self, key: str, example: dict):
    return key, example


def built(
  kind: type[Streamed], folder: pathlib.Path, numbers=range(RECORDS)
) -> tuple[dict[str, bytes], int]:
  """The files of a build, and the most memory that Python took for it."""
  builder = kind(data_dir=folder)
  builder.numbers = numbers
  tracemalloc.start()
  builder.download_and_prepare(
    file_format="array_record",
    download_config=tfds.download.DownloadConfig(
      num_shards=2, try_download_gcs=False
    ),
  )
  _, peak = tracemalloc.get_traced_memory()
  tracemalloc.stop()
  files = pathlib.Path(builder.data_path).iterdir()
  return {path.name: path.read_bytes() for path in files}, peak


def test_bytes_are_those_of_tfds_in_a_tenth_of_the_memory(tmp_path):
  expected, usual = built(Usual, tmp_path / "usual")
  found, peak = built(Streamed, tmp_path / "streamed")
  assert [name for name in found if "train" in name] != []
  assert found == expected
  assert peak < usual / 10 < 10e6


def test_two_records_of_one_name(tmp_path):
  with pytest.raises(errors.DataError, match="train have the same name"):
    built(Streamed, tmp_path, (1, 2, 1))


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_memory_is_flat_and_a_kill_costs_no_clip(tmp_path):
  """From JSON to records; the benchmark compares the bytes after the kill."""
  pytest.importorskip("psutil")
  out = tmp_path / "results.json"
  command = [sys.executable, "-m", "benchmarks.scale", f"--work={tmp_path}"]
  command += ["--clips", "600", "2600", "--kill", f"--json={out}"]
  done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
  assert done.returncode == 0, done.stdout + done.stderr
  killed = re.search(r"killed with (\d+) of 2600", done.stdout)
  assert killed and 1300 <= int(killed[1]) < 2600, done.stdout
  assert "the same bytes" in done.stdout
  few, many = json.loads(out.read_text())["builds"]
  grown = (many["memory"] - few["memory"]) / (many["clips"] - few["clips"])
  assert grown < 15_000, done.stdout  # a record of these clips has 70,000

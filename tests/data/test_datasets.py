"""Opening of data sets, and the sources of their clips."""

import dataclasses

import pytest
from helpers.random_clips import random_clip

from signllm_jax import config
from signllm_jax.core import errors
from signllm_jax.data import datasets, records
from signllm_jax.formats import skels, splits


def test_missing_gloss_names_the_clip():
  with pytest.raises(errors.DataError, match="'x' has no gloss"):
    datasets.source_text(random_clip("x", 3), config.Data(source="gloss"))


def test_no_data_says_what_was_expected(tmp_path):
  settings = config.Data(folder=str(tmp_path / "none"))
  with pytest.raises(errors.DataError, match=r"train\.skels"):
    datasets.open_clips(settings, "train")


def test_prompts_are_a_source(tmp_path):
  clip = dataclasses.replace(random_clip("x", 3), prompt="How do I sign 'x'?")
  settings = config.Data(source="prompt")
  assert datasets.source_text(clip, settings) == "How do I sign 'x'?"
  with pytest.raises(errors.DataError, match="'y' has no prompt"):
    datasets.source_text(random_clip("y", 3), settings)
  asked = datasets.MultilingualClips(
    [("GSL", [dataclasses.replace(clip, gloss="X")])]
  )[0]
  assert asked.prompt == "<GSL> How do I sign 'x'?"
  assert asked.text == f"<GSL> {clip.text}"
  record = records.from_clip(clip, language="GSL")
  assert records.to_clip(record).prompt == clip.prompt

  skels.write(tmp_path / "dev.skels", [clip])
  (tmp_path / "dev.text").write_text("x\n")
  (tmp_path / "dev.prompt").write_text("Wie gebärdet man „x“?\n")
  (read,) = splits.read_split(tmp_path, "dev")
  assert read.prompt == "Wie gebärdet man „x“?"

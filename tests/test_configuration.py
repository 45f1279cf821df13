"""The configuration's page against the configuration."""

import re

from helpers.paths import ROOT

from signllm_jax import config

ROW = re.compile(r"^\| `([\w.]+)` \| `(.*?)` \| (.+) \|$", re.MULTILINE)


def test_the_page_lists_every_field_with_its_default():
  page = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
  rows = ROW.findall(page)
  fields = config.flatten(config.Experiment())
  assert sorted(name for name, _, _ in rows) == sorted(fields)
  for name, default, meaning in rows:
    assert default.replace('"', "'") == repr(fields[name]), name
    assert meaning.strip(), name

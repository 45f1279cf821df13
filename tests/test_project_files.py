"""Citation, changelog and contributing guide: true of this repository."""

import re
import tomllib

import yaml
from helpers.paths import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_citation_has_the_fields_of_cff_1_2_0():
  """The required keys and the formats of the schema."""
  citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
  assert citation["cff-version"] == "1.2.0"
  assert citation["message"] and citation["title"] == "signllm_jax"
  assert citation["version"] == PROJECT["version"]
  assert citation["license"] == PROJECT["license"]
  (paper,) = citation["references"]
  assert paper["type"] == "article" and paper["year"] == 2024
  assert re.fullmatch(r"10\.\d{4,9}/[A-Za-z0-9:/_;.()\[\]\\-]+", paper["doi"])
  for author in (*citation["authors"], *paper["authors"]):
    assert set(author) in ({"name"}, {"family-names", "given-names"})


def test_changelog_has_this_version():
  text = (ROOT / "CHANGELOG.md").read_text()
  headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
  assert headings[0] == "Unreleased" or headings[0] == PROJECT["version"]
  assert PROJECT["version"] in headings


def test_contributing_lists_the_rooms_in_their_order():
  text = (ROOT / "CONTRIBUTING.md").read_text()
  order = tomllib.loads((ROOT / "tests" / "architecture.toml").read_text())
  for package in ("signllm_jax", "data_pipeline"):
    table = text.partition(f"`{package}`, from top to bottom:\n")[2].strip()
    cells = [
      row.split("|")[1] for row in table.partition("\n\n")[0].split("\n")
    ]
    listed = re.findall(r"`(\w+)(?:/|\.py)?`", "".join(cells))
    rooms = " ".join(order[package]["rooms"]).split()
    assert {"__init__", *listed} == set(rooms)
    folders = [room for room in rooms if (ROOT / package / room).is_dir()]
    assert [name for name in listed if name in folders] == folders


def test_contributing_names_files_that_are_there():
  text = (ROOT / "CONTRIBUTING.md").read_text()
  paths = re.findall(r"\b(?:tests|launch|signllm_jax)/[\w./]*\w", text)
  assert "tests/inference/test_producer.py" in paths
  for path in paths:
    assert (ROOT / path).exists(), path

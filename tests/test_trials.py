"""The table of trials names tests that exist and that name their trial."""

import ast
import re

import pytest
from helpers.paths import ROOT

TABLE = (ROOT / "docs" / "trials.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| (R\d+) \|(.*)\|$", TABLE, re.MULTILINE)


def test_every_trial_has_one_row():
  assert [number for number, _ in ROWS] == [f"R{n}" for n in range(1, 30)]


@pytest.mark.parametrize(("number", "row"), ROWS, ids=[n for n, _ in ROWS])
def test_its_tests_name_it(number, row):
  named = re.findall(r"`([\w/]+\.py)::(\w+)`( \(slow\))?", row)
  assert named
  for path, name, slow in named:
    module = ast.parse((ROOT / "tests" / path).read_text(encoding="utf-8"))
    (test,) = [
      node
      for node in module.body
      if isinstance(node, ast.FunctionDef) and node.name == name
    ]
    said = f"{ast.get_docstring(module)} {ast.get_docstring(test)}"
    assert re.search(rf"\b{number}\b", said), (path, name)
    marks = [ast.unparse(each) for each in test.decorator_list]
    assert ("pytest.mark.slow" in marks) == bool(slow), (path, name)

"""The pages: links that lead somewhere, commands that the programs take."""

import argparse
import importlib
import json
import pathlib
import re
import shlex
import subprocess
import sys

import pytest
from helpers.paths import ROOT

PAGES = sorted(
  [ROOT / "README.md", ROOT / "launch" / "README.md", *ROOT.glob("docs/*.md")]
)
FLAGS = ("signllm_jax.train", "signllm_jax.ablate")  # absl; others: argparse


def _commands(page: pathlib.Path) -> list[tuple[str, list[str]]]:
  """Module and arguments of every `python -m` in the page's shell blocks."""
  found = []
  text = page.read_text(encoding="utf-8")
  for block in re.findall(r"```bash\n(.*?)```", text, re.DOTALL):
    for line in block.replace("\\\n", " ").splitlines():
      words = shlex.split(line.replace("$alphabet", "asl"), comments=True)
      if words[-1:] == ["&"]:
        words.pop()
      for i in range(len(words) - 2):
        if words[i] == "python" and words[i + 1] == "-m":
          found.append((words[i + 2], words[i + 3 :]))
  return found


COMMANDS = [
  (page.name, module, arguments)
  for page in PAGES
  for module, arguments in _commands(page)
]


def test_the_pages_have_commands():
  named = {module for _, module, _ in COMMANDS}
  assert {*FLAGS, "signllm_jax.produce", "data_pipeline"} <= named
  assert len(COMMANDS) > 40


class _Taken(Exception):
  """The arguments were taken; nothing is run."""


@pytest.mark.parametrize(
  ("page", "module", "arguments"),
  [
    each
    for each in COMMANDS
    if each[1].startswith(("signllm_jax", "data_pipeline"))
    and each[1] not in FLAGS
  ],
  ids=lambda value: " ".join(value) if isinstance(value, list) else value,
)
def test_the_program_takes_the_command(monkeypatch, page, module, arguments):
  parse = argparse.ArgumentParser.parse_args

  def only_parse(self, *args, **kwargs):
    parse(self, *args, **kwargs)
    raise _Taken

  monkeypatch.setattr(argparse.ArgumentParser, "parse_args", only_parse)
  name = "data_pipeline.cli.parser" if module == "data_pipeline" else module
  with pytest.raises(_Taken):
    importlib.import_module(name).main(arguments)


@pytest.mark.parametrize("module", FLAGS)
def test_flags_and_fields_exist(module):
  commands = [[name, *rest] for _, name, rest in COMMANDS if name == module]
  code = (
    f"import json, sys, {module}\n"
    "from absl import flags\n"
    "own = set(flags.FLAGS)\n"
    "for command in json.loads(sys.argv[1]):\n"
    "  for name in set(flags.FLAGS) - own:\n"  # fields of the last command
    "    delattr(flags.FLAGS, name)\n"
    "  flags.FLAGS.unparse_flags()\n"
    "  sys.argv = command\n"  # where ml_collections looks for fields
    "  flags.FLAGS(command)\n"
  )
  done = subprocess.run(
    [sys.executable, "-c", code, json.dumps(commands)],
    cwd=ROOT,
    capture_output=True,
    text=True,
    timeout=300,
  )
  assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
  text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.S)
  for target in re.findall(r"\]\(([^)\s]+)\)", text):
    if re.match(r"https?://", target):
      continue
    path, _, anchor = target.partition("#")
    where = (page.parent / path).resolve() if path else page
    assert where.exists(), target
    if anchor:
      heads = re.findall(r"^#+ (.*)$", where.read_text(), re.MULTILINE)
      slugs = [re.sub(r"[^\w\- ]", "", h.lower()) for h in heads]
      assert anchor in [slug.replace(" ", "-") for slug in slugs], target


def test_the_site_is_built_without_warnings(tmp_path):
  pytest.importorskip("mkdocs", reason='pip install ".[docs]"')
  done = subprocess.run(
    [sys.executable, "-m", "mkdocs", "build", "--strict", "-d", tmp_path],
    cwd=ROOT,
    capture_output=True,
    text=True,
    timeout=300,
  )
  assert done.returncode == 0, done.stderr[-2000:]
  assert (tmp_path / "tutorial" / "index.html").exists()
  pages = set(ROOT.glob("docs/*.md"))
  built = {path.parent.name for path in tmp_path.glob("*/index.html")}
  assert {page.stem for page in pages} - {"index"} <= built

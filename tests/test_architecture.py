"""How modules may import each other, and how long they may be.

`architecture.toml` lists the rooms of each package from top to bottom.
"""

import ast
import pathlib
import tomllib
from collections.abc import Iterator
from typing import NamedTuple

import pytest
from helpers.paths import ROOT

RULES = tomllib.loads(
  pathlib.Path(__file__).with_name("architecture.toml").read_text()
)
LINES_OF_A_FILE, LINES_OF_A_FUNCTION = 300, 60


class Import(NamedTuple):
  """One import of a module of a package."""

  importer: str
  imported: str
  place: str  # file and line
  in_function: bool


def modules_of(root: pathlib.Path, package: str) -> dict[str, pathlib.Path]:
  """Paths of a package's modules by their full names."""
  return {
    ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(
      ".__init__"
    ): path
    for path in sorted((root / package).rglob("*.py"))
  }


def statements(tree: ast.AST, in_function=False) -> Iterator[tuple]:
  """Import statements that run, and whether they are inside a function."""
  for node in ast.iter_child_nodes(tree):
    if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
      for other in node.orelse:
        yield from statements(ast.Module([other], []), in_function)
    elif isinstance(node, ast.Import | ast.ImportFrom):
      yield node, in_function
    else:
      function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
      yield from statements(node, in_function or function)


def imports(root: pathlib.Path, modules: dict) -> Iterator[Import]:
  """All imports of these modules by each other."""
  for name, path in modules.items():
    for node, in_function in statements(ast.parse(path.read_text())):
      if isinstance(node, ast.Import):
        wanted = [alias.name for alias in node.names]
      else:
        base = node.module or ""
        if node.level:
          parts = name.split(".")
          if path.name != "__init__.py":
            parts = parts[:-1]
          parts = parts[: len(parts) - node.level + 1]
          base = ".".join([*parts, *([base] if base else [])])
        wanted = [
          full if (full := f"{base}.{alias.name}") in modules else base
          for alias in node.names
        ]
      place = f"{path.relative_to(root)}:{node.lineno}"
      for imported in wanted:
        if imported in modules:
          yield Import(name, imported, place, in_function)


def cycles(edges: set[tuple[str, str]]) -> list[list[str]]:
  """Groups of modules that import each other in a circle."""
  reached: dict[str, set[str]] = {}
  targets: dict[str, set[str]] = {}
  for a, b in edges:
    targets.setdefault(a, set()).add(b)
  for start in targets:
    found, waiting = set(), [start]
    while waiting:
      for b in targets.get(waiting.pop(), ()):
        if b not in found:
          found.add(b)
          waiting.append(b)
    reached[start] = found
  circles = {
    tuple(sorted(b for b in reached[a] if a in reached.get(b, ())))
    for a in reached
    if a in reached[a]
  }
  return [list(circle) for circle in sorted(circles)]


class Rooms:
  """The rule of one package."""

  def __init__(self, package: str, rule: dict):
    self.doors = {f"{package}.{name}" for name in rule["doors"].split()}
    self.uses = rule.get("uses", {})
    self.rank = {
      room: rank
      for rank, line in enumerate(rule["rooms"])
      for room in line.split()
    }

  def is_below(self, imported: str, importer: str) -> bool:
    a, b = room_of(importer), room_of(imported)
    return a == b or self.rank[a] < self.rank[b]

  def may_use(self, found: Import) -> bool:
    """Whether a module of the package may import one of another package."""
    package, _, module = found.imported.partition(".")
    use = self.uses.get(package)
    if use is None or use.get("inside_functions", False) > found.in_function:
      return False
    importer = found.importer.partition(".")[2]
    return _is_within(importer, use.get("by", importer)) and _is_within(
      module, use.get("of", module)
    )


def _is_within(module: str, names: str) -> bool:
  """Whether a module is one of these, or lies in one."""
  return any(f"{module}.".startswith(f"{name}.") for name in names.split(" "))


def room_of(module: str) -> str:
  return (module.split(".")[1:] or ["__init__"])[0]


def import_faults(root: pathlib.Path, rules: dict) -> list[str]:
  """Imports upwards, of a door or across packages, and circles."""
  packages = {name: Rooms(name, rule) for name, rule in rules.items()}
  modules = {k: v for name in rules for k, v in modules_of(root, name).items()}
  faults = [
    f"{name}: its room is not in architecture.toml"
    for name in modules
    if room_of(name) not in packages[name.split(".")[0]].rank
  ]
  if faults:
    return faults
  edges = set()
  for found in imports(root, modules):
    edges.add((found.importer, found.imported))
    own, other = (packages[name.split(".")[0]] for name in found[:2])
    said = f"{found.place}: {found.importer} imports {found.imported}"
    if found.imported in other.doors:
      faults.append(f"{said}, a door")
    elif own is not other and not own.may_use(found):
      faults.append(f"{said}, of another package")
    elif own is other and not own.is_below(found.imported, found.importer):
      faults.append(f"{said}, which is not below it")
  faults += [f"circle: {', '.join(circle)}" for circle in cycles(edges)]
  return faults


def length_faults(root: pathlib.Path, rules: dict) -> list[str]:
  """Files and functions that are too long."""
  faults = []
  for package in rules:
    for name, path in modules_of(root, package).items():
      text = path.read_text()
      if (lines := len(text.splitlines())) > LINES_OF_A_FILE:
        faults.append(f"{name}: {lines} lines; at most {LINES_OF_A_FILE}")
      for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
          assert node.end_lineno is not None
          lines = node.end_lineno - node.lineno + 1
          if lines > LINES_OF_A_FUNCTION:
            faults.append(
              f"{name}.{node.name}: {lines} lines; at most "
              f"{LINES_OF_A_FUNCTION}"
            )
  return faults


def test_imports_go_downwards():
  assert import_faults(ROOT, RULES) == []


def test_files_and_functions_are_short():
  assert length_faults(ROOT, RULES) == []


def test_every_room_exists():
  for package, rule in RULES.items():
    names = {path.stem for path in (ROOT / package).iterdir()}
    assert set(" ".join(rule["rooms"]).split()) <= names
    assert set(rule["doors"].split()) <= names


BAD_RULES = {
  "house": {
    "rooms": ["__init__ door", "api", "hall", "cellar stairs"],
    "doors": "door",
    "uses": {"shed": {"by": "api", "inside_functions": True}},
  },
  "shed": {
    "rooms": ["__init__", "tools"],
    "doors": "",
    "uses": {"house": {"of": "cellar.wine"}},
  },
}
LAZY = "def f():\n  import house.hall"
TYPES = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n  "


@pytest.mark.parametrize(
  ("files", "faults"),
  [
    ({"house/door": "import house.hall.rug"}, []),
    ({"house/cellar/wine": f"{TYPES}import house.hall"}, []),
    ({"house/api": "def f():\n  import shed.tools"}, []),
    ({"house/api/wide": "def f():\n  import shed.tools"}, []),
    ({"house/apiary": "def f():\n  import shed.tools"}, ["its room"]),
    ({"shed/tools": "from house.cellar import wine"}, []),
    ({"house/cellar/wine": "import house.hall"}, ["not below"]),
    ({"house/cellar/wine": "from house.hall import x"}, ["not below"]),
    ({"house/cellar/wine": "from .. import hall"}, ["not below"]),
    ({"house/cellar/wine": "from ..hall import rug"}, ["not below"]),
    ({"house/cellar/wine": LAZY}, ["not below"]),
    (
      {"house/cellar/wine": f"{TYPES}pass\nelse:\n  import house.hall"},
      ["not below"],
    ),
    ({"house/cellar/wine": "import house.stairs"}, ["not below"]),
    ({"house/api": "import house.door"}, ["a door"]),
    ({"house/door": "import house.door"}, ["a door", "circle: house.door"]),
    ({"house/api": "import shed.tools"}, ["another package"]),
    ({"house/hall/rug": "def f():\n  import shed"}, ["another package"]),
    ({"shed/tools": "import house.hall"}, ["another package"]),
    ({"shed/tools": "import house.cellar"}, ["another package"]),
    ({"house/attic": ""}, ["house.attic: its room"]),
    (
      {
        "house/hall/rug": "from house.hall import lamp",
        "house/hall/lamp": "def f():\n  from house.hall import rug",
      },
      ["circle: house.hall.lamp, house.hall.rug"],
    ),
    (
      {
        "house/hall/rug": "from house import cellar",
        "house/cellar/__init__": "import house.hall.rug",
      },
      ["not below", "circle: house.cellar, house.hall.rug"],
    ),
  ],
)
def test_a_bad_import_is_found(tmp_path, files, faults):
  names = "house/hall/rug house/hall/lamp house/cellar/wine shed/tools"
  rest = " house/door house/api house/stairs house/cellar/__init__"
  rest += " house/hall/__init__ house/__init__ shed/__init__"
  for name in (names + rest).split() + list(files):
    path = tmp_path / f"{name}.py"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(files.get(name, ""))
  found = import_faults(tmp_path, BAD_RULES)
  assert len(found) == len(faults)
  for fault, expected in zip(found, faults, strict=True):
    assert expected in fault


def test_what_is_too_long_is_found(tmp_path):
  (tmp_path / "house").mkdir()
  path = tmp_path / "house" / "hall.py"
  body = "  pass\n" * (LINES_OF_A_FUNCTION - 1)
  path.write_text(f"def f():\n{body}" + "\n" * 240)
  assert length_faults(tmp_path, {"house": {}}) == []
  path.write_text(f"async def f():\n{body}  pass\n" + "\n" * 240)
  assert length_faults(tmp_path, {"house": {}}) == [
    "house.hall: 301 lines; at most 300",
    "house.hall.f: 61 lines; at most 60",
  ]

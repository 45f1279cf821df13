#!/usr/bin/env bash
# Sets up the project and runs every check that CI runs.
set -euo pipefail

if [[ "${1-}" == -h || "${1-}" == --help ]]; then
  cat <<'END'
usage: launch/test.sh [--quick] [PYTEST ARGUMENTS]

Sets up .venv (launch/setup.sh), then runs ruff, basedpyright and pytest, and
stops at the first that fails. Tests run in two processes. Arguments go to
pytest:
  launch/test.sh tests/core/test_gloss.py -x
  launch/test.sh -n 0 --pdb   # one process, with the debugger
  launch/test.sh -m slow      # the trials of minutes

  --quick   only the tests that compile no model: under a minute
END
  exit 0
fi

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
"$here/setup.sh"
cd "$here/.."
PATH="$PWD/.venv/bin:$PATH"
chosen=()
if [[ "${1-}" == --quick ]]; then
  shift
  chosen=(-m "not slow and not compiles")
fi
ruff check .
ruff format --check .
basedpyright --pythonpath .venv/bin/python
python -m pytest -n 2 --dist worksteal "${chosen[@]}" "$@"

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

  --quick   leaves out the tests that compile models or build data sets: under
            a minute in all
END
  exit 0
fi

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
"$here/setup.sh"
cd "$here/.."
PATH="$PWD/.venv/bin:$PATH"
ruff check .
ruff format --check .
if [[ "${1-}" == --quick ]]; then
  shift
  basedpyright --pythonpath .venv/bin/python &
  python -m pytest -m "not slow and not long" "$@"
  wait $! # fails as basedpyright did
  exit 0
fi
basedpyright --pythonpath .venv/bin/python
python -m pytest -n 2 --dist worksteal "$@"

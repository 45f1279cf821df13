#!/usr/bin/env bash
# Sets up the project and runs every check that CI runs.
set -euo pipefail

if [[ "${1-}" == -h || "${1-}" == --help ]]; then
  cat <<'END'
usage: launch/test.sh [--dry-run] [--quick] [PYTEST ARGUMENTS]

Sets up .venv (launch/setup.sh), then runs ruff, basedpyright and pytest, and
stops at the first that fails. Tests run in two processes. Arguments go to
pytest:
  launch/test.sh tests/core/test_gloss.py -x
  launch/test.sh -n 0 --pdb   # one process, with the debugger
  launch/test.sh -m slow      # the trials of minutes

  --quick   leaves out the tests that compile models or build data sets: under
            a minute in all
  --dry-run   first argument: print the commands, run nothing
END
  exit 0
fi

cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=/dev/null
source launch/dry_run.bash
if [[ "${1-}" == --dry-run ]]; then
  dry_run=yes
  shift
fi
run launch/setup.sh
PATH="$PWD/.venv/bin:$PATH"
run ruff check .
run ruff format --check .
if [[ "${1-}" == --quick ]]; then
  shift
  if [[ "$dry_run" == yes ]]; then
    run basedpyright --pythonpath .venv/bin/python
    run python -m pytest -m "not slow and not long" "$@"
    exit 0
  fi
  basedpyright --pythonpath .venv/bin/python &
  python -m pytest -m "not slow and not long" "$@"
  wait $! # fails as basedpyright did
  exit 0
fi
run basedpyright --pythonpath .venv/bin/python
run python -m pytest -n 2 --dist worksteal "$@"

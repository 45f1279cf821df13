#!/usr/bin/env bash
# Sets up the project and runs every check that CI runs.
set -euo pipefail

if [[ "${1-}" == -h || "${1-}" == --help ]]; then
  cat <<'END'
usage: launch/test.sh [--dry-run] [--quick] [PYTEST ARGUMENTS]

Sets up .venv (launch/setup.sh), then runs ruff, and pytest with basedpyright
beside it; fails where one of them fails. Tests run in two processes. Arguments
go to pytest:
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
# Or every process of the tests would compile the packages for itself.
unset PYTHONDONTWRITEBYTECODE
run launch/setup.sh
PATH="$PWD/.venv/bin:$PATH"
run ruff check .
run ruff format --check .
tests=(-n 2 --dist worksteal)
if [[ "${1-}" == --quick ]]; then
  shift
  tests=(-m "not slow and not long")
fi
types=(basedpyright --pythonpath .venv/bin/python)
if [[ "$dry_run" == yes ]]; then
  run "${types[@]}"
  run python -m pytest "${tests[@]}" "$@"
  exit 0
fi
"${types[@]}" &
status=0
python -m pytest "${tests[@]}" "$@" || status=$?
wait $! || status=$?
exit "$status"

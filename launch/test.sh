#!/usr/bin/env bash
# Sets up the project and runs every check that CI runs.
set -euo pipefail

if [[ "${1-}" == -h || "${1-}" == --help ]]; then
  cat <<'END'
usage: launch/test.sh [PYTEST ARGUMENTS]

Sets up .venv (launch/setup.sh), then runs ruff, basedpyright and pytest, and
stops at the first that fails. Arguments go to pytest:
  launch/test.sh tests/test_clips.py -x
END
  exit 0
fi

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
"$here/setup.sh"
cd "$here/.."
PATH="$PWD/.venv/bin:$PATH"
ruff check .
ruff format --check .
basedpyright --pythonpath .venv/bin/python
python -m pytest "$@"

#!/usr/bin/env bash
# Makes .venv with the locked packages and this project in it.
set -euo pipefail

usage() {
  cat <<'END'
usage: launch/setup.sh [--help] [--dry-run]

Makes the virtual environment .venv in the project's folder: the packages of
requirements.lock, checked by their hashes, and this project, editable. Where
.venv already holds this very lock, its packages are not installed again.

  --dry-run   print the commands that make .venv anew, run nothing

environment:
  PYTHON   the Python to use (default: the first of python3.11, python3.12,
           python3.13 and python3 that is 3.11 to 3.13)
END
}

case "${1-}" in
  "" | --dry-run) ;;
  -h | --help)
    usage
    exit 0
    ;;
  *)
    usage >&2
    exit 1
    ;;
esac

cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=/dev/null
source launch/dry_run.bash
pip=(.venv/bin/python -m pip --disable-pip-version-check --quiet)
# A third of the modules are ever imported; Python compiles these then.
compile=(--no-compile)
if [[ -n "${PYTHONDONTWRITEBYTECODE-}" ]]; then
  compile=(--compile) # or every process would compile them for itself
fi
# A pip that reads the lock in half the time of the one that Python 3.11 brings.
# The lock has all that its packages need.
install_packages() {
  run "$python" -m venv --clear .venv
  run "${pip[@]}" install "${compile[@]}" --require-hashes -r launch/build.lock
  run "${pip[@]}" install "${compile[@]}" --require-hashes --no-deps \
    -r requirements.lock
}
# Without isolation, or pip would fetch a build system that no lock names.
install_project() {
  run "${pip[@]}" install --no-deps --no-build-isolation -e .
}

if [[ "${1-}" == --dry-run ]]; then
  # shellcheck disable=SC2034 # `run` reads it
  dry_run=yes
  python=${PYTHON:-python3.11}
  install_packages
  install_project
  exit 0
fi

oldest=3.11
newest=3.13 # the locked TensorFlow has no wheels for later ones

# Version of a Python as 3.11; nothing where it does not run.
version() {
  "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null || true
}

# Whether a version is one that the lock serves.
serves() {
  [[ -n "$1" && "${1%%.*}" -eq 3 && "${1#*.}" -ge "${oldest#*.}" &&
    "${1#*.}" -le "${newest#*.}" ]]
}

# The first of the candidates that serves.
find_python() {
  local candidate found all=""
  for candidate in "${candidates[@]}"; do
    found=$(version "$candidate")
    if serves "$found"; then
      echo "$candidate"
      return
    fi
    [[ -z "$found" ]] || all+="$candidate is $found; "
  done
  echo "error: needs Python $oldest to $newest; found: ${all:-none. }" \
    "Install one, or name it: PYTHON=/path/to/python launch/setup.sh" >&2
  return 1
}

# 3.11 first: it is what CI tests.
candidates=(python3.11 python3.12 python3.13 python3)
[[ -z "${PYTHON-}" ]] || candidates=("$PYTHON")
python=$(find_python)

# SHA-256 of the content of files.
digest() {
  "$python" -c 'import hashlib, pathlib, sys
content = b"".join(pathlib.Path(path).read_bytes() for path in sys.argv[1:])
print(hashlib.sha256(content).hexdigest())' "$@"
}

stamp=.venv/.installed-sha256 # of the lock, and of what installs the project
lock=$(digest requirements.lock)
project=$(digest pyproject.toml setup.py)
installed=""
[[ ! -f "$stamp" ]] || installed=$(<"$stamp")
if [[ "$installed" == "$lock $project" ]]; then
  exit 0
fi

rm -f "$stamp"
if [[ "${installed% *}" != "$lock" ]]; then
  echo "Setting up .venv with $python ($(version "$python"))" >&2
  install_packages
fi
install_project
echo "$lock $project" >"$stamp" # last: a set-up that was cut off is begun again

#!/usr/bin/env bash
# Turns the videos of a folder into .pose files, with MediaPipe Holistic.
set -euo pipefail

usage() {
  cat <<'END'
usage: launch/video.sh [--dry-run] FOLDER [OUTPUT]

Writes OUTPUT/NAME.pose for every video FOLDER/NAME.mp4 (.avi .mov .mkv .webm
.m4v), in the same subfolders; OUTPUT is FOLDER if not given. Then:
  python -m data_pipeline build --dataset=prompt2sign/asl --input=OUTPUT \
    --output=data

A video whose .pose is there is not done again: stop it at any time and run it
again. Videos that cannot be read are named at the end, with exit code 65; the
others are done. The first call makes the environment .venv-video (MediaPipe
0.10.21 carries its models and needs NumPy below 2; pose-format estimates).

  --dry-run   print the commands for a video NAME.mp4, run nothing

environment:
  PYTHON   a Python 3.9 to 3.12 for the environment (default: the first of
           python3.11, python3.12, python3.10 and python3)
  WORKERS  estimators beside each other on one video (default 1)
END
}

here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=/dev/null
source "$here/launch/dry_run.bash"
arguments=()
for argument in "$@"; do
  case "$argument" in
    -h | --help)
      usage
      exit 0
      ;;
    --dry-run) dry_run=yes ;;
    *) arguments+=("$argument") ;;
  esac
done
if [[ ${#arguments[@]} -lt 1 || ${#arguments[@]} -gt 2 ]]; then
  usage >&2
  exit 1
fi

folder=${arguments[0]}
output=${arguments[1]-$folder}
workers=${WORKERS-1}
venv=$here/.venv-video
packages=("mediapipe==0.10.21" "numpy<2" "pose-format==0.15.0")
if [[ "$dry_run" == yes ]]; then
  run "${PYTHON:-python3.11}" -m venv --clear .venv-video
  run .venv-video/bin/python -m pip --disable-pip-version-check --quiet \
    install "${packages[@]}"
  run .venv-video/bin/video_to_pose -i "$folder/NAME.mp4" \
    -o "$output/NAME.pose" --format mediapipe --workers "$workers"
  exit 0
fi
if [[ ! -d "$folder" ]]; then
  echo "error: $folder: no such folder" >&2
  exit 65
fi

# The first Python of those that MediaPipe 0.10.21 has wheels for.
find_python() {
  local candidate
  for candidate in "${PYTHON:-python3.11}" python3.12 python3.10 python3; do
    if "$candidate" -c 'import sys; sys.exit(not (3, 9) <= sys.version_info[:2] <= (3, 12))' \
      2>/dev/null; then
      echo "$candidate"
      return
    fi
  done
  echo "error: needs Python 3.9 to 3.12; name one: PYTHON=/path/to/python" >&2
  return 1
}

if [[ ! -f "$venv/.complete" ]]; then
  python=$(find_python)
  echo "Setting up $venv" >&2
  "$python" -m venv --clear "$venv"
  "$venv/bin/python" -m pip --disable-pip-version-check --quiet install \
    "${packages[@]}"
  touch "$venv/.complete" # last: a set-up that was cut off is begun again
fi

# Videos, without hidden ones, in the order of their names.
mapfile -d '' videos < <(
  cd "$folder"
  find . -name '.*' -not -name . -prune -o -type f \
    \( -iname '*.mp4' -o -iname '*.avi' -o -iname '*.mov' -o -iname '*.mkv' \
    -o -iname '*.webm' -o -iname '*.m4v' \) -print0 | sort -z
)
if [[ ${#videos[@]} -eq 0 ]]; then
  echo "error: $folder: no videos (.mp4 .avi .mov .mkv .webm .m4v)" >&2
  exit 65
fi

bad=()
declare -A video_of # by .pose: a.mp4 and a.mov have the same
made=0
kept=0
number=0
temporary=""
trap '[[ -z "$temporary" ]] || rm -f "$temporary" "$temporary.log"' EXIT
for video in "${videos[@]}"; do
  number=$((number + 1))
  name=${video#./}
  target=$output/${name%.*}.pose
  if [[ -n "${video_of[$target]-}" ]]; then
    bad+=("$name: its .pose is that of ${video_of[$target]}; rename one")
    continue
  fi
  video_of[$target]=$name
  if [[ -s "$target" ]]; then
    kept=$((kept + 1))
    continue
  fi
  echo "[$number/${#videos[@]}] $name" >&2
  mkdir -p "$(dirname "$target")"
  temporary=$(dirname "$target")/.$(basename "$target").part
  status=0
  # A group of its own would miss Ctrl-C; its messages go to a file.
  "$venv/bin/video_to_pose" -i "$folder/$name" -o "$temporary" \
    --format mediapipe --workers "$workers" >"$temporary.log" 2>&1 || status=$?
  if [[ $status -gt 128 ]]; then
    exit "$status" # stopped by a signal; the same command goes on
  fi
  if [[ $status -eq 0 && -s "$temporary" ]]; then
    mv "$temporary" "$target"
    made=$((made + 1))
  else
    why=$(grep -v '^[[:space:]]*$' "$temporary.log" | tail -n 1 | cut -c 1-200)
    bad+=("$name: ${why:-no message}")
    echo "  cannot be read: ${why:-no message}" >&2
  fi
  rm -f "$temporary" "$temporary.log"
  temporary=""
done

echo "$made videos turned into .pose, $kept done before: $output"
if [[ ${#bad[@]} -gt 0 ]]; then
  echo "error: ${#bad[@]} bad videos were left out:" >&2
  printf '  %s\n' "${bad[@]}" >&2
  exit 65
fi

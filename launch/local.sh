#!/usr/bin/env bash
# Trains on this machine, in one process on all its devices.
set -euo pipefail

usage() {
  cat <<'END'
usage: launch/local.sh [--help] [--dry-run] TRAINING FLAGS

Sets up .venv (launch/setup.sh) and trains on this machine: on its CPU, on all
its GPUs or on all chips of a TPU VM with one host. A run that was stopped goes
on when the same command is given again. Accelerators need their packages once:
  .venv/bin/python -m pip install --require-hashes -r launch/gpu.lock

  --dry-run   print the commands, run nothing
  the rest    goes to `python -m signllm_jax.train`, e.g.
  launch/local.sh --config=configs/gsl.py --workdir=runs/gsl

exit codes: those of the training; 42 stopped by a signal and saved
END
}

cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=/dev/null
source launch/dry_run.bash
training=()
# shellcheck disable=SC2034  # what was sourced reads dry_run
for argument in "$@"; do
  case "$argument" in
    -h | --help)
      usage
      exit 0
      ;;
    --dry-run) dry_run=yes ;;
    *) training+=("$argument") ;;
  esac
done

run launch/setup.sh
settings=()
if [[ "$(uname)" == Linux ]]; then
  # Huge pages for the heap: training ran 1.2 times as fast on two CPU cores.
  settings+=(GLIBC_TUNABLES=glibc.malloc.hugetlb=1)
fi
run exec env ${settings[@]+"${settings[@]}"} \
  .venv/bin/python -m signllm_jax.train ${training[@]+"${training[@]}"}

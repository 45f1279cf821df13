#!/usr/bin/env bash
#SBATCH --job-name=signllm_jax
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=8
#SBATCH --time=24:00:00
#SBATCH --requeue
#SBATCH --signal=TERM@180
#SBATCH --open-mode=append
#SBATCH --output=signllm_jax-%j.log
# A Slurm batch script: trains on the nodes of a job and requeues itself.
set -euo pipefail

usage() {
  cat <<'END'
usage: sbatch [SBATCH OPTIONS] launch/slurm.sh TRAINING FLAGS
       launch/slurm.sh [--help] [--dry-run] TRAINING FLAGS

Run sbatch in the project's folder, after launch/setup.sh there; the folder and
the work directory must be on a file system that all nodes share. One task is
one process; with GPUs, jax gives each task one GPU:
  sbatch launch/slurm.sh --config=configs/gsl.py --workdir=runs/gsl
  sbatch --nodes=2 --gpus-per-node=4 --ntasks-per-node=4 launch/slurm.sh \
    --config=configs/gsl.py --workdir=runs/gsl

180 s before the time limit, and when it is preempted, the training gets
SIGTERM, saves its step and ends with 42; then the job is requeued and goes on
from that step. Any other exit code ends the job with it.

  --dry-run   print the commands, run nothing
END
}

for argument in "$@"; do
  if [[ "$argument" == -h || "$argument" == --help ]]; then
    usage
    exit 0
  fi
done
# Slurm runs a copy of this file, so its own place says nothing.
cd "${SLURM_SUBMIT_DIR:-$(dirname "${BASH_SOURCE[0]}")/..}"
if [[ ! -f launch/dry_run.bash ]]; then
  echo "error: $PWD is not the project's folder. Run sbatch there" >&2
  exit 1
fi
# shellcheck source=/dev/null
source launch/dry_run.bash
training=()
for argument in "$@"; do
  case "$argument" in
    --dry-run) dry_run=yes ;;
    *) training+=("$argument") ;;
  esac
done
if [[ "$dry_run" == no ]]; then
  [[ -n "${SLURM_JOB_ID-}" ]] || refuse "no Slurm job. Use: sbatch $0"
  [[ -x .venv/bin/python ]] || refuse "no .venv. Run launch/setup.sh first"
fi

# Preemption signals this shell too; it must live to requeue. A trap, unlike
# an ignored signal, is not inherited by the training.
trap : TERM
code=0
# No --kill-on-bad-exit: at 42 each task ends by itself, after its save.
# Newer Slurm hands a step no cores of its own accord.
run srun "--cpus-per-task=${SLURM_CPUS_PER_TASK:-8}" --kill-on-bad-exit=0 \
  --wait=120 .venv/bin/python -m signllm_jax.train --distributed=auto \
  ${training[@]+"${training[@]}"} || code=$?
if [[ "$dry_run" == yes ]]; then
  echo "# after exit code 42:"
fi
if [[ "$dry_run" == yes || "$code" -eq 42 ]]; then
  run scontrol requeue "${SLURM_JOB_ID:-JOB_ID}"
fi
exit "$code"

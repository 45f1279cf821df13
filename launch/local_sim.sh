#!/usr/bin/env bash
# Several processes on this machine, as on several hosts: for trying things out.
set -euo pipefail

usage() {
  cat <<'END'
usage: launch/local_sim.sh [--help] [--dry-run] [--processes=N] [--devices=M]
                           [--port=P] [--logs=FOLDER] TRAINING FLAGS

Trains in N processes with M simulated CPU devices each, which talk over the
loopback interface: what happens on N hosts, on one machine. SIGTERM and Ctrl-C
are passed on to all of them, so they save the same step and end with 42.

  --processes=N   default 2
  --devices=M     devices of each process, default 1
  --port=P        of the coordinator on 127.0.0.1, default 47321
  --logs=FOLDER   for what processes 1 to N-1 say, default runs/local_sim;
                  process 0 speaks here
  --dry-run       print the commands, run nothing
  the rest        goes to `python -m signllm_jax.train`, e.g.
  launch/local_sim.sh --devices=4 --config=configs/gsl.py --workdir=runs/two

exit codes: process 0's, or the first that is not 0; see
`python -m signllm_jax.train --help`
END
}

cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=/dev/null
source launch/dry_run.bash
processes=2 devices=1 port=47321 logs=runs/local_sim
training=()
for argument in "$@"; do
  case "$argument" in
    -h | --help)
      usage
      exit 0
      ;;
    --dry-run) dry_run=yes ;;
    --processes=*) processes=${argument#*=} ;;
    --devices=*) devices=${argument#*=} ;;
    --port=*) port=${argument#*=} ;;
    --logs=*) logs=${argument#*=} ;;
    *) training+=("$argument") ;;
  esac
done
for value in "$processes" "$devices" "$port"; do
  [[ "$value" =~ ^[1-9][0-9]{0,4}$ ]] ||
    refuse "--processes, --devices and --port are numbers from 1, not '$value'"
done

run launch/setup.sh
run mkdir -p "$logs"
pids=()
for ((process = 0; process < processes; process++)); do
  command=(
    env JAX_PLATFORMS=cpu "JAX_NUM_CPU_DEVICES=$devices"
    "JAX_COORDINATOR_ADDRESS=127.0.0.1:$port"
    "JAX_NUM_PROCESSES=$processes" "JAX_PROCESS_ID=$process"
    .venv/bin/python -m signllm_jax.train --distributed=auto
    ${training[@]+"${training[@]}"}
  )
  log="$logs/process-$process.log"
  if [[ "$dry_run" == yes ]]; then
    line=$(quote "${command[@]}")
    if ((process)); then
      line+=" >$(quote "$log") 2>&1"
    fi
    echo "$line &"
  elif ((process)); then
    "${command[@]}" >"$log" 2>&1 &
    pids+=($!)
  else
    "${command[@]}" &
    pids+=($!)
  fi
done
if [[ "$dry_run" == yes ]]; then
  echo wait
  exit 0
fi

interrupted=no
trap 'interrupted=yes; kill -TERM "${pids[@]}" 2>/dev/null || true' TERM INT
code=0
for process in "${!pids[@]}"; do
  while :; do
    interrupted=no status=0
    wait "${pids[process]}" || status=$?
    # A trapped signal ends `wait` early, with the process still there.
    [[ "$interrupted" == yes ]] || break
  done
  if ((status)); then
    echo "process $process ended with $status" >&2
    ((code)) || code=$status
  fi
done
exit "$code"

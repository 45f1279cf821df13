#!/usr/bin/env bash
# Trains on this machine: in one process on all its devices, or in several
# processes on simulated devices, as on several hosts.
set -euo pipefail

usage() {
  cat <<'END'
usage: launch/local.sh [--help] [--dry-run] [SIMULATION] TRAINING FLAGS

Sets up .venv (launch/setup.sh) and trains on this machine: on its CPU, on all
its GPUs or on all chips of a TPU VM with one host. A run that was stopped goes
on when the same command is given again. Accelerators need their packages once:
  .venv/bin/python -m pip install --require-hashes -r launch/gpu.lock

  --dry-run       print the commands, run nothing
  TRAINING FLAGS  go to `python -m signllm_jax.train`, e.g.
  launch/local.sh --config=configs/gsl.py --workdir=runs/gsl

Any option of SIMULATION starts N processes with M simulated CPU devices each.
They talk over the loopback interface, so that one machine shows what happens on
N hosts. SIGTERM and Ctrl-C are passed on to all of them: they save the same
step and end with 42.
  --processes=N   default 2
  --devices=M     devices of each process, default 1
  --port=P        of the coordinator on 127.0.0.1, default 47321
  --logs=FOLDER   for the output of processes 1 to N-1, default runs/local_sim;
                  that of process 0 is shown here
  launch/local.sh --devices=4 --config=configs/gsl.py --workdir=runs/two

exit codes: those of the training (`python -m signllm_jax.train --help`), e.g.
42 stopped by a signal and saved; of a simulation, the first that is not 0
END
}

cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=/dev/null
source launch/dry_run.bash
simulation=no processes=2 devices=1 port=47321 logs=runs/local_sim
training=()
for argument in "$@"; do
  case "$argument" in
    -h | --help)
      usage
      exit 0
      ;;
    --dry-run) dry_run=yes ;;
    --processes=*) simulation=yes processes=${argument#*=} ;;
    --devices=*) simulation=yes devices=${argument#*=} ;;
    --port=*) simulation=yes port=${argument#*=} ;;
    --logs=*) simulation=yes logs=${argument#*=} ;;
    *) training+=("$argument") ;;
  esac
done
for value in "$processes" "$devices" "$port"; do
  [[ "$value" =~ ^[1-9][0-9]{0,4}$ ]] ||
    refuse "--processes, --devices and --port are numbers from 1, not '$value'"
done

# Trains in one process, which replaces this one.
train() {
  local settings=()
  if [[ "$(uname)" == Linux ]]; then
    # Huge pages for the heap: training ran 1.2 times as fast on two CPU cores.
    settings+=(GLIBC_TUNABLES=glibc.malloc.hugetlb=1)
  fi
  run exec env ${settings[@]+"${settings[@]}"} \
    .venv/bin/python -m signllm_jax.train ${training[@]+"${training[@]}"}
}

# Starts the processes of a simulation in the background; fills `pids`.
start_simulation() {
  local process command log line
  run mkdir -p "$logs"
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
}

# Waits for the processes of a simulation; exits with the first code but 0.
await_simulation() {
  local code=0 process status
  for process in "${!pids[@]}"; do
    while :; do
      interrupted=no status=0
      wait "${pids[process]}" || status=$?
      # A trapped signal ends `wait` early, while the process still runs.
      [[ "$interrupted" == yes ]] || break
    done
    if ((status)); then
      echo "process $process ended with $status" >&2
      ((code)) || code=$status
    fi
  done
  exit "$code"
}

run launch/setup.sh
if [[ "$simulation" == no ]]; then
  train
  exit 0
fi
pids=()
start_simulation
if [[ "$dry_run" == yes ]]; then
  echo wait
  exit 0
fi
interrupted=no
trap 'interrupted=yes; kill -TERM "${pids[@]}" 2>/dev/null || true' TERM INT
await_simulation

#!/usr/bin/env bash
# What launch/tpu.sh runs on each host of a TPU VM.
set -euo pipefail

usage() {
  cat <<'END'
usage: launch/tpu_worker.sh [--help] [--dry-run] COMMAND

  setup [SERVER:/SHARE]   Python, .venv with libtpu, and the share at
                          /mnt/signllm
  start TRAINING FLAGS    train in the background; what it says goes to
                          train.log
  status                  prints `running`, `exit CODE` or `idle`
  log [LINES]             the last lines of train.log (default 100), then
                          whatever is added
  stop                    SIGTERM: the training saves its step and ends with 42

  --dry-run   first argument: print the commands, run nothing
END
}

cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=/dev/null
source launch/dry_run.bash
share=/mnt/signllm
apt=(sudo apt-get -o DPkg::Lock::Timeout=300) # a new host upgrades itself
if [[ "${1-}" == --dry-run ]]; then
  dry_run=yes
  shift
fi

setup() {
  local server=${1-}
  if [[ "$dry_run" == yes ]] || ! command -v python3.11 >/dev/null; then
    run "${apt[@]}" update -qq
    run "${apt[@]}" install -y -qq python3.11 python3.11-venv
  fi
  if [[ -n "$server" ]] &&
    { [[ "$dry_run" == yes ]] || ! mountpoint -q "$share"; }; then
    run "${apt[@]}" install -y -qq nfs-common
    run sudo mkdir -p "$share"
    run sudo mount -t nfs -o hard "$server" "$share"
    run sudo chmod 1777 "$share"
  fi
  run launch/setup.sh
  run .venv/bin/python -m pip install --quiet --require-hashes \
    -r launch/tpu.lock
}

# The process of the training, if it is there.
running() {
  [[ -f train.pid ]] && kill -0 "$(<train.pid)" 2>/dev/null
}

start() {
  if [[ "$dry_run" == yes ]]; then
    run env "PYTHONUNBUFFERED=1" .venv/bin/python -m signllm_jax.train \
      --distributed=auto "$@"
    return
  fi
  if running; then
    refuse "a training runs already. Stop it first: launch/tpu.sh stop"
  fi
  rm -f train.exit
  # A session of its own, so that it outlives this ssh connection.
  # shellcheck disable=SC2016
  setsid bash -c '
    env PYTHONUNBUFFERED=1 .venv/bin/python -m signllm_jax.train \
      --distributed=auto "$@" &
    echo $! >train.pid
    code=0
    wait $! || code=$?
    echo "$code" >train.exit.new
    mv train.exit.new train.exit
  ' training "$@" >>train.log 2>&1 </dev/null &
}

status() {
  if [[ -f train.exit ]]; then
    echo "exit $(<train.exit)"
  elif running; then
    echo running
  elif [[ -f train.pid ]]; then
    echo "exit 137" # not even its exit code was written: the host went down
  else
    echo idle
  fi
}

stop() {
  if [[ "$dry_run" == yes ]]; then
    echo "kill -TERM PROCESS"
  elif running; then
    kill -TERM "$(<train.pid)"
    local waited
    for ((waited = 0; waited < 180; waited++)); do
      running || break
      sleep 1
    done
    if running; then
      kill -KILL "$(<train.pid)"
    fi
  fi
}

case "${1-}" in
  -h | --help) usage ;;
  setup) setup "${@:2}" ;;
  start) start "${@:2}" ;;
  status) if [[ "$dry_run" == yes ]]; then echo "cat train.exit"; else status; fi ;;
  log) run tail -n "${2:-100}" -F train.log ;;
  stop) stop ;;
  *)
    usage >&2
    exit 1
    ;;
esac

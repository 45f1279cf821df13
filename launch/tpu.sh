#!/usr/bin/env bash
# A TPU VM from your own machine: make it, train on it, keep it alive, delete it.
set -euo pipefail

usage() {
  cat <<'END'
usage: launch/tpu.sh COMMAND [--help] [--dry-run] [OPTIONS] [TRAINING FLAGS]

commands, in the order of use:
  create    make the TPU VM and wait until it is there
  setup     copy the committed files to all its hosts and install (again after
            every change you commit)
  doctor    check versions, chips, disk and clocks on all hosts together
  exec      [OPTIONS] WORDS: run a command in the project's folder on the first
            host; behind -- a --dry-run belongs to the command
  run       start the training on all hosts, in the background
  watch     until it is done: start it again after a stop, and make the TPU VM
            anew after a preemption
  status    what each host does
  logs      what the first host says
  stop      save the step and stop, on all hosts
  delete    delete the TPU VM; what is in --bucket and on --nfs stays

options:
  --name=NAME       of the TPU VM (or environment TPU_NAME; default signllm)
  --zone=ZONE       (or TPU_ZONE)
  --project=ID      (or TPU_PROJECT; default gcloud's own)
  --type=TYPE       accelerator type (or TPU_TYPE; default v6e-8); 8 chips of
                    v5litepod and v6e are one host, 16 and more are several
  --bucket=gs://B   the place of data and work directory (or TPU_BUCKET), since
                    a preempted TPU loses its disk and hosts must share
                    checkpoints. `create` makes it where it is missing; run and
                    watch train into gs://B/runs/NAME where no --workdir is given
  --nfs=IP:/SHARE   in its place a Filestore share, mounted at /mnt/signllm (or
                    TPU_NFS)
  --queued          ask through a queued resource, which waits for capacity
  --spot            spot capacity: cheaper, may be preempted at any time
  --restarts=N      watch gives up after so many (default 100)
  --dry-run         print the commands, run nothing

Give the options of `create` to `watch` and `delete` too. Other arguments of
run and watch go to `python -m signllm_jax.train`:
  launch/tpu.sh watch --bucket=gs://B --spot --config=configs/gsl.py

The Cloud TPU API, which this script calls, serves v2 to v6e. TPU7x and later are
reached through GKE: launch/gke_tpu7x.yaml, docs/tpu.md.

exit codes: 0 done; 1 wrong call; of watch: those of the training
END
}

cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=/dev/null
source launch/dry_run.bash
name=${TPU_NAME:-signllm} zone=${TPU_ZONE-} project=${TPU_PROJECT-}
type=${TPU_TYPE:-v6e-8} nfs=${TPU_NFS-} bucket=${TPU_BUCKET-}
queued=no spot=no restarts=100
poll=${TPU_POLL_SECONDS:-60}
command=${1-}
rest=() words=no # of exec: whether all that follows belongs to the command
for argument in "${@:2}"; do
  if [[ "$command" == exec && "$words" == no && "$argument" == -- ]]; then
    words=yes
    continue
  elif [[ "$words" == yes ]] ||
    [[ "$command" == exec && ${#rest[@]} -gt 0 && "$argument" != --dry-run ]]; then
    rest+=("$argument")
    continue
  fi
  case "$argument" in
    -h | --help) command=--help ;;
    --dry-run) dry_run=yes ;;
    --name=*) name=${argument#*=} ;;
    --zone=*) zone=${argument#*=} ;;
    --project=*) project=${argument#*=} ;;
    --type=*) type=${argument#*=} ;;
    --nfs=*) nfs=${argument#*=} ;;
    --bucket=*) bucket=${argument#*=} ;;
    --queued) queued=yes ;;
    --spot) spot=yes ;;
    --restarts=*) restarts=${argument#*=} ;;
    *) rest+=("$argument") ;;
  esac
done
case "$command" in
  -h | --help)
    usage
    exit 0
    ;;
  create | setup | doctor | exec | run | watch | status | logs | stop | delete) ;;
  *)
    usage >&2
    exit 1
    ;;
esac
[[ -n "$zone" ]] || refuse "no zone. Set --zone=ZONE or TPU_ZONE"
[[ "$restarts" =~ ^[0-9]+$ ]] || refuse "--restarts=$restarts is no number"
case "$type" in
  v6e-*) version="v2-alpha-tpuv6e" ;;
  v5litepod-*) version="v2-alpha-tpuv5-lite" ;;
  v5p-*) version="v2-alpha-tpuv5" ;;
  v4-* | v3-* | v2-*) version="tpu-ubuntu2204-base" ;;
  tpu7* | v7*)
    refuse "--type=$type: the Cloud TPU API does not serve TPU7x. Train on" \
      "GKE: launch/gke_tpu7x.yaml, docs/tpu.md"
    ;;
  *) refuse "--type=$type; expected v6e-N, v5litepod-N, v5p-N or v4-N" ;;
esac
bucket=${bucket%/}
[[ -z "$bucket" || "$bucket" =~ ^gs://[a-z0-9][a-z0-9._-]+$ ]] ||
  refuse "--bucket=$bucket; expected gs://NAME"
if [[ -n "$bucket" && ("$command" == run || "$command" == watch) &&
  " ${rest[*]-} " != *" --workdir="* ]]; then
  rest+=("--workdir=$bucket/runs/$name")
fi
[[ "$dry_run" == yes ]] || command -v gcloud >/dev/null ||
  refuse "gcloud is not installed. See cloud.google.com/sdk/docs/install"

where=("--zone=$zone")
[[ -z "$project" ]] || where+=("--project=$project")
tpu=(gcloud compute tpus tpu-vm)
queue=(gcloud compute tpus queued-resources)

# Runs a command line in the project's folder of hosts: `all` or a number.
on_hosts() {
  run "${tpu[@]}" ssh "$name" "${where[@]}" "--worker=$1" \
    "--command=cd signllm_jax && $2"
}

# State of the TPU VM; MISSING where there is none, UNKNOWN without an answer.
state() {
  local said
  if said=$("${tpu[@]}" describe "$name" "${where[@]}" \
    '--format=value(state)' 2>&1); then
    echo "$said" | tail -n 1
  elif [[ "$said" == *NOT_FOUND* || "$said" == *"not found"* ]]; then
    echo MISSING
  else
    echo "$said" >&2
    echo UNKNOWN
  fi
}

# Makes the bucket in the region of the zone, where it is missing.
make_bucket() {
  local region=${zone%-*}
  if [[ "$dry_run" == yes ]]; then
    echo "# where it is missing:"
  elif gcloud storage buckets describe "$bucket" >/dev/null 2>&1; then
    return
  fi
  run gcloud storage buckets create "$bucket" "--location=$region" \
    ${project:+"--project=$project"} --uniform-bucket-level-access
}

create() {
  [[ -z "$bucket" ]] || make_bucket || return
  local flags=("${where[@]}" "--accelerator-type=$type") found
  [[ "$spot" == no ]] || flags+=(--spot)
  if [[ "$queued" == yes ]]; then
    run "${queue[@]}" create "$name" "--node-id=$name" \
      "--runtime-version=$version" "${flags[@]}" || return
  else
    run "${tpu[@]}" create "$name" "--version=$version" "${flags[@]}" || return
  fi
  if [[ "$dry_run" == yes ]]; then
    run "${tpu[@]}" describe "$name" "${where[@]}" '--format=value(state)'
    return
  fi
  until [[ "$(state)" == READY ]]; do
    if [[ "$queued" == yes ]]; then
      found=$("${queue[@]}" describe "$name" "${where[@]}" \
        '--format=value(state.state)') || true
      case "$found" in
        FAILED | SUSPENDED)
          echo "the queued resource is $found" >&2
          return 1
          ;;
      esac
    fi
    echo "waiting for $name" >&2
    sleep "$poll"
  done
}

setup() {
  local archive=signllm_jax.tar.gz
  run git archive --format=tar.gz "--output=$archive" HEAD &&
    run "${tpu[@]}" scp "$archive" "$name:$archive" "${where[@]}" \
      --worker=all &&
    run "${tpu[@]}" ssh "$name" "${where[@]}" --worker=all \
      "--command=mkdir -p signllm_jax && tar -xzf $archive -C signllm_jax" &&
    run rm -f "$archive" &&
    on_hosts all "launch/tpu_worker.sh setup${nfs:+ $(quote "$nfs")}"
}

start() {
  on_hosts all "launch/tpu_worker.sh start $(quote ${rest[@]+"${rest[@]}"})"
}

delete() {
  if [[ "$queued" == yes ]]; then
    run "${queue[@]}" delete "$name" "${where[@]}" --force --quiet
  else
    run "${tpu[@]}" delete "$name" "${where[@]}" --quiet
  fi
}

# One restart less to spend.
count_restart() {
  ((restarts-- > 0)) || refuse "no restarts left"
  echo "$1; starting again" >&2
}

# Looks once; returns 0 when the training is done.
look() {
  local found said code=0
  found=$(state)
  case "$found" in
    READY)
      said=$(on_hosts all "launch/tpu_worker.sh status") || code=$?
      if ((code == 255)); then # ssh's own: no connection, no answer
        return 1
      elif ((code)); then
        count_restart "a host is not set up"
        setup && start || echo "not all of it worked" >&2
      elif grep -q '^running' <<<"$said"; then
        return 1
      elif grep -Eq '^exit (1|65|66)$' <<<"$said"; then
        # Another try would end the same way.
        echo "$said" >&2
        exit "$(sed -nE 's/^exit (1|65|66)$/\1/p' <<<"$said" | head -n 1)"
      elif grep -q '^exit 0$' <<<"$said" &&
        ! grep -Eq '^(exit [1-9]|idle)' <<<"$said"; then
        return 0
      else
        count_restart "$(sort -u <<<"$said" | tr '\n' ' ')"
        on_hosts all "launch/tpu_worker.sh stop" && start ||
          echo "not all of it worked" >&2
      fi
      ;;
    PREEMPTED | TERMINATED | STOPPED | SUSPENDED | FAILED | MISSING)
      count_restart "the TPU VM is $found"
      # A queued resource outlives its node, and its name stays taken.
      if [[ "$found" != MISSING || "$queued" == yes ]]; then
        delete || echo "nothing was deleted" >&2
      fi
      # Left to the next look: it finds what is still missing.
      create && setup && start || echo "not all of it worked" >&2
      ;;
  esac
  return 1
}

watch() {
  if [[ "$dry_run" == yes ]]; then
    run "${tpu[@]}" describe "$name" "${where[@]}" '--format=value(state)'
    on_hosts all "launch/tpu_worker.sh status"
    echo "# after a stop of the training:"
    on_hosts all "launch/tpu_worker.sh stop"
    start
    echo "# after a preemption:"
    delete
    create
    setup
    start
    return
  fi
  until look; do
    sleep "$poll"
  done
  echo "done. Delete the TPU VM: launch/tpu.sh delete" >&2
}

case "$command" in
  create) create ;;
  setup) setup ;;
  doctor)
    on_hosts all ".venv/bin/python -m signllm_jax.doctor --distributed=auto"
    ;;
  exec) on_hosts 0 "PATH=\$PWD/.venv/bin:\$PATH && $(quote ${rest[@]+"${rest[@]}"})" ;;
  run) start ;;
  watch) watch ;;
  status) on_hosts all "launch/tpu_worker.sh status" ;;
  logs) on_hosts 0 "launch/tpu_worker.sh log" ;;
  stop) on_hosts all "launch/tpu_worker.sh stop" ;;
  delete) delete ;;
esac

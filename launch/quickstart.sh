#!/usr/bin/env bash
# From nothing to signing: real records, a trained model, and a moving picture.
set -euo pipefail

if [[ "${1-}" == -h || "${1-}" == --help ]]; then
  cat <<'END'
usage: launch/quickstart.sh [--dry-run] [TRAINING FLAGS]

Sets up .venv (launch/setup.sh), builds the fingerspelling records into data/,
trains configs/quickstart.py into runs/quickstart, and draws four produced
sequences beside the true ones in runs/quickstart/dev.gif. Run it again to go
on where it stopped. Flags go to the training:
  launch/quickstart.sh --config.steps=100

  --dry-run   print the commands, run nothing
END
  exit 0
fi

cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=/dev/null
source launch/dry_run.bash
flags=()
for argument in "$@"; do
  if [[ "$argument" == --dry-run ]]; then
    dry_run=yes
  else
    flags+=("$argument")
  fi
done
run launch/setup.sh
SECONDS=0 # what follows is the main job
PATH="$PWD/.venv/bin:$PATH"
if [[ "$(uname)" == Linux ]]; then
  # Huge pages for the heap: training ran 1.2 times as fast on two CPU cores.
  export GLIBC_TUNABLES=glibc.malloc.hugetlb=1
fi
work=runs/quickstart
run python -m data_pipeline build --dataset=fingerspelling/asl --output=data
run python -m signllm_jax.train --config=configs/quickstart.py \
  "--workdir=$work" ${flags[@]+"${flags[@]}"}
run python -m signllm_jax.produce "--workdir=$work" --split=dev --count=4 \
  "--out=$work/dev.gif"
[[ "$dry_run" == no ]] || exit 0
echo "Done in $((SECONDS / 60)) min $((SECONDS % 60)) s. Look at $work/dev.gif, or:"
echo "  .venv/bin/python -m signllm_jax.produce --workdir=$work --text=hello \\"
echo "    --out=hello.gif"

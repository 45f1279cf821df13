#!/usr/bin/env bash
# From nothing to signing: real records, a trained model, and a moving picture.
set -euo pipefail

if [[ "${1-}" == -h || "${1-}" == --help ]]; then
  cat <<'END'
usage: launch/quickstart.sh [TRAINING FLAGS]

Sets up .venv (launch/setup.sh), builds the fingerspelling records into data/,
trains configs/quickstart.py into runs/quickstart, and draws four produced
sequences beside the true ones in runs/quickstart/dev.gif. Run it again to go
on where it stopped. Flags go to the training:
  launch/quickstart.sh --config.steps=100
END
  exit 0
fi

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
"$here/setup.sh"
SECONDS=0  # what follows is the main job
cd "$here/.."
PATH="$PWD/.venv/bin:$PATH"
if [[ "$(uname)" == Linux ]]; then
  # Huge pages for the heap: training ran 1.2 times as fast on two CPU cores.
  export GLIBC_TUNABLES=glibc.malloc.hugetlb=1
fi
run=runs/quickstart
python -m data_pipeline build --dataset=fingerspelling/asl --output=data
python -m signllm_jax.train --config=configs/quickstart.py --workdir="$run" "$@"
python -m signllm_jax.produce --workdir="$run" --split=dev --count=4 \
  --out="$run/dev.gif"
echo "Done in $((SECONDS / 60)) min $((SECONDS % 60)) s. Look at $run/dev.gif, or:"
echo "  .venv/bin/python -m signllm_jax.produce --workdir=$run --text=hello \\"
echo "    --out=hello.gif"

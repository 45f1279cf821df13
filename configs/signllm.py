"""SignLLM's sizes: 40M, 120M and 1B parameters a language.

python -m signllm_jax.train --config=configs/signllm.py:gsl-1b --dry-run \
    --devices=64 --config.mesh.fsdp=64

prints parameters, shapes and memory a device on 64 simulated devices. Without
--dry-run and --devices it trains.
"""

import dataclasses

from signllm_jax import config, config_files
from signllm_jax.core import errors

# The paper gives the numbers of parameters and the layers of 40M; the other
# values are ours.
SIZES = {
  "40m": {"encoder_layers": 2, "decoder_layers": 2, "width": 816, "heads": 8},
  "120m": {"encoder_layers": 4, "decoder_layers": 4, "width": 1024, "heads": 8},
  "1b": {"encoder_layers": 8, "decoder_layers": 9, "width": 2048, "heads": 16},
}


def get_config(which: str = "asl-40m") -> config.Experiment:
  """A language and a size, e.g. `gsl-120m`; parameters within 5 % of the size.

  Not trained yet, so no score is claimed. Memory of 1b on ASL fingerspelling
  (clips of 96 frames), by XLA's CPU plan: 2.6 GiB a device on 8 (fsdp=8,
  batches of 32), 0.9 GiB on 64 (fsdp=64, batches of 64).
  """
  code, _, size = which.rpartition("-")
  if size not in SIZES:
    raise errors.UsageError(
      f"--config=configs/signllm.py:{which}",
      expected="LANGUAGE-SIZE with one of " + ", ".join(SIZES),
    )
  experiment = config_files.load(f"base:{code}")
  experiment.name = which
  shape = SIZES[size]
  experiment.model = dataclasses.replace(
    experiment.model,
    **shape,
    feed_forward=4 * shape["width"],
    compute_dtype="bfloat16",
    remat=size == "1b",
    scan=size != "40m",
  )
  experiment.optim.learning_rate = 3e-4 if size != "1b" else 1e-4
  return experiment

"""Turkish Sign Language (AUTSL).

  python -m data_pipeline build --dataset=prompt2sign/tsl \
    --input=FOLDER_OF_SKELS --output=data
  python -m signllm_jax.train --config=configs/tsl.py --workdir=runs/tsl
"""

from configs import base
from signllm_jax import config


def get_config() -> config.Experiment:
  """Not yet trained on the whole corpus, so no score is claimed."""
  return base.single_language("TSL")

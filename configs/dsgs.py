"""Swiss German Sign Language (SignSuisse).

  python -m data_pipeline build --dataset=prompt2sign/dsgs \
    --input=FOLDER_OF_SKELS --output=data
  python -m signllm_jax.train --config=configs/dsgs.py --workdir=runs/dsgs
"""

from configs import base
from signllm_jax import config


def get_config() -> config.Experiment:
  """Not yet trained on the whole corpus, so no score is claimed."""
  return base.single_language("DSGS")

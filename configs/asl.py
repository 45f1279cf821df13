"""American Sign Language (How2Sign).

  python -m data_pipeline build --dataset=prompt2sign/asl \
    --input=FOLDER_OF_SKELS --output=data
  python -m signllm_jax.train --config=configs/asl.py
"""

from signllm_jax import config, config_files


def get_config() -> config.Experiment:
  """Not yet trained on the whole corpus, so no score is claimed."""
  return config_files.load("base:ASL")

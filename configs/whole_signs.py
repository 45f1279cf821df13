"""Signs that people repeat, from recordings of MediaPipe's landmarks.

  python -m data_pipeline build --dataset=prompt2sign/asl \
    --input=landmarks.npz --fps=15 --size=640x480 --output=data
  python -m signllm_jax.train --config=configs/whole_signs.py

The build takes two minutes (2,209 recordings of 20 frames), training a few
minutes on two CPU cores. `configs/whole_signs_flow.py` trains the generative
decoder, which signs each text in a new way.
"""

from signllm_jax import config, config_files


def get_config() -> config.Experiment:
  """`configs/asl.py` at width 192, for short clips of single signs.

  The regression decoder learns the mean of a sign's recordings: half of their
  motion, and every run alike.
  """
  experiment = config_files.load("asl")
  experiment.name = "whole_signs"
  experiment.steps = 3000
  experiment.data.bucket = 20
  experiment.model.width = 192
  experiment.model.feed_forward = 768
  return experiment

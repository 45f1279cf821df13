"""Signs that people repeat, signed a little differently each time.

python -m signllm_jax.train --config=configs/whole_signs_flow.py

The data are those of `configs/whole_signs.py`; training takes a quarter of an
hour on two CPU cores (docs/signing.md has the figures).
"""

from signllm_jax import config, config_files


def get_config() -> config.Experiment:
  """`configs/whole_signs.py` with the generative decoder."""
  experiment = config_files.load("whole_signs")
  experiment.name = "whole_signs_flow"
  experiment.steps = 2500
  experiment.model.decoder = "flow"
  experiment.model.decoder_layers = 4
  experiment.model.dropout = 0.0
  experiment.model.bones = "fixed"
  experiment.flow.temperature = 1.2
  experiment.loss.counter_weight = 1.0  # these clips are all of one length
  experiment.optim.kind = "muon"
  experiment.optim.learning_rate = 2e-3
  experiment.optim.ema = 0.999
  experiment.evaluate.every = experiment.checkpoint.every = 1250
  return experiment

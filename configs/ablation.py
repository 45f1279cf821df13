"""The base that the paper's studies vary: `python -m signllm_jax.ablate`.

python -m data_pipeline build --dataset=fingerspelling/asl --output=data
python -m signllm_jax.ablate --config=configs/ablation.py \
    --study=efficiency --workdir=runs/efficiency
"""

from signllm_jax import config, config_files


def get_config() -> config.Experiment:
  """The quick start's data and size, PT's squared error and inputs.

  The decoder reads the frames before, so that noise and future prediction have
  something to act on; the learnt durations stay.
  """
  experiment = config_files.load("quickstart")
  experiment.name = "ablation"
  experiment.steps = 2000
  experiment.model.just_counter = False
  experiment.loss = config.Loss(
    kind="mse", counter_weight=10.0, counter_unit="frames"
  )
  experiment.evaluate.every = experiment.checkpoint.every = 100
  return experiment

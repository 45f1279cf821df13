"""Base of the studies of the paper, for `python -m signllm_jax.ablate`.

python -m data_pipeline build --dataset=fingerspelling/asl --output=data
python -m signllm_jax.ablate --config=configs/ablation.py \
    --study=efficiency --workdir=runs/efficiency
"""

from signllm_jax import config, config_files


def get_config() -> config.Experiment:
  """Data and size of the quick start with the squared error and inputs of PT.

  The decoder reads the previous frames, which noise and future prediction act
  on; durations are learnt.
  """
  experiment = config_files.load("quickstart")
  experiment.name = "ablation"
  experiment.steps = 2000
  experiment.optim.kind = "adam"
  experiment.model.just_counter = False
  experiment.loss = config.Loss(
    kind="mse", counter_weight=10.0, counter_unit="frames"
  )
  experiment.evaluate.every = experiment.checkpoint.every = 100
  return experiment

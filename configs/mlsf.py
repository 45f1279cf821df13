"""MLSF: four sign languages, a group of parameters each, on two CPU cores.

for alphabet in asl gsl dsgs tsl; do
  python -m data_pipeline build --dataset=fingerspelling/$alphabet --output=data
done
python -m signllm_jax.train --config=configs/mlsf.py
"""

from signllm_jax import config, config_files

LANGUAGES = ("ASL", "GSL", "DSGS", "TSL")


def get_config() -> config.Experiment:
  """The quick start's model four times; batches of 8 words a language.

  Measured on two CPU cores, seed 0, in 21 min 11 s in all: DTW-MJE of 512
  dev words 5.4 % (ASL), 7.1 % (GSL), 8.0 % (DSGS) and 11.7 % (TSL) of the mean
  pose's; motion 0.96 to 0.97, length 1.00 to 1.01 of the true.
  """
  experiment = config_files.load("quickstart")
  experiment.name, experiment.task = "mlsf", "mlsf"
  experiment.data.language = ",".join(LANGUAGES)
  experiment.data.folder = ",".join(
    f"data/fingerspelling/{code.lower()}/1.0.0" for code in LANGUAGES
  )
  experiment.data.batch_size = 8 * len(LANGUAGES)
  experiment.steps = 8000
  experiment.optim.kind = "adam"
  experiment.evaluate.every = experiment.checkpoint.every = 4000
  return experiment

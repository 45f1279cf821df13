"""Four sign languages in one model (Text2LangGloss), on two CPU cores.

for alphabet in asl gsl dsgs tsl; do
  python -m data_pipeline build --dataset=fingerspelling/$alphabet --output=data
done
python -m signllm_jax.train --config=configs/text2langgloss.py \
    --workdir=runs/text2langgloss
python -m signllm_jax.produce --workdir=runs/text2langgloss --language=GSL \
    --text=wetter --out=wetter.gif
"""

from configs import mlsf
from signllm_jax import config


def get_config() -> config.Experiment:
  """The quick start's shape, with a decoder of glosses between text and pose.

  Sources are spelt: of the words only the languages' marks occur often enough
  to be listed.

  Measured on two CPU cores, seed 0, after 6,000 steps of a schedule of as many
  (18 min 55 s beside other work): DTW-MJE of 512 dev words 7.0 % (ASL), 8.2 %
  (GSL), 10.0 % (DSGS) and 12.0 % (TSL) of the mean pose's; length 1.00; motion
  1.41, 1.29, 1.47 and 0.97 of the true, so three of them tremble.
  """
  experiment = mlsf.get_config()
  experiment.name = experiment.method = "text2langgloss"
  experiment.data.tokens, experiment.data.min_count = "words+characters", 1000
  experiment.gloss = config.Gloss(label_smoothing=0.0)
  return experiment

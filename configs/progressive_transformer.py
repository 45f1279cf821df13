"""The Progressive Transformer's published shape and loss, for comparisons.

15,427,584 parameters with PHOENIX14T's 1,089 glosses. Saunders et al., ECCV
2020. Decoding is free running: it starts from a frame of zeros, not from the
true first frame.

  python -m signllm_jax.train --config=configs/progressive_transformer.py \
    --config.data.folder=FOLDER --workdir=runs/pt
"""

from signllm_jax import config


def get_config() -> config.Experiment:
  """Shape, noise, plateau schedule and constants of PT."""
  return config.Experiment(
    name="progressive_transformer",
    steps=100_000,
    data=config.Data(
      folder="data/prompt2sign/gsl/1.0.0",
      language="GSL",
      source="gloss",
      batch_size=8,
    ),
    model=config.Model(learnt_start=False, visibility=False, normalize=False),
    loss=config.Loss(kind="mse", counter_weight=1.0),
    augment=config.Augment(noise=5.0),
    optim=config.Optim(schedule="plateau", warmup_steps=0),
    evaluate=config.Evaluate(every=2000),
    checkpoint=config.Checkpoint(every=2000),
  )

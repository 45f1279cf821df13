"""Base of the configurations of one language, e.g. configs/asl.py."""

from signllm_jax import config
from signllm_jax.core import languages


def get_config(code: str) -> config.Experiment:
  """Text to pose in one language, on records of `prompt2sign/<code>`.

  15 M parameters (the Progressive Transformer's shape), our loss, input code
  and normalisation; `configs/progressive_transformer.py` has PT's own.

  `alignment` gives every source token a duration and places frames among the
  tokens in their order. Spelling and single signs keep that order. The signs of
  a sentence follow its glosses, not its words: there the order is an
  approximation, and `--config.model.alignment=False` leaves it out. Which is
  better on sentences has not been measured.
  """
  language = languages.get(code)
  return config.Experiment(
    name=language.config_name,
    steps=20_000,
    data=config.Data(
      folder=f"data/prompt2sign/{language.config_name}/1.0.0",
      language=language.code,
    ),
    model=config.Model(
      scale_embeddings=True, just_counter=True, alignment=True
    ),
    loss=config.Loss(kind="l1", counter_weight=10.0, counter_unit="frames"),
    augment=config.Augment(noise=0.0),
    optim=config.Optim(learning_rate=5e-4, clip_norm=1.0),
    evaluate=config.Evaluate(every=1000),
    checkpoint=config.Checkpoint(every=1000),
  )

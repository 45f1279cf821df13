"""Text to gloss: the first half of Text2LangGloss, trained alone.

python -m signllm_jax.train --config=configs/text_to_gloss.py \
    --config.data.folder=FOLDER

FOLDER holds train.text and train.gloss, line by line, and dev.text and
dev.gloss. For several languages in one model separate folders and codes by
commas,
`--config.data.folder=FOLDER,OTHER --config.data.language=GSL,ASL`.
"""

from signllm_jax import config


def get_config() -> config.Experiment:
  """4.1 M parameters, for 7,000 sentences of weather forecasts.

  Measured on all 519 dev sentences of PHOENIX14T, glosses cleaned, on one core
  of an Intel Xeon with other work beside, 20 minutes of processor time a model:
  three models together (`evaluate --ensemble`) have BLEU-4 24.5 [23.8, 25.2],
  mean of three such groups of seeds; one model alone has 23.1 [22.7, 23.5],
  mean of nine seeds (length penalty 1).
  """
  return config.Experiment(
    name="text_to_gloss",
    task="text_to_gloss",
    steps=4000,
    data=config.Data(
      language="GSL",
      clean_glosses="GSL",
      tokens="words+characters",
      min_count=2,
      batch_size=12,
      bucket=8,
      pack=104,
      joined=0.67,
    ),
    model=config.Model(
      encoder_layers=2,
      decoder_layers=2,
      width=256,
      feed_forward=512,
      dropout=0.3,
      scale_embeddings=True,
      affixes=True,
    ),
    gloss=config.Gloss(
      source_dropout=0.1, token_dropout=0.1, beam=8, length_penalty=2.0
    ),
    optim=config.Optim(
      learning_rate=1.5e-3,
      warmup_steps=200,
      beta2=0.98,
      clip_norm=1.0,
      ema=0.998,
    ),
    evaluate=config.Evaluate(every=2000),
    checkpoint=config.Checkpoint(every=1000),
  )

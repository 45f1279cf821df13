"""The type of a batch on the devices."""

import jax

Batch = dict[str, jax.Array]
"""Arrays by name, as `loader.PoseBatches` and `text_gloss_corpus` make them.

B rows, T frames, S source tokens, G gloss tokens; all but `source` and `length`
only where the task has them:

  source    [B, S] int32, token ids, PAD after them
  frames    [B, T, 150] float32
  valid     [B, T, 50] bool, joints that are present
  length    [B] int32, frames or source tokens; 0 in empty rows
  gloss     [B, G] int32, ids without </s>, PAD after them
  example   [B] int32, numbers of the training samples
  language  [B] int32, where languages share a model
  weight    [B] float32, of rows that `rl.priority` drew
"""

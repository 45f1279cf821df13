"""The type of a batch on the devices."""

import jax

Batch = dict[str, jax.Array]
"""Arrays by name, of `loader.PoseBatches` or `TextGlossBatches`.

B rows, T frames of J joints and C numbers, S source tokens, G gloss tokens; all
but `source` and `length` only where the task has them:

  source    [B, S] int32, token ids with </s>, PAD after them
  frames    [B, T, C] float32, in canonical units
  valid     [B, T, J] bool, joints that are present
  length    [B] int32, frames, in text to gloss source tokens; 0 in empty rows
  gloss     [B, G] int32, ids without </s>, in text to gloss with it; PAD after
  example   [B] int32, numbers of the training samples
  language  [B] int32, where languages share a model
  read      [B, S'] int32, ids of the texts in the vocabulary of `rl.reader`
  weight    [B] float32, of rows that `rl.priority` drew
"""

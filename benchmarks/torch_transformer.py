"""The Progressive Transformer's shape as PyTorch modules, to compare with.

Pre-norm encoder and decoder of `configs/progressive_transformer.py`, with two
ways to generate; `torch_step` trains it. Dim letters as
in `signllm_jax/models/layers.py`.

Two forms are measured. "eager" is what PT runs and what is usually written:
attention by two matrix products, masks and a softmax, Adam as it comes. "tuned"
takes what PyTorch has besides: its fused attention and its fused Adam.
"""

import math
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from signllm_jax import config as config_lib
from signllm_jax.models import text_to_pose

FRAME = 151  # numbers of a frame with its counter


class Attention(nn.Module):
  """Multi-head attention."""

  def __init__(self, config: config_lib.Model, tuned: bool):
    super().__init__()
    self.query = nn.Linear(config.width, config.width)
    self.memory = nn.Linear(config.width, 2 * config.width)
    self.out = nn.Linear(config.width, config.width)
    self.heads, self.tuned = config.heads, tuned
    self.dropout = nn.Dropout(config.dropout)

  def split(self, x: torch.Tensor) -> torch.Tensor:
    """[B, T, D] -> [B, N, T, H]."""
    return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)

  def project(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Keys and values [B, N, S, H] of [B, S, D]."""
    pairs = self.memory(x).unflatten(-1, (self.heads, 2, -1))  # [B, S, N, 2, H]
    keys, values = pairs.transpose(1, 2).unbind(3)
    return keys, values

  def forward(
    self,
    x: torch.Tensor,
    memory: tuple[torch.Tensor, torch.Tensor],
    mask: torch.Tensor | None,
  ) -> torch.Tensor:
    """[B, T, D]; the mask is True where attention may go."""
    query, (keys, values) = self.split(self.query(x)), memory
    if self.tuned:
      rate = self.dropout.p if self.training else 0.0
      mixed = functional.scaled_dot_product_attention(
        query, keys, values, attn_mask=mask, dropout_p=rate
      )
    else:
      scores = query @ keys.transpose(2, 3) / math.sqrt(query.shape[-1])
      if mask is not None:
        scores = scores.masked_fill(~mask, float("-inf"))
      mixed = self.dropout(torch.softmax(scores, -1)) @ values
    return self.out(mixed.transpose(1, 2).flatten(2))


class FeedForward(nn.Sequential):
  """Two linear maps."""

  def __init__(self, config: config_lib.Model):
    super().__init__(
      nn.Linear(config.width, config.feed_forward),
      nn.ReLU(),
      nn.Dropout(config.dropout),
      nn.Linear(config.feed_forward, config.width),
    )


class EncoderLayer(nn.Module):
  """Self-attention and feed-forward."""

  def __init__(self, config: config_lib.Model, tuned: bool):
    super().__init__()
    self.norms = _norms(config, 2)
    self.attention = Attention(config, tuned)
    self.feed_forward = FeedForward(config)
    self.dropout = nn.Dropout(config.dropout)

  def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """[B, S, D] -> [B, S, D]."""
    h = self.norms[0](x)
    x = x + self.dropout(self.attention(h, self.attention.project(h), mask))
    return x + self.dropout(self.feed_forward(self.norms[1](x)))


class DecoderLayer(nn.Module):
  """Causal self-attention, cross-attention and feed-forward."""

  def __init__(self, config: config_lib.Model, tuned: bool):
    super().__init__()
    self.norms = _norms(config, 3)
    self.self_attention = Attention(config, tuned)
    self.cross_attention = Attention(config, tuned)
    self.feed_forward = FeedForward(config)
    self.dropout = nn.Dropout(config.dropout)

  def forward(self, x, causal, memory, memory_mask, past=None, at=0):
    """[B, T, D]; or one frame [B, 1, D], index `at`, with its past.

    Args:
      x: input.
      causal: [T, T], True where a frame may be attended to; None with a past.
      memory: keys and values of the source.
      memory_mask: [B, 1, 1, S].
      past: keys and values [B, N, limit, H], which are filled.
      at: index of the frame.
    """
    h = self.norms[0](x)
    own = self.self_attention.project(h)
    if past is not None:
      for kept, new in zip(past, own, strict=True):
        kept[:, :, at : at + 1] = new
      own = tuple(kept[:, :, : at + 1] for kept in past)
    x = x + self.dropout(self.self_attention(h, own, causal))
    h = self.cross_attention(self.norms[1](x), memory, memory_mask)
    x = x + self.dropout(h)
    return x + self.dropout(self.feed_forward(self.norms[2](x)))


class Transformer(nn.Module):
  """Text or gloss in, frames out."""

  def __init__(self, config: config_lib.Model, vocabulary: int, tuned: bool):
    """Builds the model.

    Args:
      config: its shape.
      vocabulary: number of source tokens.
      tuned: with PyTorch's fused attention.
    """
    super().__init__()
    self.embedding = nn.Embedding(vocabulary, config.width)
    self.encoder = nn.ModuleList(
      EncoderLayer(config, tuned) for _ in range(config.encoder_layers)
    )
    self.encoder_norm = nn.LayerNorm(config.width, eps=1e-6)
    self.frame_in = nn.Linear(FRAME, config.width)
    self.decoder = nn.ModuleList(
      DecoderLayer(config, tuned) for _ in range(config.decoder_layers)
    )
    self.decoder_norm = nn.LayerNorm(config.width, eps=1e-6)
    self.frame_out = nn.Linear(config.width, FRAME, bias=False)
    self.dropout = nn.Dropout(config.dropout)
    self.register_buffer("positions", _sinusoids(1000, config.width))

  def encode(self, ids: torch.Tensor):
    """Keys and values of the source [B, S], a layer each, and its mask."""
    mask = (ids != 0)[:, None, None]
    x = self.dropout(self.embedding(ids) + self.positions[: ids.shape[1]])
    for layer in self.encoder:
      x = layer(x, mask)
    x = self.encoder_norm(x)
    return [layer.cross_attention.project(x) for layer in self.decoder], mask

  def decode(self, frames: torch.Tensor, memories, mask: torch.Tensor):
    """The frame after each of [B, T, 151]."""
    t = frames.shape[1]
    causal = torch.ones(t, t, dtype=torch.bool).tril()
    x = self.dropout(self.frame_in(frames) + self.positions[:t])
    for layer, memory in zip(self.decoder, memories, strict=True):
      x = layer(x, causal, memory, mask)
    return self.frame_out(self.decoder_norm(x))

  def forward(self, ids: torch.Tensor, frames: torch.Tensor) -> torch.Tensor:
    """Teacher-forced: ids [B, S] and inputs [B, T, 151] -> [B, T, 151]."""
    return self.decode(frames, *self.encode(ids))

  @torch.inference_mode()
  def recompute(self, ids: torch.Tensor, frames: int) -> torch.Tensor:
    """Generates [B, T, 151]; each frame computes all before it again."""
    source = self.encode(ids)
    made = torch.zeros(len(ids), 1, FRAME)
    for _ in range(frames):
      made = torch.cat([made, self.decode(made, *source)[:, -1:]], 1)
    return made[:, 1:]

  @torch.inference_mode()
  def cached(self, ids: torch.Tensor, frames: int) -> torch.Tensor:
    """Generates [B, T, 151] with keys and values kept."""
    memories, mask = self.encode(ids)
    shape = memories[0][0].shape
    pasts = [
      [torch.zeros(*shape[:2], frames, shape[3]) for _ in range(2)]
      for _ in self.decoder
    ]
    frame, made = torch.zeros(len(ids), 1, FRAME), []
    for at in range(frames):
      x = self.frame_in(frame) + self.positions[at]
      for layer, memory, past in zip(
        self.decoder, memories, pasts, strict=True
      ):
        x = layer(x, None, memory, mask, past, at)
      frame = self.frame_out(self.decoder_norm(x))
      made.append(frame)
    return torch.cat(made, 1)


@torch.no_grad()
def load(model: Transformer, ours: text_to_pose.TextToPose) -> None:
  """Copies our parameters, so that both compute the same."""

  def copy(theirs: Any, values: Any) -> None:
    theirs.copy_(torch.from_numpy(np.array(values[...])))

  def linear(theirs: nn.Linear, layer: Any) -> None:
    copy(theirs.weight, layer.kernel[...].T)
    if layer.bias is not None:
      copy(theirs.bias, layer.bias)

  def norm(theirs: nn.LayerNorm, layer: Any) -> None:
    copy(theirs.weight, layer.scale)
    copy(theirs.bias, layer.bias)

  def attention(theirs: Attention, layer: Any) -> None:
    linear(theirs.query, layer.query)
    linear(theirs.memory, layer.memory)
    linear(theirs.out, layer.out)

  def feed_forward(theirs: Any, layer: Any) -> None:
    linear(theirs[0], layer.up)
    linear(theirs[3], layer.down)

  copy(model.embedding.weight, ours.encoder.embedding)
  norm(model.encoder_norm, ours.encoder.norm)
  for theirs, layer in zip(model.encoder, ours.encoder.layers, strict=True):
    norm(theirs.norms[0], layer.attention_norm)
    norm(theirs.norms[1], layer.feed_forward_norm)
    attention(theirs.attention, layer.attention)
    feed_forward(theirs.feed_forward, layer.feed_forward)
  for theirs, layer in zip(model.decoder, ours.decoder, strict=True):
    norm(theirs.norms[0], layer.self_norm)
    norm(theirs.norms[1], layer.cross_norm)
    norm(theirs.norms[2], layer.feed_forward_norm)
    attention(theirs.self_attention, layer.self_attention)
    attention(theirs.cross_attention, layer.cross_attention)
    feed_forward(theirs.feed_forward, layer.feed_forward)
  linear(model.frame_in, ours.frame_in)
  norm(model.decoder_norm, ours.decoder_norm)
  linear(model.frame_out, ours.frame_out)


def _norms(config: config_lib.Model, count: int) -> nn.ModuleList:
  return nn.ModuleList(
    nn.LayerNorm(config.width, eps=1e-6) for _ in range(count)
  )


def _sinusoids(length: int, width: int) -> torch.Tensor:
  position = torch.arange(length)[:, None]
  step = torch.exp(torch.arange(0, width, 2) * (-math.log(10000) / width))
  angle = position * step
  return torch.stack([angle.sin(), angle.cos()], -1).flatten(1)

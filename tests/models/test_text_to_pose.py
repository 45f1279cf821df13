"""The base model against the published Progressive Transformer."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from helpers.paths import DATA

from configs import progressive_transformer
from signllm_jax import config
from signllm_jax.core.skeleton import PROMPT2SIGN50
from signllm_jax.models.text_to_pose import TextToPose

GOLDEN = DATA / "golden/progressive_transformer.npz"
needs_golden = pytest.mark.skipif(
  not GOLDEN.exists(), reason="../shared/data is not there"
)


# Compiled as a whole: op by op, each would be compiled on its own.
_apply = nnx.jit(lambda model, *inputs: model(*inputs).frames)
_encode = nnx.jit(lambda model, source: model.encode(source))
_step = nnx.jit(lambda model, *inputs: model.step(*inputs))


@nnx.jit
def _project_memory(model, source):
  return model.project_memory(*model.encode(source))


def _linear(layer, weights, name, bias=True):
  layer.kernel[...] = jnp.asarray(weights[f"{name}.weight"].T)
  if bias:
    layer.bias[...] = jnp.asarray(weights[f"{name}.bias"])


def _norm(layer, weights, name):
  layer.scale[...] = jnp.asarray(weights[f"{name}.weight"])
  layer.bias[...] = jnp.asarray(weights[f"{name}.bias"])


def _attention(layer, weights, name):
  _linear(layer.query, weights, f"{name}.q_layer")
  _linear(layer.out, weights, f"{name}.output_layer")

  def join(part):
    """Keys and values side by side, head by head."""
    pair = [weights[f"{name}.{x}_layer.{part}"].T for x in "kv"]
    heads = [x.reshape(*x.shape[:-1], layer.heads, -1) for x in pair]
    return jnp.asarray(np.stack(heads, -2).reshape(*pair[0].shape[:-1], -1))

  layer.memory.kernel[...] = join("weight")
  layer.memory.bias[...] = join("bias")


def _feed_forward(layer, weights, name):
  _norm(layer.feed_forward_norm, weights, f"{name}.feed_forward.layer_norm")
  pair = f"{name}.feed_forward.pwff_layer"
  _linear(layer.feed_forward.up, weights, f"{pair}.0")
  _linear(layer.feed_forward.down, weights, f"{pair}.3")


@pytest.fixture(scope="module")
def published():
  """Our model with PT's weights, and PT's inputs and outputs."""
  golden = dict(np.load(GOLDEN))
  weights = {
    name.removeprefix("weights/"): value
    for name, value in golden.items()
    if name.startswith("weights/")
  }
  shape = progressive_transformer.get_config().model
  shape.width, shape.feed_forward = 32, 64
  model = TextToPose(shape, 40, PROMPT2SIGN50, nnx.Rngs(0))
  model.encoder.embedding[...] = jnp.asarray(weights["src_embed.lut.weight"])
  _linear(model.frame_in, weights, "trg_embed")
  for i, layer in enumerate(model.encoder.layers):
    name = f"encoder.layers.{i}"
    _norm(layer.attention_norm, weights, f"{name}.layer_norm")
    _attention(layer.attention, weights, f"{name}.src_src_att")
    _feed_forward(layer, weights, name)
  for i, layer in enumerate(model.decoder):
    name = f"decoder.layers.{i}"
    _norm(layer.self_norm, weights, f"{name}.x_layer_norm")
    _norm(layer.cross_norm, weights, f"{name}.dec_layer_norm")
    _attention(layer.self_attention, weights, f"{name}.trg_trg_att")
    _attention(layer.cross_attention, weights, f"{name}.src_trg_att")
    _feed_forward(layer, weights, name)
  _norm(model.encoder.norm, weights, "encoder.layer_norm")
  _norm(model.decoder_norm, weights, "decoder.layer_norm")
  _linear(model.frame_out, weights, "decoder.output_layer", bias=False)
  mask = golden["source_mask"].reshape(golden["source"].shape)
  golden["source"] = np.where(mask, golden["source"], 0)
  golden["mask"] = mask
  return model, golden


@needs_golden
def test_one_pass_equals_the_published_model(published):
  model, golden = published
  encoded, _ = _encode(model, golden["source"])
  real = golden["mask"]
  np.testing.assert_allclose(
    np.asarray(encoded)[real], golden["encoder_output"][real], atol=1e-5
  )
  output = _apply(model, golden["source"], golden["frames"])
  np.testing.assert_allclose(output, golden["output"], atol=1e-5)


@needs_golden
def test_frame_by_frame_equals_the_published_model(published):
  model, golden = published
  source = _project_memory(model, golden["source"])
  frames = golden["frames"]
  caches = model.empty_cache(len(frames), limit=16)
  for t in range(frames.shape[1]):
    made, caches = _step(model, frames[:, t], jnp.int32(t), caches, source)
    np.testing.assert_allclose(made.frames, golden["output"][:, t], atol=1e-5)


def _count(shape: config.Model, vocabulary: int) -> int:
  model = nnx.eval_shape(
    lambda: TextToPose(shape, vocabulary, PROMPT2SIGN50, nnx.Rngs(0))
  )
  return sum(x.size for x in jax.tree.leaves(nnx.state(model, nnx.Param)))


def test_published_number_of_parameters():
  shape = progressive_transformer.get_config().model
  assert _count(shape, 1089) == 15_427_584


@pytest.mark.parametrize("alignment", [False, True])
@pytest.mark.parametrize("just_counter", [False, True])
def test_cache_equals_one_pass(alignment, just_counter):
  shape = config.Model(
    width=32,
    heads=2,
    feed_forward=48,
    activation="gelu",
    alignment=alignment,
    just_counter=just_counter,
  )
  model = TextToPose(shape, 12, PROMPT2SIGN50, nnx.Rngs(3))
  source = np.array([[4, 5, 6, 3], [7, 3, 0, 0]], np.int32)
  frames = jax.random.normal(jax.random.key(0), (2, 9, 151))
  whole = nnx.jit(lambda model, *inputs: model(*inputs))(model, source, frames)
  memory = _project_memory(model, source)
  caches = model.empty_cache(2, limit=9)
  for t in range(9):
    made, caches = _step(model, frames[:, t], jnp.int32(t), caches, memory)
    np.testing.assert_allclose(made.frames, whole.frames[:, t], atol=2e-5)
    np.testing.assert_allclose(made.visible, whole.visible[:, t], atol=2e-5)


def test_just_counter_sees_no_pose():
  shape = config.Model(width=32, heads=2, feed_forward=48, just_counter=True)
  model = TextToPose(shape, 12, PROMPT2SIGN50, nnx.Rngs(3))
  source = np.array([[4, 5, 6, 3]], np.int32)
  frames = jax.random.normal(jax.random.key(0), (1, 5, 151))
  moved = frames.at[..., :150].add(1.0)
  before = _apply(model, source, frames)
  np.testing.assert_array_equal(before, _apply(model, source, moved))
  counted = _apply(model, source, frames.at[..., 150].add(1.0))
  assert np.abs(before - counted).max() > 1e-3


def test_padding_of_the_source_changes_nothing():
  shape = config.Model(width=32, heads=2, feed_forward=48, alignment=True)
  model = TextToPose(shape, 12, PROMPT2SIGN50, nnx.Rngs(3))
  frames = jax.random.normal(jax.random.key(0), (1, 5, 151))
  short = _apply(model, np.array([[4, 5, 3]], np.int32), frames)
  long = _apply(model, np.array([[4, 5, 3, 0, 0, 0]], np.int32), frames)
  np.testing.assert_allclose(short, long, atol=1e-5)


def test_frames_see_only_the_past():
  shape = config.Model(width=32, heads=2, feed_forward=48)
  model = TextToPose(shape, 12, PROMPT2SIGN50, nnx.Rngs(3))
  source = np.array([[4, 5, 6, 3]], np.int32)
  frames = jax.random.normal(jax.random.key(0), (1, 6, 151))
  changed = frames.at[:, 4:].add(1.0)
  before = _apply(model, source, frames)
  after = _apply(model, source, changed)
  np.testing.assert_array_equal(before[:, :4], after[:, :4])
  assert np.abs(before[:, 4:] - after[:, 4:]).max() > 1e-3

"""A model as compiled programs, to run where this package is not.

The folder holds `encode.bin` and `step.bin`, made by `jax.export` (StableHLO
with JAX's promise to load it for six months and longer), and `model.json`.
Parameters are inside. For one text:

  state = encode(ids)                        # ids [1, S] int32
  pose, length, *state = step(*state)        # until length[0] > 0, or `limit`

pose [1, 50, 3] is the next frame; length [1] is 0 until the sequence ends.
`state` is a list of arrays that only the programs understand.
"""

import json
import os

import jax
import jax.export
import jax.numpy as jnp

from signllm_jax import data, decoding, errors, generate, skeleton
from signllm_jax.formats import atomic
from signllm_jax.models.text_to_pose import TextToPose

PLATFORMS = ("cpu", "cuda", "tpu")


def write(folder: str | os.PathLike, producer: generate.Producer) -> None:
  """Exports what signs a text in one language.

  Args:
    folder: to make; it must not exist.
    producer: of a model that reads text.

  Raises:
    UsageError: the folder is there, or the model writes a gloss first.
    StorageError: it cannot be written.
  """
  if os.path.lexists(folder):
    raise errors.UsageError(
      "exists already", path=folder, hint="Remove it, or name another --out"
    )
  model, limit, facts = producer.model, producer.limit, producer.facts
  merged = model.structure.merge(model.leaves)
  if not isinstance(merged, TextToPose):
    raise errors.UsageError(
      "a model that writes a gloss first cannot be exported as programs",
      expected="method text_to_pose or mlsf",
      hint="Export it as a model file: --out=NAME.safetensors",
    )
  length = data.round_up(facts.longest_source, data.SOURCE_MULTIPLE)
  ids = jax.ShapeDtypeStruct((1, length), jnp.int32)

  def begin(ids: jax.Array) -> tuple:
    source, state, _ = decoding.begin(model.structure, model.leaves, (ids,))
    empty = merged.empty_cache(1, limit)
    return source, state._replace(caches=empty)

  structure = jax.tree.structure(jax.eval_shape(begin, ids))

  @jax.jit
  def encode(ids: jax.Array) -> list[jax.Array]:
    return jax.tree.leaves(begin(ids))

  @jax.jit
  def step(*leaves: jax.Array) -> tuple[jax.Array, ...]:
    source, state = jax.tree.unflatten(structure, leaves)
    state, pose = decoding.step(merged, model.statistics, source, state)
    made = decoding.restore(pose, model.statistics)
    return made, state.length, *jax.tree.leaves((source, state))

  encoding = jax.export.export(encode, platforms=PLATFORMS)(ids)
  stepping = jax.export.export(step, platforms=PLATFORMS)(*encoding.out_avals)
  vocabulary = facts.vocabulary
  described = {
    "format": "signllm_jax programs 1",
    "fps": facts.fps,
    "limit": limit,
    "source_length": length,
    "tokens": vocabulary.tokens,
    "vocabulary": vocabulary.listed,
    "joints": skeleton.JOINT_NAMES,
    "platforms": PLATFORMS,
  }
  with atomic.new_folder(folder) as made:
    (made / "encode.bin").write_bytes(encoding.serialize())
    (made / "step.bin").write_bytes(stepping.serialize())
    text = json.dumps(described, ensure_ascii=False, indent=1)
    (made / "model.json").write_text(text + "\n", encoding="utf-8")

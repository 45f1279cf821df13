"""A model as compiled programs, to run where this package is not.

The folder holds programs made by `jax.export` (StableHLO with JAX's promise to
load it for six months and longer), and `model.json`. Parameters are inside. A
regression decoder has `encode.bin` and `step.bin`. For one text:

  state = encode(ids)                        # ids [1, S] int32
  pose, shown, length, *state = step(*state) # until length[0] > 0, or `limit`

pose [1, J, D] is the next frame, shown [1, J] its visible joints; length [1]
is 0 until the sequence ends. J and D are those of `skeleton` in `model.json`,
which names the joints too: 50 and 3 of prompt2sign50.
`state` is a list of arrays that only the programs understand.

A generative decoder has `sign.bin` instead:

  poses, shown, length = sign(ids, seed)     # seed [] uint32

poses [1, limit, J, D] and shown [1, limit, J] hold length[0] frames, or
`limit` if that is less.

A model that writes a gloss first has `gloss.bin` besides, and signs what that
found, or any other gloss:

  gloss = write(ids)                         # [1, G] int32, padded with 0
  state = encode(ids, gloss)                 # or sign(ids, gloss, seed)
"""

import json
import os
from collections.abc import Callable
from typing import Any

import jax
import jax.export
import jax.numpy as jnp

from signllm_jax.core import atomic_files, errors, gloss
from signllm_jax.data import batch_plan, loader
from signllm_jax.inference import (
  decoding,
  flow_sampling,
  flow_solver,
  gloss_first,
)
from signllm_jax.inference import producer as producer_lib

PLATFORMS = ("cpu", "cuda", "tpu")


def write(folder: str | os.PathLike, producer: producer_lib.Producer) -> None:
  """Exports a model that signs in one language.

  Args:
    folder: to make; it must not exist.
    producer: of the model.

  Raises:
    UsageError: the folder is there.
    StorageError: it cannot be written.
  """
  if os.path.lexists(folder):
    raise errors.UsageError(
      "exists already", path=folder, hint="Remove it, or name another --out"
    )
  programs = _programs(producer)
  described = json.dumps(_describe(producer), ensure_ascii=False, indent=1)
  with atomic_files.atomic_folder(folder) as part:
    for name, program in programs.items():
      (part / f"{name}.bin").write_bytes(program.serialize())
    (part / "model.json").write_text(described + "\n", encoding="utf-8")


def _programs(
  producer: producer_lib.Producer,
) -> dict[str, jax.export.Exported]:
  """By the names of their files."""
  programs = {}
  inputs: list[Any] = [
    jax.ShapeDtypeStruct((1, _source_length(producer)), jnp.int32)
  ]
  if isinstance(producer, gloss_first.Producer):
    programs["gloss"] = _export(producer.glosser.search, *inputs)
    inputs += programs["gloss"].out_avals

  if producer.solver is not None:
    sign = _sign_program(producer, producer.solver)
    programs["sign"] = _export(
      sign, *inputs, jax.ShapeDtypeStruct((), "uint32")
    )
    return programs
  return programs | _step_programs(producer, inputs)


def _sign_program(
  producer: producer_lib.Producer, solver: flow_solver.Solver
) -> Callable[..., tuple[jax.Array, ...]]:
  """The program of a generative decoder: (*inputs, seed) -> clip."""
  model, limit = producer.model, producer.limit

  def sign(*arguments: jax.Array) -> tuple[jax.Array, ...]:
    *inputs, seed = arguments
    zero = jnp.zeros(1, jnp.uint32)
    draws = {"seed": seed[None], "index": zero, "sample": zero}
    encoded = flow_sampling.encode(
      model.structure, model.leaves, tuple(inputs), draws
    )
    poses, shown = flow_sampling.sample(
      model.structure, model.leaves, model.statistics, encoded, limit, solver
    )
    return poses, shown, encoded.length

  return sign


def _step_programs(
  producer: producer_lib.Producer, inputs: list[Any]
) -> dict[str, jax.export.Exported]:
  """The two programs of a regression decoder."""
  model, limit = producer.model, producer.limit
  merged = model.structure.merge(model.leaves)
  programs = {}

  def begin(
    *inputs: jax.Array,
  ) -> tuple[decoding.Source, decoding.DecoderState]:
    source, state, _ = decoding.encode(model.structure, model.leaves, inputs)
    empty = merged.empty_cache(1, limit)
    return source, state._replace(caches=empty)

  structure = jax.tree.structure(jax.eval_shape(begin, *inputs))

  def encode(*inputs: jax.Array) -> list[jax.Array]:
    return jax.tree.leaves(begin(*inputs))

  def step(*leaves: jax.Array) -> tuple[jax.Array, ...]:
    source, state = jax.tree.unflatten(structure, leaves)
    state, pose, shown = decoding.decode_frame(
      merged, model.statistics, source, state
    )
    frame = decoding.restore(pose, shown, model.statistics, producer.skeleton)
    return frame, shown, state.length, *jax.tree.leaves((source, state))

  programs["encode"] = _export(encode, *inputs)
  programs["step"] = _export(step, *programs["encode"].out_avals)
  return programs


def _export(program: Callable[..., Any], *shapes: Any) -> jax.export.Exported:
  return jax.export.export(jax.jit(program), platforms=PLATFORMS)(*shapes)


def _source_length(producer: producer_lib.Producer) -> int:
  longest = producer.info.longest_source
  return batch_plan.round_up(longest, loader.SOURCE_MULTIPLE)


def _describe(producer: producer_lib.Producer) -> dict[str, Any]:
  """`model.json`."""
  vocabulary, before, written = producer.info.vocabulary, "", {}
  if isinstance(producer, gloss_first.Producer):
    assert producer.info.gloss_vocabulary is not None
    before = gloss.prepend_language("", producer.glosser.code)
    written = {"glosses": producer.info.gloss_vocabulary.entries}
  return {
    "format": "signllm_jax programs 2",
    "fps": producer.info.fps,
    "limit": producer.limit,
    "source_length": _source_length(producer),
    "tokens": vocabulary.unit,
    "vocabulary": vocabulary.entries,
    "before": before,  # every text
    **written,
    "skeleton": producer.skeleton.name,
    "joints": producer.skeleton.joints,
    "platforms": PLATFORMS,
  }

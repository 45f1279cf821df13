"""What the workers of a build on Apache Beam do: parts, then shards."""

import dataclasses
import os
import pickle
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec
import tensorflow_datasets as tfds
from tensorflow_datasets.core import example_serializer

from data_pipeline.building import (
  beam_input,
  checksums,
  held_out,
  record_store,
  shard_writer,
)
from data_pipeline.lifting import clip_lifting, lifted_folder
from signllm_jax.core import atomic_files, clips, errors
from signllm_jax.core import skeleton as skeleton_lib
from signllm_jax.data import records


@dataclasses.dataclass(frozen=True)
class Chunk:
  """Some clips of a split, and how their records are made.

  Attributes:
    split: of the clips.
    entries: sources of keypoints, or entries that `read` takes.
    skeleton: name of the skeleton of the records.
    record: makes name and record of a canonical clip.
    read: reads the canonical clip of an entry; None for keypoints.
    lifting: options, for keypoints.
    made_from: digest of the sources of each clip, by name.
    cargo: of clips of keypoints that the workers do not see, by name.
  """

  split: str
  entries: Sequence[Any]
  skeleton: str
  record: Callable[[clips.Clip], tuple[str, dict]]
  read: Callable[[Any], clips.Clip] | None = None
  lifting: lifted_folder.Options = lifted_folder.DEFAULT
  made_from: dict[str, str] = dataclasses.field(default_factory=dict)
  cargo: dict[str, beam_input.Cargo] = dataclasses.field(default_factory=dict)

  def results(self) -> Iterator[clip_lifting.Result]:
    """Reads and lifts the clips; yields each with its canonical clip."""
    if self.read is not None:
      for entry in self.entries:
        name = held_out.entry_name(entry)
        try:
          yield clip_lifting.Result(name, self.read(entry))
        except errors.DataError as error:
          yield clip_lifting.Result(name, fault=error)
      return
    read = [
      (source, beam_input.read(source, self.cargo.get(source.name)))
      for source in self.entries
    ]
    for result in clip_lifting.lift(read, self.lifting):
      if result.clip is None:
        yield result
        continue
      try:
        clip = clips.canonical(result.clip)
        yield dataclasses.replace(result, clip=clip)
      except errors.DataError as error:
        yield dataclasses.replace(result, fault=error)


def make_part(store: record_store.Store, ident: str) -> None:
  """Makes the records of a chunk and writes them as a part.

  Raises:
    DataError: the chunk is damaged.
    StorageError: it cannot be read, or the part not be written.
  """
  # Its content is what the caller named by its hash.
  chunk: Chunk = pickle.loads(store.read_hashed("todo", ident))
  features = records.features(skeleton_lib.get(chunk.skeleton))
  info: Any = features.get_serialized_info()
  serializer = example_serializer.ExampleSerializer(info)
  entries, parts, start = [], [], 0
  for result in chunk.results():
    fault, data = result.fault, b""
    if fault is None and result.clip is not None:
      try:
        _, record = chunk.record(result.clip)
        example: Any = features.encode_example(record)
        data = shard_writer.ordered(serializer.serialize_example(example))
      except errors.DataError as error:
        fault = error
    entries.append(
      record_store.Entry(
        chunk.split,
        result.name,
        chunk.made_from.get(result.name, ""),
        kept=result.clip is not None,
        fault=str(fault or ""),
        measured=result.measured and dataclasses.asdict(result.measured),
        part=ident,
        start=start,
        size=len(data),
      )
    )
    parts.append(data)
    start += len(data)
  store.write(b"".join(parts), "parts", f"{ident}.records")
  store.write(msgspec.json.encode(entries), "parts", f"{ident}.json")


def write_shard(store: record_store.Store, ident: str) -> None:
  """Writes a shard from the parts.

  Raises:
    DataError: its plan is damaged.
    StorageError: a part cannot be read, or the shard not be written.
  """
  data = store.read_hashed("plans", ident)
  plan = msgspec.json.decode(data, type=record_store.Plan)
  if plan.file_format == "tfrecord":
    quiet_tensorflow()
  writer = tfds.core.ExampleWriter(
    tfds.core.FileFormat.from_value(plan.file_format)
  )
  with atomic_files.atomic_write(store.path("shards", ident)) as temporary:
    writer.write(temporary, ((b"", data) for data in store.records(plan)))
    shard = record_store.Shard(
      ident, temporary.stat().st_size, checksums.sha256(temporary)
    )
  store.write(msgspec.json.encode(shard), "shards", f"{ident}.json")


def quiet_tensorflow() -> None:
  """Loads TensorFlow for writing: no log noise, and no hold on a GPU."""
  os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
  import tensorflow as tf  # here, so that other formats need none of it

  tf.config.set_visible_devices([], "GPU")

"""Dataset info that is looked up nowhere else."""

from typing import Any

import tensorflow_datasets as tfds


class LocalInfo(tfds.core.DatasetInfo):
  """The info of a data set that no public bucket has.

  TFDS would make an empty temporary folder for every builder, and ask its
  bucket for the counts of a build.
  """

  def initialize_from_bucket(self) -> None:
    """Reads nothing."""

  def set_license(self, text: str) -> None:
    """Replaces the terms that the files of a build state."""
    self.as_proto.redistribution_info.license = text


def make(builder: tfds.core.DatasetBuilder, **fields: Any) -> LocalInfo:
  """The info of a builder, with the texts that lie beside its module.

  Where tfds asks for pairs (`as_supervised`), they are text and frames.
  """
  metadata = builder.get_metadata()
  return LocalInfo(
    builder=builder,
    description=metadata.description,
    citation=metadata.citation,
    supervised_keys=("text", "frames"),
    **fields,
  )

"""Bad clips and files that are not read, reported after the good is done."""

from collections.abc import Mapping

from signllm_jax.core import errors


def raise_failed(
  failed: dict[str, errors.SignLLMError], unread: Mapping[str, str] = {}
) -> None:
  """Reports bad clips and files that are not read, after the good is done.

  Raises:
    DataError: names up to 20 bad clips and the fault of each, and likewise
      files that look like input.
  """
  lines = []
  for what, found in (
    ("bad clips were left out", failed),
    ("files look like input and are not read", unread),
  ):
    if found:
      each = [f"  {name}: {why}" for name, why in sorted(found.items())]
      more = [f"  and {len(each) - 20} more"] if len(each) > 20 else []
      lines += [f"{len(each)} {what}:", *each[:20], *more]
  if lines:
    raise errors.DataError("\n".join(lines))

"""Injects crashes for tests.

`SIGNLLM_CRASH_AT=<point>:<n>` ends the process at once when a point is
reached for the n-th time. The points, in the order of a save:

  save_started           nothing written
  arrays_committed       Orbax is done with the staged step
  manifest_half_written  half of the temporary manifest
  manifest_written       the staged step is whole, not committed
  object_uploaded        to a bucket; its step is not committed
  objects_uploaded       to a bucket, all of them; its step is not committed
  step_set_aside         an earlier save of the step made room for it
  step_published         committed, older steps not yet deleted
  old_deleted            one older step deleted
"""

import collections
import os

_reached: collections.Counter[str] = collections.Counter()


def point(name: str) -> None:
  """Ends the process without clean-up, if it must crash at this point."""
  _reached[name] += 1
  if os.environ.get("SIGNLLM_CRASH_AT") == f"{name}:{_reached[name]}":
    os._exit(137)  # as after SIGKILL

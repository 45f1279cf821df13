"""What an input path holds: clips of 2-D keypoints, in any of the forms.

Nothing big is read until a source is: finding lists folders and the names in
HDF5 files. Reading is one source at a time, so that a damaged clip costs
nothing but itself:

  for source, result in intake.read_each(intake.find(path)):
    if isinstance(result, errors.DataError): ...
"""

import collections
import concurrent.futures.process
import contextlib
import dataclasses
import itertools
import multiprocessing
import os
import pathlib
import signal
import threading
from collections.abc import Callable, Iterator, Sequence

from absl import logging

from data_pipeline.keypoints import sidecar_texts
from signllm_jax.core import clips, errors
from signllm_jax.formats import dwpose, frame_files, h5, openpose, pose

_SUFFIXES = {".pose": "pose", ".h5": "h5", ".hdf5": "h5"}
_FORMS = "OpenPose's or DWPose's frame files, .pose or .h5"
_FEW = 500  # clips that are read before other processes have started


@dataclasses.dataclass(frozen=True)
class Source:
  """One clip that can be read.

  Attributes:
    name: its name, unique among those found together.
    kind: openpose, dwpose, pose or h5.
    place: its frame files, or the file that holds it.
    text: what is signed, as it stands in clips.text; empty if unknown.
    gloss: its gloss, as it stands in clips.gloss; empty if there is none.
    fps: frames a second, where the form does not say.
    size: the picture's width and height, where the form does not say.
    member: the clip's name in its file, of kind h5.
  """

  name: str
  kind: str
  place: frame_files.FrameFiles | pathlib.Path
  text: str = ""
  gloss: str = ""
  fps: float = 25.0
  size: tuple[int, int] | None = None
  member: str = ""

  def read(self) -> clips.Keypoints:
    """The clip.

    Raises:
      DataError: it is damaged or not what it claims to be.
      StorageError: it cannot be read.
    """
    if isinstance(self.place, frame_files.FrameFiles):
      form = openpose if self.kind == "openpose" else dwpose
      found = form.read(self.place, fps=self.fps, size=self.size)
    elif self.kind == "pose":
      found = pose.read_keypoints(self.place)
    else:
      found = h5.read_clip(self.place, self.member, fps=self.fps)
    return dataclasses.replace(
      found,
      size=found.size or self.size,
      name=self.name,
      text=self.text,
      gloss=self.gloss,
    )


def find(
  path: str | os.PathLike,
  *,
  fps: float = 25.0,
  size: tuple[int, int] | None = None,
  report: Callable[[str], None] = logging.warning,
) -> list[Source]:
  """The clips of a file or a folder and the folders in it, by name.

  A folder may hold frame files (a folder a clip, or all in one), .pose or .h5
  files, but only one of these forms. Clips of the same name are told apart by
  their folder's or file's name put before it. If clips.files lies in the
  folder or beside it, its lines are names, and the same lines of clips.text
  and clips.gloss their texts and glosses, kept as they stand.

  Args:
    path: the file or folder.
    fps: frames a second, for forms that do not say.
    size: width and height of the picture, for forms that do not say.
    report: called with what the user should know: files that are no clips,
      names without a clip, clips without a name.

  Raises:
    DataError: there is nothing there, no keypoints, keypoints of several forms,
      or clips.text and clips.gloss do not go with clips.files.
    StorageError: a folder cannot be read.
  """
  path = pathlib.Path(path)
  if path.is_dir():
    found = _in_folder(path, report)
  elif path.is_file():
    found = _of_file(path)
  else:
    raise errors.DataError("no such file or folder", path=path, expected=_FORMS)
  count = collections.Counter(source.name for source in found)
  found = [
    source
    if count[source.name] == 1
    else dataclasses.replace(source, name=f"{_around(source)}-{source.name}")
    for source in found
  ]
  found.sort(key=lambda source: source.name)
  for one, other in itertools.pairwise(found):
    if one.name == other.name:
      raise errors.DataError(
        f"two clips named {one.name!r}", path=path, expected="each name once"
      )
  texts = sidecar_texts.read(path, {source.name for source in found}, report)
  return [
    dataclasses.replace(
      source, fps=fps, size=size, **texts.get(source.name, {})
    )
    for source in found
  ]


def _in_folder(root: pathlib.Path, report) -> list[Source]:
  found = collections.defaultdict(list)  # kind -> sources
  strange = []  # JSON files that are no frames
  skels = []
  for folder, names in frame_files.walk(root):
    json = {name for name in names if name.endswith(".json")}
    for form in (openpose, dwpose):
      kind = form.__name__.rpartition(".")[2]
      for clip in frame_files.group(folder, sorted(json), form.FORM):
        found[kind].append(Source(clip.name, kind, clip))
        json -= {os.path.basename(name) for name in clip.paths}
    strange += sorted(json)
    for name in names:
      file = pathlib.Path(folder, name)
      if kind := _SUFFIXES.get(file.suffix.lower()):
        found[kind] += _of_file(file)
      elif file.suffix == ".skels":
        skels.append(name)
  if len(found) > 1:
    counts = ", ".join(f"{len(v)} of {k}" for k, v in sorted(found.items()))
    raise errors.DataError(
      f"clips of several forms ({counts})",
      path=root,
      expected="one of them",
      hint="Name the file or the folder of those you mean",
    )
  if not found:
    raise errors.DataError(
      f"no keypoints{sidecar_texts.listed(' but', strange)}",
      path=root,
      expected=_FORMS,
      hint=f"{skels[0]} holds 3-D skeletons, which need no lifting"
      if skels
      else None,
    )
  if strange:
    report(
      f"{root}: JSON files that are no frames:"
      + sidecar_texts.listed("", strange)
    )
  (sources,) = found.values()
  return sources


def _of_file(file: pathlib.Path) -> list[Source]:
  kind = _SUFFIXES.get(file.suffix.lower())
  if kind is None:
    raise errors.DataError(
      f"a file of kind {file.suffix!r}",
      path=file,
      expected=_FORMS,
      hint="Of frame files, name the folder",
    )
  if kind == "pose":
    return [Source(file.stem, kind, file)]
  try:
    names = h5.names(file)
  except errors.DataError:
    names = [file.stem]  # reading it says what is wrong with the file
  return [Source(name, kind, file, member=name) for name in names]


def _around(source: Source) -> str:
  """The name of the file or folder that a clip lies in."""
  if isinstance(source.place, frame_files.FrameFiles):
    folder = pathlib.Path(source.place.folder).resolve()
    return folder.name if source.place.prefix else folder.parent.name
  return source.place.stem if source.member else source.place.parent.name


def read_each(
  sources: Sequence[Source], processes: int | None = None
) -> Iterator[
  tuple[Source, clips.Keypoints | errors.DataError | errors.StorageError]
]:
  """Reads clip after clip; what is wrong with one comes in its place.

  Args:
    sources: of `find`; the results come in this order.
    processes: how many share the work; one a core if not given. Few clips
      are read in this one. The caller's main module is imported in each, so
      a script must guard what it does by `if __name__ == "__main__"`.

  Raises:
    StorageError: a process died, for want of memory for instance.
  """
  processes = processes or os.cpu_count() or 1
  if len(sources) < _FEW or processes == 1:
    for source in sources:
      yield source, _attempt(source)
    return
  # Not forked: JAX's threads in this process would leave locks behind.
  context = multiprocessing.get_context("spawn")
  with concurrent.futures.ProcessPoolExecutor(
    processes, context, _follow_parent
  ) as pool:
    waiting = collections.deque()
    try:
      for source in sources:
        with _signals_held():  # processes start as there is work for them
          waiting.append((source, pool.submit(_attempt, source)))
        if len(waiting) > 8 * processes:  # else results would pile up
          source, result = waiting.popleft()
          yield source, result.result()
      for source, result in waiting:
        yield source, result.result()
    except concurrent.futures.process.BrokenProcessPool as error:
      raise errors.StorageError(
        f"a process that read clips died: {error}"
      ) from error
    finally:
      pool.shutdown(cancel_futures=True)


def _follow_parent() -> None:
  """Ends this process when its parent does, however that ends.

  By itself it would wait for work for ever where the parent was killed.
  """
  parent = multiprocessing.parent_process()

  def follow() -> None:
    if parent is not None:
      parent.join()
      os._exit(1)

  threading.Thread(target=follow, daemon=True).start()


@contextlib.contextmanager
def _signals_held() -> Iterator[None]:
  """Processes that start in it leave Ctrl-C and SIGTERM to their parent."""
  before = signal.pthread_sigmask(
    signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM}
  )
  try:
    yield
  finally:
    signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _attempt(source: Source):
  try:
    return source.read()
  except (errors.DataError, errors.StorageError) as error:
    return error

"""Types of the corpora: what a recogniser is asked and what it yields."""

import dataclasses
import pathlib
from collections.abc import (
  Callable,
  Collection,
  Iterator,
  Mapping,
  Sequence,
)

from data_pipeline.corpora import folder
from data_pipeline.keypoints import find_splits, sidecar_texts
from data_pipeline.keypoints.clip_source import Source
from signllm_jax.core import errors
from signllm_jax.core.skeleton import PROMPT2SIGN50

NOT_STATED = "not stated: ask who gave you the data"
SPLITS = find_splits.SPLITS
_KEYPOINTS = (".json", ".pose", ".h5", ".hdf5", ".npz", ".npy")
_RATE = 25.0  # frames a second, where neither corpus nor request says


@dataclasses.dataclass(frozen=True)
class Corpus:
  """A corpus.

  Attributes:
    name: as its authors call it.
    licence: its terms, with their source.
    languages: codes of the sign languages that it may be built as; empty for
      any.
    fps: frames a second, where its files do not say.
    size: the picture's width and height, where its files do not say.
    seen: whether the recogniser was tried on the corpus itself, not only on
      small files made in the form that its page describes.
  """

  name: str
  licence: str
  languages: tuple[str, ...] = ()
  fps: float | None = None
  size: tuple[int, int] | None = None
  seen: bool = True


UNKNOWN = Corpus("not recognised", NOT_STATED)


@dataclasses.dataclass(frozen=True)
class Request:
  """A folder to recognise, with what the user says of it.

  Attributes:
    path: the file or folder.
    fps: frames a second, where the files do not say; None if not given.
    size: the picture's width and height, where the files do not say.
    skeleton: name of the skeleton to read.
    names: file with the texts of signs; None if not given.
    language: code of the sign language that is built; empty for any.
  """

  path: pathlib.Path
  fps: float | None = None
  size: tuple[int, int] | None = None
  skeleton: str = PROMPT2SIGN50.name
  names: pathlib.Path | None = None
  language: str = ""

  def rate(self, corpus: Corpus) -> float:
    """Frames a second of a corpus's files that do not say."""
    return self.fps or corpus.fps or _RATE


@dataclasses.dataclass
class Recognised:
  """A corpus that was found in a folder.

  Attributes:
    corpus: which one.
    evidence: what it was recognised by.
    splits: clips of keypoints by split; empty if the folder holds poses.
    poses: names of clips of poses by split, as the builder reads them.
    signers: signer by clip name, by split, of poses.
    fps: frames a second, where the files do not say.
    notes: what is missing on either side, and what is left out on purpose.
    unread: reason by path, of files that look like input and are not read.
  """

  corpus: Corpus
  evidence: str = ""
  splits: dict[str, list[Source]] = dataclasses.field(default_factory=dict)
  poses: dict[str, Sequence[str]] = dataclasses.field(default_factory=dict)
  signers: dict[str, dict[str, str]] = dataclasses.field(default_factory=dict)
  fps: float = _RATE
  notes: list[str] = dataclasses.field(default_factory=list)
  unread: dict[str, str] = dataclasses.field(default_factory=dict)

  def describe(self) -> list[str]:
    """What was recognised, a line each: corpus, then the splits."""
    by = f" (by {self.evidence})" if self.evidence else ""
    seen = "" if self.corpus.seen else ", by its published form alone"
    lines = [f"Corpus: {self.corpus.name}{by}{seen}"]
    for split, sources in self.splits.items():
      counts = [f"{len(sources)} clips"]
      for what in ("text", "gloss"):
        number = sum(bool(getattr(source, what)) for source in sources)
        counts.append(f"{number} with a {what}")
      if signers := {source.signer for source in sources} - {""}:
        counts.append(f"{len(signers)} signers")
      lines.append(f"  {split}: {', '.join(counts)}")
    for split, names in self.poses.items():
      lines.append(f"  {split}: {len(names)} clips of poses")
    return lines


@dataclasses.dataclass(frozen=True)
class Entry:
  """What a corpus says of a clip."""

  text: str = ""
  gloss: str = ""
  signer: str = ""


def find(
  corpus: Corpus,
  request: Request,
  evidence: str,
  *,
  by_split: dict[str, pathlib.Path] | None = None,
  known: Collection[pathlib.Path] = (),
) -> Recognised:
  """Finds the clips of a recognised corpus, without their texts.

  Args:
    corpus: which one.
    request: the folder.
    evidence: what it was recognised by.
    by_split: the folder of each split, where it is known.
    known: files that the recogniser reads itself.

  Raises:
    DataError, UsageError, StorageError: as `find_splits.find`.
  """
  found = Recognised(corpus, evidence, fps=request.rate(corpus))
  found.splits = find_splits.find(
    request.path,
    names=request.names,
    by_split=by_split or None,
    note=found.notes.append,
    fps=found.fps,
    size=request.size or corpus.size,
    skeleton=request.skeleton,
    known=list(map(str, known)),
    report=found.notes.append,
    leave=found.unread.__setitem__,
  )
  for path in _beside(by_split or {}, set(known)):
    found.unread[str(path)] = (
      "keypoints beside the splits, and it is no split for certain"
    )
  return found


def _beside(
  by_split: Mapping[str, pathlib.Path], known: Collection[pathlib.Path]
) -> Iterator[pathlib.Path]:
  """Yields folders beside those of splits that hold keypoints."""
  splits = set(by_split.values())
  for parent in sorted({path.parent for path in splits}):
    for child in sorted(parent.iterdir()):
      if child in splits or child.name.startswith(".") or not child.is_dir():
        continue
      names = folder.Folder(child).names
      if any(
        name.suffix in _KEYPOINTS and child / name not in known
        for name in names
      ):
        yield child


def join(
  found: Recognised,
  entries: Mapping[str, Mapping[str, Entry]],
  tables: Mapping[str, str],
  key: Callable[[str], str] = lambda name: name,
) -> None:
  """Gives clips their texts, glosses and signers; notes what is missing.

  Args:
    found: clips by split; replaced by clips with what their entries say.
    entries: entry by clip name, by split.
    tables: name of the table of each split, for the notes.
    key: the name in `entries` of a clip's name.
  """
  for split in dict.fromkeys((*found.splits, *entries)):
    of_split, table = entries.get(split, {}), tables.get(split, "any table")
    sources, matched, without = [], set(), []
    for source in found.splits.get(split, []):
      entry = of_split.get(key(source.name))
      if entry is None:
        without.append(source.name)
        sources.append(source)
        continue
      matched.add(key(source.name))
      sources.append(
        dataclasses.replace(
          source,
          text=entry.text or source.text,
          gloss=entry.gloss or source.gloss,
          signer=entry.signer,
        )
      )
    if split in found.splits:
      found.splits[split] = sources
    if without:
      found.notes.append(
        f"{split}: {len(without)} clips without a line in {table}:"
        + sidecar_texts.listed("", sorted(without))
      )
    if absent := sorted(set(of_split) - matched):
      found.notes.append(
        f"{split}: {len(absent)} lines of {table} without a clip:"
        + sidecar_texts.listed("", absent)
      )


def check_language(corpus: Corpus, code: str, path: pathlib.Path) -> None:
  """Refuses to build a corpus as another sign language.

  Raises:
    UsageError: names the languages of the corpus.
  """
  if corpus.languages and code not in corpus.languages:
    raise errors.UsageError(
      f"{corpus.name} is of {', '.join(corpus.languages)}, not {code}",
      path=path,
      expected=" or ".join(
        f"--dataset=prompt2sign/{each.lower().replace('-', '_')}"
        for each in corpus.languages
      ),
    )

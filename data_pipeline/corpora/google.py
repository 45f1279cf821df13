"""Google's corpora of ASL as landmarks: isolated signs and fingerspelling.

  isolated signs   train.csv (path, participant_id, sequence_id, sign) and
                   train_landmark_files/PARTICIPANT/SEQUENCE.parquet
  fingerspelling   train.csv (path, file_id, sequence_id, participant_id,
                   phrase) and train_landmarks/FILE.parquet; likewise
                   supplemental_metadata.csv, whose clips join train

Both have no splits and state neither the rate nor the size of the picture:
--size is required, and 30 frames a second are assumed.

Source: kaggle.com/competitions/asl-signs and asl-fingerspelling.
"""

import pathlib

from data_pipeline.corpora import corpus, folder
from data_pipeline.keypoints import sidecar_texts
from data_pipeline.keypoints.clip_source import Source
from signllm_jax.core import errors

_TERMS = "is under CC BY 4.0: name its authors. Terms: kaggle.com/competitions/"
ISOLATED = corpus.Corpus(
  "Google's isolated signs of ASL",
  f"Google's Isolated Sign Language Recognition data {_TERMS}asl-signs",
  ("ASL",),
  fps=30.0,
  seen=False,
)
FINGERSPELLING = corpus.Corpus(
  "Google's fingerspelling of ASL",
  f"Google's American Sign Language Fingerspelling data {_TERMS}"
  "asl-fingerspelling",
  ("ASL",),
  fps=30.0,
  seen=False,
)
_TABLES = ("train.csv", "supplemental_metadata.csv")


def recognise(
  root: folder.Folder, request: corpus.Request
) -> corpus.Recognised | None:
  """Recognises both corpora by train.csv beside files of Parquet.

  Raises:
    UsageError: the picture's size is not given.
  """
  tables = [
    root.path / name for name in _TABLES if (root.path / name).is_file()
  ]
  if not tables or not root.match(r"train_landmark(s|_files)"):
    return None
  spelling = (root.path / "train_landmarks").is_dir()
  if request.size is None:
    raise errors.UsageError(
      "landmarks are shares of the picture, whose size they do not store",
      path=root.path,
      hint="Give it, such as --size=640x480",
    )
  found = corpus.Recognised(
    FINGERSPELLING if spelling else ISOLATED,
    ", ".join(table.name for table in tables),
  )
  found.fps = request.rate(found.corpus)
  read = _spelled if spelling else _isolated
  sources = [s for table in tables for s in read(root.path, table, request)]
  files = {str(path) for path in sorted(root.path.glob("*/**/*.parquet"))}
  absent = [s.name for s in sources if str(s.place) not in files]
  if absent:
    found.notes.append(
      f"train: {len(absent)} lines without a file:"
      + sidecar_texts.listed("", sorted(absent))
    )
  for path in sorted(files - {str(source.place) for source in sources}):
    found.unread[path] = f"no line of {found.evidence} names it"
  found.splits["train"] = sorted(
    (s for s in sources if str(s.place) in files), key=lambda s: s.name
  )
  if not found.splits["train"]:
    raise errors.DataError(
      "no clip of train can be used",
      path=root.path,
      expected=f"the files that {found.evidence} names",
    )
  return found


def _isolated(
  root: pathlib.Path, table: pathlib.Path, request: corpus.Request
) -> list[Source]:
  columns = ("path", "participant_id", "sequence_id", "sign")
  found: dict[str, Source] = {}
  for line, row in folder.rows(table, columns):
    sign, signer = row["sign"], row["participant_id"]
    name = f"{signer}-{row['sequence_id']}"
    source = Source(
      name,
      "parquet",
      root / row["path"],
      text=sign,
      gloss=sign.upper(),
      fps=request.rate(ISOLATED),
      size=request.size,
      signer=signer,
      skeleton=request.skeleton,
    )
    folder.add(found, name, source, table, line)
  return list(found.values())


def _spelled(
  root: pathlib.Path, table: pathlib.Path, request: corpus.Request
) -> list[Source]:
  columns = ("path", "file_id", "sequence_id", "participant_id", "phrase")
  found: dict[str, Source] = {}
  for line, row in folder.rows(table, columns):
    if not row["sequence_id"].isdecimal():
      raise errors.DataError(
        f"sequence_id {row['sequence_id'][:20]!r}",
        path=table,
        line=line,
        expected="a number",
      )
    name = f"{row['file_id']}-{row['sequence_id']}"
    phrase = row["phrase"]
    source = Source(
      name,
      "parquet",
      root / row["path"],
      text=phrase,
      gloss=" ".join(phrase.replace(" ", "_").upper()),
      fps=request.rate(FINGERSPELLING),
      size=request.size,
      member=row["sequence_id"],
      signer=row["participant_id"],
      skeleton=request.skeleton,
    )
    folder.add(found, name, source, table, line)
  return list(found.values())

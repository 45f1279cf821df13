"""How2Sign: American Sign Language, sentences of instructional videos.

As downloaded, with OpenPose's JSON ("B-F-H 2D Keypoints clips") and the
translation, a table with tabs; `val` is the split dev:

  train_2D_keypoints/openpose_output/json/SENTENCE_NAME/..._keypoints.json
  how2sign_realigned_train.csv   SENTENCE_NAME, SENTENCE and others

The same clips with DWPose's JSON are Prompt2Sign's (`.../results_dwpose/json`).
In the download itself some lines have no clip: of train 31,165 lines and 31,048
clips (github.com/how2sign/how2sign-data, issue 4).

Source: how2sign.github.io; Duarte et al., CVPR 2021.
"""

from data_pipeline.corpora import corpus, folder
from data_pipeline.corpora.corpus import Entry

_TERMS = (
  "How2Sign (Duarte et al., CVPR 2021) is under CC BY-NC 4.0: no commercial "
  "use, name its authors. Terms: how2sign.github.io"
)
HOW2SIGN = corpus.Corpus(
  "How2Sign", _TERMS, ("ASL",), fps=24.0, size=(1280, 720)
)
DWPOSE = corpus.Corpus(
  "How2Sign with Prompt2Sign's DWPose keypoints",
  f"{_TERMS}. The keypoints are Prompt2Sign's (Fang et al., arXiv 2405.10718), "
  "under CC BY-NC-SA 4.0: no commercial use, same terms for what is made from "
  "them. Terms: github.com/SignLLM/Prompt2Sign",
  ("ASL",),
  fps=24.0,
  size=(1280, 720),
)
_CLIP = r".{6,}_\d+-\d+-rgb_(front|side)"
_TABLE = r"how2sign_{}(train|val|test|dev)\.csv"


def recognise(
  root: folder.Folder, request: corpus.Request
) -> corpus.Recognised | None:
  """Recognises How2Sign by its tables or the names of its clips."""
  tables = root.split_tables(_TABLE.format("")) | root.split_tables(
    _TABLE.format("realigned_")
  )
  clip = root.match(_CLIP)
  if not tables and not clip:
    return None
  dwpose = any("results_dwpose" in path.parts for path in root.names)
  found = corpus.find(
    DWPOSE if dwpose else HOW2SIGN,
    request,
    ", ".join(sorted(path.name for path in tables.values())) or clip,
    by_split=root.split_folders(),
    known=list(tables.values()),
  )
  if tables:
    entries = {split: _read(path) for split, path in tables.items()}
    corpus.join(found, entries, {s: p.name for s, p in tables.items()})
  return found


def _read(path) -> dict[str, Entry]:
  """The sentence of each clip of a table."""
  entries: dict[str, Entry] = {}
  for line, row in folder.rows(path, ("SENTENCE_NAME", "SENTENCE"), "\t"):
    name = row["SENTENCE_NAME"]
    folder.add(entries, name, Entry(row["SENTENCE"]), path, line)
  return entries

"""AUTSL: isolated signs of Turkish Sign Language, 226 signs, 43 signers.

As its page hands it out, with a detector's keypoints of each colour video:

  train/signer0_sample1_color.pose    likewise val and test
  train_labels.csv                    signer0_sample1,41 without a header
  SignList_ClassId_TR_EN.csv          ClassId,TR,EN

The text is the Turkish name of the sign, the gloss the same in capitals.

Source: chalearnlap.cvc.uab.es/dataset/40/description (names, splits, 512x512);
Sincan and Keles, IEEE Access 2020.
"""

import re

from data_pipeline.corpora import corpus, folder
from data_pipeline.corpora.corpus import Entry
from data_pipeline.texts import normalisation
from signllm_jax.core import errors

CORPUS = corpus.Corpus(
  "AUTSL",
  "AUTSL (Sincan and Keles, IEEE Access 2020): its terms are those that were "
  "accepted for the download. Ask its authors before commercial use, and "
  "before you pass on what is made from it. Terms: "
  "competitions.codalab.org/competitions/27901#participate",
  ("TSL",),
  fps=30.0,  # of its camera, a Kinect v2; the page states none
  size=(512, 512),
  seen=False,
)
_CLIP = re.compile(r"(signer\d+_sample\d+)(_color|_depth)?")
_LABELS = r"(train|val|validation|test)_(?:labels|ground_?truth)\.csv"
_SIGNS = r"SignList_ClassId_TR_EN(?:_corrected)?\.csv"


def recognise(
  root: folder.Folder, request: corpus.Request
) -> corpus.Recognised | None:
  """Recognises AUTSL by its list of signs or the names of its clips."""
  signs = root.tables(_SIGNS)
  clip = root.match(_CLIP.pattern)
  if not clip:
    return None
  labels = root.split_tables(_LABELS)
  found = corpus.find(
    CORPUS,
    request,
    clip,
    by_split=root.split_folders(),
    known=[*signs.values(), *labels.values()],
  )
  if not signs or not labels:
    missing = "SignList_ClassId_TR_EN.csv" if not signs else "train_labels.csv"
    found.notes.append(f"no {missing}: the clips have no texts")
    return found
  (signs_path,) = signs.values()
  names = _signs(signs_path)
  entries = {split: _labels(path, names) for split, path in labels.items()}
  tables = {split: path.name for split, path in labels.items()}
  corpus.join(found, entries, tables, _short)
  return found


def _short(name: str) -> str:
  """The name of a clip in the labels."""
  match = _CLIP.fullmatch(name)
  return match[1] if match else name


def _signs(path) -> dict[str, str]:
  """The Turkish name of each class."""
  return {
    row["ClassId"]: row["TR"].replace("_", " ")
    for _, row in folder.rows(path, ("ClassId", "TR"))
  }


def _labels(path, names: dict[str, str]) -> dict[str, Entry]:
  """The sign of each clip."""
  entries: dict[str, Entry] = {}
  for line, row in folder.rows(path, ("clip", "class"), header=False):
    if row["class"] not in names:
      raise errors.DataError(
        f"class {row['class'][:20]!r}",
        path=path,
        line=line,
        expected="a ClassId of SignList_ClassId_TR_EN.csv",
      )
    name = names[row["class"]]
    gloss = normalisation.upper(name, "tr").replace(" ", "-")
    signer = row["clip"].partition("_")[0]
    folder.add(entries, row["clip"], Entry(name, gloss, signer), path, line)
  return entries

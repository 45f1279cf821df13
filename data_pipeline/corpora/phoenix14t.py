"""RWTH-PHOENIX-Weather 2014T: German Sign Language, weather forecasts.

As downloaded, PHOENIX-2014-T.SPLIT.corpus.csv with `|` between name, video,
start, end, speaker, orth (the gloss) and translation; beside it the keypoints
of its folders of pictures (`images0001.png`), which a detector must have made.
Progressive Transformers' .skels of it are recognised by their names.

Source: www-i6.informatik.rwth-aachen.de/~koller/RWTH-PHOENIX-2014-T.
"""

import re

from data_pipeline.corpora import corpus, folder
from data_pipeline.corpora.corpus import Entry
from data_pipeline.keypoints import find_splits
from signllm_jax.formats import splits

CORPUS = corpus.Corpus(
  "RWTH-PHOENIX-Weather 2014T",
  "RWTH-PHOENIX-Weather 2014T (Camgoz et al., CVPR 2018) is under CC BY-NC-SA "
  "3.0: no commercial use, same terms for what is made from it. Terms: "
  "www-i6.informatik.rwth-aachen.de/~koller/RWTH-PHOENIX-2014-T",
  ("GSL",),
  fps=25.0,
  size=(210, 260),
)
_CLIP = re.compile(
  r"(.*/)?\d{2}(January|February|March|April|May|June|July|August|September|"
  r"October|November|December)_\d{4}_\w+day_(tagesschau|heute)[\w.]*-\d+"
)
_TABLE = r"PHOENIX-2014-T\.(train|dev|test)\.corpus\.csv"
_COLUMNS = ("name", "speaker", "orth", "translation")
_FEW = 20  # names that tell the corpus


def recognise(
  root: folder.Folder, request: corpus.Request
) -> corpus.Recognised | None:
  """Recognises PHOENIX14T by its tables or the names of its clips."""
  tables = root.split_tables(_TABLE)
  entries = {split: _read(path) for split, path in tables.items()}
  table = ", ".join(sorted(path.name for path in tables.values()))
  if stems := find_splits.stems(request.path):
    return _poses(request, stems, entries, table)
  clip = root.match(_CLIP.pattern)
  if not tables and not clip:
    return None
  unused = root.tables(r"(PHOENIX-2014-T\..*\.csv)")  # complex annotations
  found = corpus.find(
    CORPUS,
    request,
    table or clip,
    by_split=root.split_folders(),
    known=[*tables.values(), *unused.values()],
  )
  if tables:
    names = {split: path.name for split, path in tables.items()}
    corpus.join(found, entries, names, lambda name: name.rpartition("/")[2])
  return found


def _poses(
  request: corpus.Request,
  stems: dict[str, str],
  entries: dict[str, dict[str, Entry]],
  table: str,
) -> corpus.Recognised | None:
  """Recognises .skels whose .files name clips of PHOENIX14T."""
  names: dict[str, list[str]] = {}
  for split, stem in stems.items():
    path = request.path / f"{stem}.files"
    if path.is_file():
      names[split] = list(splits.read_texts(path))
  first = [name for of_split in names.values() for name in of_split[:_FEW]]
  if not first or not all(map(_CLIP.fullmatch, first)):
    return None
  evidence = table or f"the name {first[0]}"
  found = corpus.Recognised(CORPUS, evidence, fps=request.rate(CORPUS))
  found.poses = dict(names)
  for split, of_split in names.items():
    known = entries.get(split, {})
    found.signers[split] = {
      name: known[short].signer
      for name in of_split
      if (short := name.rpartition("/")[2]) in known
    }
  return found


def _read(path) -> dict[str, Entry]:
  """Sentence, gloss and signer of each clip of a table."""
  entries: dict[str, Entry] = {}
  for line, row in folder.rows(path, _COLUMNS, "|", quoted=False):
    entry = Entry(row["translation"], row["orth"], row["speaker"])
    folder.add(entries, row["name"], entry, path, line)
  return entries

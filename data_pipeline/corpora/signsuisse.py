"""SignSuisse: lexicon of the three sign languages of Switzerland.

As spoken-to-signed downloads it: `index.csv` with path, signed_language (sgg,
ssr or slf) and words of each .pose. Only the signs of the language that is
built are taken. The gloss is the words in capitals.

Source: signsuisse.sgb-fss.ch;
github.com/ZurichNLP/spoken-to-signed-translation.
"""

import pathlib

from data_pipeline.corpora import corpus, folder
from data_pipeline.corpora.corpus import Entry
from data_pipeline.texts import normalisation
from signllm_jax.core import languages

CORPUS = corpus.Corpus(
  "SignSuisse",
  "The lexicon SignSuisse (Swiss Federation of the Deaf SGB-FSS): WMT-SLT "
  "hands it out for non-commercial research alone, not to be passed on, edited "
  "or not. Ask the federation for other uses. Terms: www.wmt-slt.com/data",
  ("DSGS", "LSF-CH", "LIS-CH"),
  seen=False,
)
_COLUMNS = ("path", "spoken_language", "signed_language", "words", "glosses")


def recognise(
  root: folder.Folder, request: corpus.Request
) -> corpus.Recognised | None:
  """Recognises the lexicon by its index of Swiss sign languages."""
  index = root.path / "index.csv"
  if not index.is_file():
    return None
  swiss = {languages.get(c).iso639_3: c for c in CORPUS.languages}
  rows = [row for _, row in folder.rows(index, _COLUMNS)]
  if not rows or not all(row["signed_language"] in swiss for row in rows):
    return None
  code = request.language or CORPUS.languages[0]
  found = corpus.find(CORPUS, request, "index.csv", known=[index])
  entries: dict[str, Entry] = {}
  others = 0
  for row in rows:
    if swiss[row["signed_language"]] != code:
      others += 1
      continue
    words = row["words"].replace("_", " ")
    spoken = languages.get(code).spoken
    gloss = row["glosses"] or normalisation.upper(words, spoken)
    entry = Entry(words, gloss.replace(" ", "-"))
    entries[pathlib.PurePath(row["path"]).stem] = entry
  (split,) = found.splits  # the lexicon has no splits
  kept = [each for each in found.splits[split] if each.name in entries]
  found.splits[split] = kept
  corpus.join(found, {split: entries}, {split: "index.csv"})
  if others:
    found.notes.append(f"{others} signs of the other languages are left out")
  return found

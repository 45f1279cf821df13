"""LSA64: 64 isolated signs of Argentine Sign Language, 10 signers.

Clips are named SIGN_SIGNER_REPETITION, such as 001_004_002, with a detector's
keypoints. The page lists the signs in English; their Spanish names here are
ours, and `--names=FILE` (001<TAB>text a line) gives others. The corpus has no
splits.

Source: facundoq.github.io/datasets/lsa64; Ronchetti et al., 2016. The licence
was seen on the page of its sister LSA16 (facundoq.github.io/datasets/lsa16).
"""

import dataclasses
import re

from data_pipeline.corpora import corpus, folder
from data_pipeline.corpora.corpus import Entry
from data_pipeline.texts import normalisation
from signllm_jax.core import errors

CORPUS = corpus.Corpus(
  "LSA64",
  "LSA64 (Ronchetti et al., 2016) is under CC BY-NC-SA 4.0: no commercial use, "
  "same terms for what is made from it. Terms: "
  "facundoq.github.io/datasets/lsa64",
  ("LSA",),
  fps=60.0,
  size=(1920, 1080),
  seen=False,
)
_CLIP = re.compile(r"(\d{3})_(\d{3})_(\d{3})")
_SPANISH = """opaco rojo verde amarillo brillante celeste colores rosa mujer
enemigo hijo hombre lejos cajón nacer aprender llamar espumadera amargo
dulce_de_leche leche agua comida Argentina Uruguay país apellido dónde burlarse
cumpleaños desayuno foto hambre mapa moneda música barco ninguno nombre
paciencia perfume sordo trampa arroz asado caramelo chicle fideos yogur aceptar
gracias apagar aparecer aterrizar atrapar ayudar bailar bañarse comprar copiar
correr darse_cuenta dar encontrar"""
SIGNS = tuple(_SPANISH.split())  # by number, from 1


def recognise(
  root: folder.Folder, request: corpus.Request
) -> corpus.Recognised | None:
  """Recognises LSA64 by the names of its clips."""
  clip = root.match(_CLIP.pattern)
  if not clip:
    return None
  names = {
    f"{number:03d}": sign.replace("_", " ")
    for number, sign in enumerate(SIGNS, 1)
  }
  known = []
  if request.names:
    names, known = _names(request.names, names), [request.names]
  request = dataclasses.replace(request, names=None)
  found = corpus.find(CORPUS, request, clip, known=known)
  entries = {
    split: {
      source.name: _entry(names[match[1]], match[2])
      for source in sources
      if (match := _CLIP.fullmatch(source.name)) and match[1] in names
    }
    for split, sources in found.splits.items()
  }
  corpus.join(found, entries, dict.fromkeys(entries, "the signs of LSA64"))
  return found


def _entry(name: str, signer: str) -> Entry:
  return Entry(name, normalisation.upper(name, "es").replace(" ", "-"), signer)


def _names(path, signs: dict[str, str]) -> dict[str, str]:
  """The texts that a file gives some signs.

  Raises:
    DataError: a line is not `number<TAB>text`.
  """
  given = dict(signs)
  columns = ("sign", "text")
  for line, row in folder.rows(path, columns, "\t", header=False):
    if row["sign"] not in signs or not row["text"].strip():
      raise errors.DataError(
        f"sign {row['sign'][:40]!r}",
        path=path,
        line=line,
        expected="001 to 064, a tab and a text",
      )
    given[row["sign"]] = row["text"]
  return given

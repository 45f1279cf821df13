"""The SLRTP 2025 challenge: sentences of PHOENIX14T as a .pt a split.

A file holds name, text, gloss and MediaPipe's points of each clip
(`formats/slrtp.py`), with --skeleton=holistic178.

Source: github.com/walsharry/SLRTP-Sign-Production-Evaluation.
"""

import dataclasses

from data_pipeline.corpora import corpus, folder
from data_pipeline.keypoints import clip_source, find_splits
from signllm_jax.core import errors

CORPUS = corpus.Corpus(
  "SLRTP 2025, of RWTH-PHOENIX-Weather 2014T",
  "The SLRTP 2025 challenge hands out keypoints of RWTH-PHOENIX-Weather 2014T "
  "(Camgoz et al., CVPR 2018), which is under CC BY-NC-SA 3.0: no commercial "
  "use, same terms for what is made from it. Terms: "
  "www-i6.informatik.rwth-aachen.de/~koller/RWTH-PHOENIX-2014-T",
  ("GSL",),
  fps=25.0,
  seen=False,
)


def recognise(
  root: folder.Folder, request: corpus.Request
) -> corpus.Recognised | None:
  """Recognises the challenge's files by their suffix.

  Raises:
    DataError: their names are no splits.
  """
  files = {path.stem: path for path in sorted(root.path.glob("*.pt"))}
  if not files:
    return None
  named = find_splits.places(files, root.path)
  if len(named) != len(files) or "train" not in named:
    other = sorted(set(files) - set(named.values())) or ["no train"]
    raise errors.DataError(
      f"{other[0]!r} among the files *.pt",
      path=root.path,
      expected="train.pt, dev.pt and test.pt",
    )
  rate = request.rate(CORPUS)
  found = corpus.Recognised(CORPUS, f"{named['train']}.pt", fps=rate)
  for split, stem in named.items():
    found.splits[split] = [
      dataclasses.replace(source, fps=rate, skeleton=request.skeleton)
      for source in clip_source.in_slrtp(files[stem])
    ]
  return found

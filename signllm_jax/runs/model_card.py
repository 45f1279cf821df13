"""A model card in the form of the Hugging Face hub, filled from the run."""

import json
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from signllm_jax import config as config_lib
from signllm_jax.core import errors, foreign_files, languages, paths
from signllm_jax.runs.description import Description

_LIMITS = """\
The output of this model is not a checked translation. No signer has reviewed
it. It knows only what its training data show, from the signers in them. Ask
Deaf signers before you rely on it or show it to anybody. A model trained on
recordings of people derives from them: their terms hold for it too."""


def write(
  described: Description,
  name: str,
  parameters: int,
  reports: Sequence[Mapping[str, Any]],
) -> str:
  """The text of the card.

  Args:
    described: configuration and corpus info of the run.
    name: of the model.
    parameters: their number.
    reports: of the run's evaluations, as report.json; those of `evaluate`
      have signatures.
  """
  corpora = config_lib.corpora(described.config)
  return "\n".join(
    [
      *_front_matter(corpora),
      f"# {name}",
      "",
      *_model(described, parameters),
      "",
      "## Use",
      "",
      "```python",
      "import signllm_jax as slp",
      "",
      f'signer = slp.load("{name}")  # this folder',
      "```",
      "",
      "The folder holds weights (safetensors), configuration and vocabulary. "
      "Loading runs no code of it.",
      "",
      "## Data",
      "",
      *_data(corpora),
      "",
      "## Scores",
      "",
      *_scores(reports),
      "",
      "## Limits",
      "",
      _LIMITS,
      "",
    ]
  )


def _front_matter(corpora: list[config_lib.Data]) -> Iterator[str]:
  known = [languages.LANGUAGES.get(each.language) for each in corpora]
  spoken = sorted({each.spoken for each in known if each})
  signed = sorted({each.iso639_3 for each in known if each})
  yield "---"
  yield "library_name: signllm-jax"
  yield "license: other"
  yield "license_name: terms-of-the-training-data"
  if spoken or signed:
    yield "language:"
    yield from (f"- {code}" for code in (*spoken, *signed))
  yield "tags:"
  yield from ("- sign-language-production", "- jax", "- flax", "---", "")


def _model(described: Description, parameters: int) -> Iterator[str]:
  settings = described.config
  first = next(iter(described.infos.values()))
  rows = {
    "task": settings.task,
    "skeleton": settings.data.skeleton,
    "decoder": settings.model.decoder,
    "parameters": f"{parameters:,}",
    "frames a second": f"{first.fps:g}",
    "reads": f"{len(first.vocabulary.entries):,} {first.vocabulary.unit}",
    "training": f"at most {settings.steps:,} steps, seed {settings.seed}",
  }
  yield from _table(("", ""), rows.items())


def _data(corpora: list[config_lib.Data]) -> Iterator[str]:
  for settings in corpora:
    place = "/".join(pathlib.PurePath(settings.folder).parts[-3:])
    terms = _licence(paths.resolve(settings.folder))
    language = languages.LANGUAGES.get(settings.language)
    yield (
      f"- {language.name if language else settings.language}, "
      f"`{place}`. Terms: {terms}"
    )


def _licence(folder: paths.AnyPath) -> str:
  """The terms that a build states; says so where none are found."""
  path = folder / "dataset_info.json"
  try:
    about = foreign_files.read_json(path)
  except (errors.DataError, errors.StorageError, errors.UsageError):
    about = None  # the data may be elsewhere by now
  found = about.get("redistributionInfo") if isinstance(about, dict) else None
  text = found.get("license") if isinstance(found, dict) else None
  if not isinstance(text, str) or not text.strip():
    return "not stated beside the data; ask those who gave them."
  return " ".join(text.split())


def _scores(reports: Sequence[Mapping[str, Any]]) -> Iterator[str]:
  """The produced row of each report, with signatures where it has them."""
  if not reports:
    yield "This run was never evaluated."
  for report in reports:
    yield from _produced(report)
    yield ""


def _produced(report: Mapping[str, Any]) -> Iterator[str]:
  produced = report.get("rows", {}).get("produced")
  if not isinstance(produced, dict):
    yield f"Split {report.get('split')}: no poses were produced."
    return
  metrics = {m["key"]: m for m in report.get("metrics", [])}
  yield (
    f"Split {report.get('split')}, {report.get('sequences')} sequences, step "
    f"{report.get('step', report.get('checkpoint', {}).get('step'))}."
  )
  yield ""
  rows = []
  for key, value in produced.items():
    named = metrics.get(key, {})
    shown = f"{value:.4g}" if isinstance(value, int | float) else "-"
    rows.append((named.get("name", key), shown, named.get("signature", "")))
  yield from _table(("metric", "value", "signature"), rows)


def _table(head: tuple[str, ...], rows: Any) -> Iterator[str]:
  yield f"| {' | '.join(head)} |"
  yield "|" + "---|" * len(head)
  for row in rows:
    cells = (str(cell).replace("|", "\\|").replace("\n", " ") for cell in row)
    yield f"| {' | '.join(cells)} |"


def config_json(described: Description, about: Mapping[str, Any]) -> str:
  """`config.json` of the folder: for readers and the hub, not for loading."""
  settings = described.config
  values = {
    "library_name": "signllm-jax",
    "model_type": "signllm_jax",
    "task": settings.task,
    "skeleton": settings.data.skeleton,
    **about,
  }
  return json.dumps(values, indent=2, ensure_ascii=False) + "\n"

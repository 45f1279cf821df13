"""Commands that build the data of a configuration, for messages."""

from collections.abc import Sequence

from signllm_jax import config
from signllm_jax.core import errors, foreign_files, languages, paths
from signllm_jax.core.skeleton import SKELETONS

_DATASETS = ("fingerspelling", "prompt2sign")


def command(folder: str) -> str | None:
  """The command that builds a folder `OUTPUT/DATASET/CODE/VERSION`.

  None where the folder is not named so.
  """
  path = paths.resolve(folder)
  dataset, code = path.parent.parent.name, path.parent.name
  if not dataset or not code:
    return None
  kind = next((s for s in SKELETONS if code.endswith(f"_{s}")), "")
  code = code.removesuffix(f"_{kind}")
  corpora = [each.config_name for each in languages.LANGUAGES.values()]
  if dataset not in _DATASETS or (
    dataset == "prompt2sign" and code not in corpora
  ):
    return None
  source = " --input=FOLDER" if dataset == "prompt2sign" else ""
  source += f" --skeleton={kind}" if kind else ""
  return (
    f"python -m data_pipeline build --dataset={dataset}/{code}{source} "
    f"--output={path.parent.parent.parent}"
  )


def no_data(parts: Sequence[config.Data], split: str) -> errors.DataError:
  """The error of folders without a split, with the commands that build them.

  Args:
    parts: the settings of the folders, one at least.
    split: the split that is missing.
  """
  folders = [part.folder for part in parts]
  commands = [command(folder) for folder in folders]
  hint = "Build one with `python -m data_pipeline build --help`"
  if all(commands):
    hint = "Build the data"
    if any(" --input=" in each for each in commands if each):
      hint += ", FOLDER being your copy of the corpus (docs/data.md)"
    hint += ":\n  " + "\n  ".join(each for each in commands if each)
  path = paths.resolve(folders[0])
  found = "nothing there"
  if foreign_files.exists(path):
    found = "neither of them"
  others = "".join(f", {folder}" for folder in folders[1:])
  return errors.DataError(
    f"no data for the split {split!r}: {found}{others and ', nor in'}"
    + others.replace(",", "", 1),
    path=path,
    expected=f"dataset_info.json of a built data set, or {split}.skels with "
    f"{split}.text",
    hint=hint,
  )

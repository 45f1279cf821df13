"""The configuration: typed dataclasses, one comment a field.

A file in `configs/` returns an `Experiment`. Every field can be set on the
command line (`--config.model.width=128`); a name that does not exist and a
value of another type are errors. The resolved configuration is stored as JSON
beside the checkpoints.
"""

import dataclasses
import json
from typing import Any

from signllm_jax import errors


@dataclasses.dataclass
class Data:
  """Where records come from and how they are batched."""

  folder: str = ""  # built data set (dataset_info.json) or folder of .skels;
  # several, one a language, separated by commas
  language: str = ""  # code of the sign language; checked against the records
  source: str = "text"  # what the model reads: "text" or "gloss"
  tokens: str = "words"  # split the source into "words" or "characters"
  min_count: int = 1  # rarer tokens become <unk>
  batch_size: int = 32  # examples a step, over all devices and languages
  bucket: int = 32  # lengths are padded to a multiple of this many frames
  max_frames: int = 300  # longer training examples are cut
  fps: float = 25.0  # frame rate of a folder of .skels, which does not say
  threads: int = 2  # readers ahead of the step
  prefetch: int = 8  # batches kept ready
  workers: int = 0  # reader processes instead of threads; 0 for none


@dataclasses.dataclass
class Model:
  """Text to pose (Progressive Transformer, section 5 of SignLLM's base)."""

  encoder_layers: int = 2
  decoder_layers: int = 2
  width: int = 512  # D
  heads: int = 4  # N
  feed_forward: int = 2048  # F
  activation: str = "relu"  # "relu" or "gelu"
  dropout: float = 0.1
  scale_embeddings: bool = False  # source embeddings times sqrt(width)
  learnt_start: bool = True  # else decoding starts from a frame of zeros
  just_counter: bool = False  # the decoder's input is only the counter
  alignment: bool = False  # learn how long each source token lasts
  normalize: bool = True  # centre poses on the training mean, to unit scale
  compute_dtype: str = "float32"  # or "bfloat16"; parameters stay float32


@dataclasses.dataclass
class Loss:
  """Over true cells only: neither padding nor missing joints count."""

  kind: str = "mse"  # "mse" or "l1"
  counter_weight: float = 1.0  # weight of the counter against one joint number
  counter_unit: str = "share"  # its error as "share" of the clip, or "frames"


@dataclasses.dataclass
class Augment:
  """Augmentations of the decoder's input (section 5)."""

  noise: float = 5.0  # Gaussian noise, in stds of last epoch's residuals


@dataclasses.dataclass
class Optim:
  """Adam with a schedule."""

  schedule: str = "cosine"  # "cosine", "constant" or PT's "plateau"
  learning_rate: float = 1e-3  # its peak
  final_share: float = 0.01  # where cosine ends, as a share of the peak
  warmup_steps: int = 200
  plateau_patience: int = 7  # evaluations without a better score
  plateau_factor: float = 0.7  # what the rate is then multiplied by
  plateau_min: float = 2e-4  # training ends below this share of the peak
  clip_norm: float = 5.0  # global gradient norm
  beta1: float = 0.9
  beta2: float = 0.999
  weight_decay: float = 0.0
  accumulate: int = (
    1  # a batch is split into this many parts, one after another
  )


@dataclasses.dataclass
class Mesh:
  """Devices along each axis; -1 takes what is left. Their product counts."""

  data: int = -1  # examples are split
  fsdp: int = 1  # examples and parameters are split
  tensor: int = 1  # heads and feed-forward are split
  language: int = 1  # MLSF's groups are split


@dataclasses.dataclass
class Evaluate:
  """Free-running evaluation inside training."""

  split: str = "dev"
  every: int = 500  # steps; 0: only at the end
  batch_size: int = 64
  length_limit: float = 1.5  # stop at this multiple of the longest example
  max_sequences: int = 0  # 0: the whole split
  clips: int = 4  # produced beside true, as pictures in TensorBoard


@dataclasses.dataclass
class Checkpoint:
  """What is kept on disk."""

  every: int = 500  # steps
  keep: int = 2  # latest ones; the best is kept besides


@dataclasses.dataclass
class Experiment:
  """One run."""

  name: str = "signllm"
  method: str = "text_to_pose"  # or "mlsf": one group a language, side by side
  frozen: str = ""  # codes of MLSF's languages that do not learn, with commas
  seed: int = 0
  steps: int = 10_000
  patience: int = 0  # evaluations without a better score until a stop; 0: never
  log_every: int = 50  # steps
  non_finite: str = "stop"  # or "skip": leave such a step out and count it
  non_finite_limit: int = 10  # steps that may be skipped in a row
  compilation_cache: bool = True  # keep compiled programs across runs
  data: Data = dataclasses.field(default_factory=Data)
  model: Model = dataclasses.field(default_factory=Model)
  loss: Loss = dataclasses.field(default_factory=Loss)
  augment: Augment = dataclasses.field(default_factory=Augment)
  optim: Optim = dataclasses.field(default_factory=Optim)
  mesh: Mesh = dataclasses.field(default_factory=Mesh)
  evaluate: Evaluate = dataclasses.field(default_factory=Evaluate)
  checkpoint: Checkpoint = dataclasses.field(default_factory=Checkpoint)


_CHOICES = {
  "method": ("text_to_pose", "mlsf"),
  "data.source": ("text", "gloss"),
  "data.tokens": ("words", "characters"),
  "model.activation": ("relu", "gelu"),
  "model.compute_dtype": ("float32", "bfloat16"),
  "loss.kind": ("mse", "l1"),
  "loss.counter_unit": ("share", "frames"),
  "optim.schedule": ("cosine", "constant", "plateau"),
  "non_finite": ("stop", "skip"),
}
_POSITIVE = (
  "steps",
  "log_every",
  "data.batch_size",
  "data.bucket",
  "data.max_frames",
  "model.width",
  "model.heads",
  "optim.accumulate",
  "evaluate.batch_size",
  "checkpoint.every",
  "checkpoint.keep",
)


def flatten(config: Any, prefix: str = "") -> dict[str, Any]:
  """Field names with dots -> values."""
  flat = {}
  for field in dataclasses.fields(config):
    value = getattr(config, field.name)
    name = prefix + field.name
    if dataclasses.is_dataclass(value):
      flat |= flatten(value, name + ".")
    else:
      flat[name] = value
  return flat


def listed(value: str) -> list[str]:
  """The parts of a field that holds several, separated by commas."""
  return [part.strip() for part in value.split(",") if part.strip()]


def corpora(config: Experiment) -> list[Data]:
  """The settings of each corpus of a run, of one folder and language each.

  Raises:
    UsageError: MLSF needs a language for every folder; other methods have one.
  """
  if config.method != "mlsf":
    return [config.data]
  folders = listed(config.data.folder)
  codes = listed(config.data.language)
  if len(folders) != len(codes) or len(set(codes)) != len(codes):
    raise errors.UsageError(
      f"--config.data.folder names {len(folders)} folders and "
      f"--config.data.language {len(codes)} languages",
      expected="a folder and a language of its own for every group of MLSF",
    )
  return [
    dataclasses.replace(config.data, folder=folder, language=code)
    for folder, code in zip(folders, codes, strict=True)
  ]


def check(config: Experiment) -> None:
  """Refuses values that cannot work, before anything is compiled.

  Raises:
    UsageError: names the field, the value and what it may be.
  """
  flat = flatten(config)
  for name, choices in _CHOICES.items():
    if flat[name] not in choices:
      raise errors.UsageError(
        f"--config.{name}={flat[name]!r}", expected="one of " + repr(choices)
      )
  for name in _POSITIVE:
    if flat[name] < 1:
      raise errors.UsageError(
        f"--config.{name}={flat[name]}", expected="at least 1"
      )
  if config.model.width % (2 * config.model.heads):
    raise errors.UsageError(
      f"--config.model.width={config.model.width}",
      expected=f"an even multiple of model.heads={config.model.heads}",
    )
  if config.data.batch_size % config.optim.accumulate:
    raise errors.UsageError(
      f"--config.data.batch_size={config.data.batch_size}",
      expected=f"a multiple of optim.accumulate={config.optim.accumulate}",
    )
  groups = len(corpora(config))
  if config.data.batch_size % groups:
    raise errors.UsageError(
      f"--config.data.batch_size={config.data.batch_size}",
      expected=f"a multiple of {groups}, the number of languages",
    )
  if unknown := set(listed(config.frozen)) - set(listed(config.data.language)):
    raise errors.UsageError(
      f"--config.frozen={config.frozen!r}",
      expected="codes of --config.data.language, with method mlsf",
      hint=f"Remove {', '.join(sorted(unknown))}",
    )
  if not config.data.folder:
    raise errors.UsageError(
      "no data: --config.data.folder is empty",
      expected="a folder built by `python -m data_pipeline build`, or one "
      "with train.skels and train.text",
    )


def to_json(config: Experiment) -> str:
  """Readable JSON of all fields."""
  return json.dumps(dataclasses.asdict(config), indent=2) + "\n"


def from_json(text: str) -> Experiment:
  """The configuration of `to_json`; unknown fields are errors.

  Raises:
    DataError: not such JSON.
  """

  def build(kind, values):
    known = {field.name: field for field in dataclasses.fields(kind)}
    unknown = set(values) - set(known)
    if unknown:
      raise errors.DataError(
        "unknown configuration fields " + ", ".join(sorted(unknown)),
        hint="It was written by another version of signllm_jax",
      )
    return kind(
      **{
        name: build(known[name].type, value)
        if isinstance(value, dict)
        else value
        for name, value in values.items()
      }
    )

  try:
    values = json.loads(text)
  except json.JSONDecodeError as error:
    raise errors.DataError(f"not JSON: {error}") from error
  if not isinstance(values, dict):
    raise errors.DataError("not a configuration", expected="a JSON object")
  return build(Experiment, values)


def differences(old: Experiment, new: Experiment) -> list[str]:
  """Fields that differ, as `name: old -> new`."""
  a, b = flatten(old), flatten(new)
  return [
    f"{name}: {a[name]!r} -> {b[name]!r}" for name in a if a[name] != b[name]
  ]

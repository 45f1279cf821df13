"""The configuration: typed dataclasses, one comment a field.

A file in `configs/` returns an `Experiment`. Every field can be set on the
command line (`--config.model.width=128`); a name that does not exist and a
value of another type are errors. The resolved configuration is stored as JSON
beside the checkpoints.
"""

import dataclasses
from typing import Any

from signllm_jax.core import errors


@dataclasses.dataclass
class Data:
  """Where records come from and how they are batched."""

  folder: str = ""  # built data set (dataset_info.json) or folder of .skels;
  # several, one a language, separated by commas
  language: str = ""  # code of the sign language; checked against the records
  source: str = "text"  # what the model reads: "text", "prompt" (the text as a
  # question) or "gloss"
  tokens: str = "words"  # split the source into "words" or "characters", or
  # "words+characters": words rarer than min_count are spelt
  glosses: bool = False  # batches hold the glosses beside the source, as words
  clean_glosses: str = ""  # codes of languages whose glosses are cleaned as
  # scores on PHOENIX14T take them; task text_to_gloss
  min_count: int = 1  # rarer tokens of the source become <unk>
  batch_size: int = 32  # examples a step, over all devices and languages
  bucket: int = 32  # lengths are padded to a multiple of this many frames, or
  # tokens where there are no frames
  max_frames: int = 300  # longer training examples are cut
  temperature: float = 1.0  # of languages that share a model: each is drawn in
  # proportion to its size ** (1 / temperature)
  fps: float = 25.0  # frame rate of a folder of .skels, which does not say
  threads: int = 2  # readers ahead of the step
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
  future: int = 1  # frames that each step is taught to predict; PT's future
  # prediction has 10. Signing keeps the first
  alignment: bool = False  # learn how long each source token lasts
  normalize: bool = True  # centre poses on the training mean, to unit scale
  compute_dtype: str = "float32"  # or "bfloat16"; parameters stay float32
  remat: bool = False  # keep a layer's input alone for the backward pass and
  # compute the rest again: less memory, a third more work
  scan: bool = False  # layers of one form are one loop: a program as large as
  # that of a single layer, for deep models; a fifth slower on CPU


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
class Read:
  """Pose to text, for back-translation (section 8)."""

  subsample: int = 4  # frames an encoder step: a convolution halves the rate
  ctc_weight: float = 1.0  # of the glosses' loss; they need data.glosses
  translation_weight: float = 1.0  # of the text's loss
  label_smoothing: float = 0.1
  token_dropout: float = 0.1  # share of the decoder's inputs that are hidden
  stretch: float = 0.2  # clips are up to this share slower or faster
  jitter: float = 0.05  # noise on joints, in the poses' standard deviations
  smooth: float = 0.3  # share of clips whose frames are averaged in threes
  beam: int = 4  # hypotheses of the text, prefixes of the gloss
  length_penalty: float = 1.0  # alpha of GNMT; 0: none


@dataclasses.dataclass
class Gloss:
  """Text to gloss (section 5)."""

  weight: float = 1.0  # of its loss beside the poses', in text2langgloss
  label_smoothing: float = 0.1
  source_dropout: float = 0.0  # share of the source's tokens that are hidden
  token_dropout: float = 0.0  # share of the decoder's inputs that are hidden
  beam: int = 4  # hypotheses
  length_penalty: float = 1.0  # alpha of GNMT; 0: none


@dataclasses.dataclass
class Reinforce:
  """The RL loss (section 6): a reward a frame, a policy that is sampled."""

  loss: str = ""  # "": that of `loss` alone. "reward_mse": minus the rewards,
  # which is the mean squared error of every frame. "policy_gradient": poses
  # are also sampled free-running, and their reward teaches
  reward: str = "mse"  # of what is sampled: minus the "mse" of each frame, or
  # minus the "dtw" of the whole sequence
  weight: float = 1.0  # of the policy gradient
  regression_weight: float = 1.0  # of the regression of `loss` beside it
  std: float = 0.1  # of the policy, in standard deviations of the poses
  samples: int = 4  # of each example; a sample's baseline is the others' mean


@dataclasses.dataclass
class Priority:
  """Priority Learning Channel (section 6): which examples a step learns from.

  An example's reward is minus its mean squared error when it was last drawn,
  or what its samples earned.
  """

  pool: int = 0  # candidates for each row of a batch; 0: no channel, every
  # example once an epoch
  eta: float = 1.0  # power of the priorities; 0: all alike
  tau: float = 1.0  # priority exp(reward / tau), in mean errors
  floor: float = 0.5  # share of the candidates, those of low priority, that are
  # skipped; 0: none
  hard: bool = False  # priority to large errors instead of small ones
  importance: float = 0.0  # power of the weights that undo the choice in the
  # loss (prioritised replay, Schaul et al. 2016); 0: none, 1: in full
  parts: int = 1  # of the pool, each drawing its share; a multiple of the
  # devices along data and fsdp keeps frames where they are


@dataclasses.dataclass
class Optim:
  """Adam with a schedule."""

  schedule: str = "cosine"  # "cosine", "constant" or PT's "plateau"
  learning_rate: float = 1e-3  # its peak
  warmup_steps: int = 200
  clip_norm: float = 5.0  # global gradient norm
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
  task: str = "text_to_pose"  # "mlsf": one group a language, side by side;
  # "pose_to_text": back-translation; "text_to_gloss" and
  # "text2langgloss": one model of all languages, to glosses or on to poses
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
  rl: Reinforce = dataclasses.field(default_factory=Reinforce)
  plc: Priority = dataclasses.field(default_factory=Priority)
  read: Read = dataclasses.field(default_factory=Read)
  gloss: Gloss = dataclasses.field(default_factory=Gloss)
  optim: Optim = dataclasses.field(default_factory=Optim)
  mesh: Mesh = dataclasses.field(default_factory=Mesh)
  evaluate: Evaluate = dataclasses.field(default_factory=Evaluate)
  checkpoint: Checkpoint = dataclasses.field(default_factory=Checkpoint)


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
    UsageError: a task of several languages needs one for every folder.
  """
  if config.task not in ("mlsf", "text_to_gloss", "text2langgloss"):
    return [config.data]
  folders = listed(config.data.folder)
  codes = listed(config.data.language)
  if len(folders) != len(codes) or len(set(codes)) != len(codes):
    raise errors.UsageError(
      f"--config.data.folder names {len(folders)} folders and "
      f"--config.data.language {len(codes)} languages",
      expected=f"a folder for every language of task {config.task}",
    )
  return [
    dataclasses.replace(config.data, folder=folder, language=code)
    for folder, code in zip(folders, codes, strict=True)
  ]

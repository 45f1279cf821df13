"""The configuration: typed dataclasses, one comment a field.

A file in `configs/` returns an `Experiment`, which a run stores as JSON. Every
field can be set on the command line (`--config.model.width=128`); unknown names
and values of another type are errors. docs/configuration.md lists all fields.
"""

import dataclasses
from typing import Any

from signllm_jax.core import errors


@dataclasses.dataclass
class Data:
  """Training data and batches."""

  folder: str = ""  # built data set (dataset_info.json) or folder of .skels;
  # several, one a language, separated by commas
  language: str = ""  # code of the sign language; checked against the records
  skeleton: str = "prompt2sign50"  # of the clips, checked against them:
  # "prompt2sign50"; with a face "dwpose128", "dwpose128_lifted", "holistic178"
  source: str = "text"  # input of the model: "text", "prompt" (the text as a
  # question) or "gloss"
  tokens: str = "words"  # unit of the source: "words", "characters" or
  # "words+characters", where words rarer than min_count are spelt
  glosses: bool = False  # batches hold the glosses beside the source, as words
  clean_glosses: str = ""  # codes of languages to clean as for PHOENIX14T
  min_count: int = 1  # rarer tokens of the source become <unk>
  batch_size: int = 32  # samples a step, over all devices and languages
  bucket: int = 32  # lengths are padded to a multiple of this many frames, or
  # tokens where there are no frames
  pack: int = 0  # source tokens of a row of several pairs; 0: a pair a row
  joined: float = 0.0  # share of pairs joined in twos, text to gloss
  max_frames: int = 300  # longer training samples are cut
  temperature: float = 1.0  # languages that share a model are sampled in
  # proportion to size ** (1 / temperature)
  fps: float = 25.0  # frame rate of a folder of .skels, which does not store it
  threads: int = 2  # threads that read ahead of the step
  workers: int = 0  # reader processes instead of threads; 0: none


@dataclasses.dataclass
class Model:
  """Shape of the model (Progressive Transformer, SignLLM's base, section 5)."""

  decoder: str = "regression"  # predicts the next frame; or "flow", which
  # samples whole clips (`flow`)
  encoder_layers: int = 2
  decoder_layers: int = 2
  width: int = 512  # D
  heads: int = 4  # N
  feed_forward: int = 2048  # F
  activation: str = "relu"  # "relu" or "gelu"
  dropout: float = 0.1
  scale_embeddings: bool = False  # multiply source embeddings by sqrt(width)
  repeats: bool = False  # mark source tokens that equal the one before
  affixes: bool = False  # words share vectors of their affixes; text to gloss
  learnt_start: bool = True  # learn the start frame; else it is zero
  just_counter: bool = False  # the counter is the decoder's only input
  future: int = 1  # frames that each step predicts; 10 in PT's future
  # prediction. Inference uses the first
  alignment: bool = False  # learn the duration of each source token
  visibility: bool = True  # learn which joints a frame shows; without it every
  # joint that some clip shows is always shown
  normalize: bool = True  # centre poses on the training mean, to unit scale
  bones: str = "free"  # lengths of produced bones: "free", or "fixed" to their
  # mean over the training clips
  compute_dtype: str = "float32"  # or "bfloat16"; parameters stay float32
  remat: bool = False  # rematerialise: keep only the input of each layer for
  # the backward pass; less memory, a third more computation
  scan: bool = False  # run equal layers as a loop: the program is as large as
  # that of a single layer, for deep models; a fifth slower on CPU


@dataclasses.dataclass
class Flow:
  """Flow matching, of `model.decoder="flow"`: training and sampling."""

  absent: float = 0.1  # share of training samples without their source
  steps: int = 16  # of the solver, from noise to clip
  solver: str = "multistep"  # second order, one evaluation a step; or "euler":
  # first order; or "heun": second order, two evaluations a step
  guidance: float = 1.0  # above 1: away from clips without source, at twice the
  # computation of 1
  temperature: float = 1.0  # of the noise that a clip's frames share


@dataclasses.dataclass
class Loss:
  """Regression over valid cells: padding and missing joints do not count."""

  kind: str = "mse"  # "mse" or "l1"
  counter_weight: float = 1.0  # of the counter; of the length with "flow"
  counter_unit: str = "share"  # error as "share" of the clip, or in "frames"
  frames: float = 1.0  # weight of the poses' errors; the counter has its own
  parts: str = ""  # weights of the errors of parts, such as "face=2,mouth=4"
  bones: float = 0.0  # weight of the relative error of bone lengths
  dtw: float = 0.0  # weight of soft-DTW between the truth and what the model
  # makes with its own durations; 0: none
  dtw_gamma: float = 0.1  # temperature, in units of the cost
  dtw_window: int = 0  # Sakoe-Chiba half width in frames; 0: none
  dtw_cost: str = "mean_joint"  # of frames: or "l1", "l2", "squared_l2"


@dataclasses.dataclass
class Augment:
  """Augmentation of the decoder's input (section 5)."""

  noise: float = 5.0  # Gaussian noise, in stds of the last epoch's residuals


@dataclasses.dataclass
class Read:
  """Pose to text, for back-translation (section 8)."""

  subsample: int = 4  # frames an encoder step, a power of two
  ctc_weight: float = 1.0  # weight of the gloss loss; needs data.glosses
  translation_weight: float = 1.0  # weight of the text loss
  label_smoothing: float = 0.1
  token_dropout: float = 0.1  # share of the decoder's inputs that are dropped
  stretch: float = 0.2  # clips become slower or faster by up to this share
  jitter: float = 0.05  # noise on joints, in standard deviations of the poses
  smooth: float = 0.3  # share of clips with frames averaged in threes
  beam: int = 4  # hypotheses of the text, prefixes of the gloss
  length_penalty: float = 1.0  # alpha of GNMT; 0: none


@dataclasses.dataclass
class Gloss:
  """Text to gloss (section 5)."""

  weight: float = 1.0  # weight of the gloss loss in text2langgloss
  label_smoothing: float = 0.1
  source_dropout: float = 0.0  # share of the source's tokens that are dropped
  token_dropout: float = 0.0  # share of the decoder's inputs that are dropped
  beam: int = 4  # hypotheses
  length_penalty: float = 1.0  # alpha of GNMT; 0: none
  samples: int = 0  # of each text, for minimum Bayes risk; 0: the beam's best


@dataclasses.dataclass
class Reinforce:
  """Reinforcement learning loss (section 6)."""

  loss: str = ""  # "": only `loss`. "reward_mse": minus the rewards, the mean
  # squared error of every frame. "policy_gradient": also REINFORCE on poses
  # that are sampled free-running
  reward: str = "mse"  # of samples: minus the "mse" of each frame; free running
  # on the model's own durations, minus the "dtw" distance, or minus the share
  # of the true "motion" that the joints lack or have too much; or the mean
  # log-probability of the text's tokens that `reader` finds: "recognition"
  reader: str = ""  # work directory of the model that reads, with "recognition"
  weight: float = 1.0  # of the policy gradient
  balance: float = 0.3  # largest norm of the policy's gradient, as a share of
  # the regression's; 0: no limit
  regression_weight: float = 1.0  # of `loss` beside the policy gradient
  std: float = 0.1  # of the policy, in standard deviations of the poses
  samples: int = 4  # sequences of each text; the baseline is the others' mean


@dataclasses.dataclass
class Priority:
  """Priority Learning Channel (section 6): prioritised sampling of batches.

  A sample's reward is minus its mean squared error when it was last drawn, or
  the mean reward of the sequences sampled by the policy.
  """

  pool: int = 0  # candidates for each row of a batch; 0: no channel, every
  # sample once an epoch
  eta: float = 1.0  # exponent of the priorities; 0: all equal
  tau: float = 1.0  # priority exp(reward / tau), in multiples of the mean error
  floor: float = 0.5  # share of the candidates, those of the lowest priority,
  # that are skipped; 0: none
  hard: bool = False  # prefer large errors instead of small ones
  importance: float = 0.0  # exponent of the importance weights in the loss
  # (prioritised replay, Schaul et al. 2016); 0: none, 1: full correction
  parts: int = 1  # parts of the pool that are sampled independently; with a
  # multiple of the devices along data and fsdp no frame changes its device


@dataclasses.dataclass
class Optim:
  """Adam or Muon with a learning rate schedule."""

  kind: str = "adam"  # or "muon": Muon for the layers' matrices
  schedule: str = "cosine"  # "cosine", "constant" or PT's "plateau"
  learning_rate: float = 1e-3  # peak
  warmup_steps: int = 200
  clip_norm: float = 5.0  # of the global gradient norm
  beta2: float = 0.999
  weight_decay: float = 0.0
  accumulate: int = 1  # micro-batches that a batch is split into
  ema: float = 0.0  # decay of the weights' moving average, with which the model
  # is evaluated, signs and is exported; 0: none


@dataclasses.dataclass
class Mesh:
  """Devices along each axis; -1: all that are left."""

  data: int = -1  # splits batches
  fsdp: int = 1  # splits batches and parameters
  tensor: int = 1  # splits heads and feed-forward layers
  language: int = 1  # splits the groups of MLSF


@dataclasses.dataclass
class Evaluate:
  """Free-running evaluation during training."""

  split: str = "dev"
  every: int = 500  # steps; 0: only at the end
  batch_size: int = 64
  length_limit: float = 1.5  # most frames, as a multiple of the longest sample
  loss: bool = True  # also the training loss, without dropout and noise
  clips: int = 4  # shown by the writers, produced and true


@dataclasses.dataclass
class Checkpoint:
  """Checkpoints on disk."""

  every: int = 500  # steps
  keep: int = 2  # latest checkpoints, besides the best


@dataclasses.dataclass
class Experiment:
  """A run."""

  name: str = "signllm"
  task: str = "text_to_pose"  # "mlsf": one group a language, side by side;
  # "pose_to_text": back-translation; "text_to_gloss" and "text2langgloss": one
  # model of all languages, to glosses or on to poses
  frozen: str = ""  # codes of MLSF's languages that do not learn
  seed: int = 0
  steps: int = 10_000
  patience: int = 0  # evaluations without a better score until training stops;
  # 0: never
  log_every: int = 50  # steps
  histograms_every: int = 0  # steps, of weights and gradients; 0: none
  writers: str = "tensorboard"  # of scores and clips; also "mlflow"; by commas
  non_finite: str = "stop"  # or "skip": leave out such a step and count it
  non_finite_limit: int = 10  # steps that may be skipped in a row
  compilation_cache: bool = True  # keep compiled programs between runs
  data: Data = dataclasses.field(default_factory=Data)
  model: Model = dataclasses.field(default_factory=Model)
  flow: Flow = dataclasses.field(default_factory=Flow)
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
  """Maps field names with dots to values."""
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
  """Splits a field at its commas."""
  return [part.strip() for part in value.split(",") if part.strip()]


def corpora(config: Experiment) -> list[Data]:
  """Returns the settings of each corpus of a run: one folder and language.

  Raises:
    UsageError: a task of several languages has not a folder for each.
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

"""Signs texts: `python -m signllm_jax.produce --workdir=... --text=...`.

Takes the best checkpoint of a run. Generation is free running: the model starts
from its own first frame and ends by its own counter.
"""

import dataclasses
import os
import pathlib
import sys
import time
from collections.abc import Sequence

from signllm_jax import config as config_lib
from signllm_jax.core import clips, errors, paths
from signllm_jax.evaluation import signing
from signllm_jax.inference import (
  clip_files,
  gloss_flags,
  load,
  long_text,
  pauses,
  postprocess,
  produce_flags,
  produce_summary,
  text_input,
  text_signer,
)
from signllm_jax.parallel import compilation_cache
from signllm_jax.visualization import render

SIZES = (64, 1024)  # pixels, of a clip in a picture


@dataclasses.dataclass(frozen=True)
class Request:
  """The texts to sign, the options of signing and the file to write.

  One of `texts`, `prompts`, `file` and `split` is given.

  Attributes:
    texts: what to sign.
    prompts: questions that quote it, and may name the language.
    file: UTF-8 file with one text a line.
    split: sign the texts of this split of the run's data, drawn beside their
      truth.
    count: the first texts of the split; 0: all.
    language: code of the sign language, where the model knows several and no
      text names one.
    convention: of .skels.
    size: width in pixels of a clip in pictures.
    form: openpose, dwpose or dwpose_npz, where a folder with a file a frame is
      written.
    options: of the postprocessing.
    pause: seconds between words that are spelt.
    dtype: of the model's products, as of `text_signer.TextSigner`.
    samples: of each text, of which the best is kept (`rerank.BestOf`).
    judge: work directory of the reader that ranks samples.
    seed: of a generative decoder or of the samples, 0 to
      `text_signer.MAX_SEED`; 0 if None.
    glosses: how glosses are written, where no poses are asked for.
  """

  texts: Sequence[str] = ()
  prompts: Sequence[str] = ()
  file: str | os.PathLike | None = None
  split: str | None = None
  count: int = 0
  language: str = ""
  convention: str = "prompt2sign"
  size: int = 320
  form: str = ""
  options: postprocess.Options = postprocess.UNCHANGED
  pause: float = pauses.SECONDS
  dtype: str = ""
  samples: int = 1
  judge: str | os.PathLike = ""
  seed: int | None = None
  glosses: gloss_flags.GlossOptions = gloss_flags.AS_TRAINED


def produce(
  path: str | os.PathLike, out: str | os.PathLike, request: Request
) -> list[long_text.SignedText]:
  """Signs texts with the model of a work directory and writes the clips.

  Notes and progress go to stderr, the result to stdout.

  Args:
    path: work directory of a run, or a model file.
    out: the file to write, also in a bucket; suffixes: `clip_files.save`.
    request: what to sign.

  Returns:
    The signed texts, in order; none where only glosses were asked for.

  Raises:
    UsageError: the request cannot be met.
    DataError: a fault in the file of texts or in the run's data.
    NonFiniteError: the model gives NaN or infinity.
    StorageError: a file cannot be written, or no checkpoint read.
  """
  _check_request(request)
  model = text_signer.TextSigner(path, dtype=request.dtype)
  lines = _read_lines(request)
  model.choose(request.language, [line.text for line in lines])
  target = _prepare_target(out, request, model.config)
  if request.split:
    code, batch = model.prepare_split(
      request.split, request.count, request.language
    )
  else:
    mode = "prompt" if request.prompts else "text"
    code, batch = model.prepare(lines, mode=mode, language=request.language)
  notes = list(batch.notes)
  target_signs = target.suffix.lower() != ".gloss"
  if request.seed is not None and not (
    request.judge or (model.stochastic and target_signs)
  ):
    notes.append(text_signer.SEED_NOTE)
  for note in notes:
    print(f"note: {note}", file=sys.stderr)
  compilation_cache.enable()
  if not target_signs:
    writer = load.load_glosser(path, code, request.glosses)
    produce_summary.write_glosses(writer, batch.sources, target)
    return []
  return _write_clips(model, code, batch, target, request)


def _write_clips(
  model: text_signer.TextSigner,
  code: str,
  batch: text_input.TextBatch,
  target: paths.AnyPath,
  request: Request,
) -> list[long_text.SignedText]:
  """Signs, writes the clips and prints the summary."""
  sampler, seed = None, request.seed or 0
  if request.judge:
    sampler = model.best_of(code, request.samples, request.judge, seed)
  model.producer(code)  # loaded before the clock starts
  began = time.perf_counter()
  signed = []
  with produce_summary.progress(batch.parts) as (on_text, on_frames):
    for text in model.sign(
      batch.parts,
      code,
      request.options,
      seed=seed,
      sampler=sampler,
      on_frames=on_frames,
      pauses=pauses.in_seconds(batch.pauses, request.pause),
    ):
      signed.append(text)
      on_text()
  seconds = time.perf_counter() - began
  signed = _name(signed, batch.true, target.stem)
  produced = [text.clip for text in signed]
  if len(produced) > 1 and target.suffix.lower() in render.SUFFIXES:
    print(f"drawing {len(produced)} clips", file=sys.stderr)
  files = clip_files.save(
    target,
    produced,
    batch.true,
    convention=request.convention,
    size=request.size,
    form=request.form,
  )
  print(produce_summary.table(signed, seconds))
  if sampler:
    print(sampler.table())
  last = f" to {files[-1]}" if len(files) > 3 else ""
  print("wrote", *files[: 1 if last else 3], end=f"{last}\n")
  return signed


def _check_request(request: Request) -> None:
  sources = {
    "--text": request.texts,
    "--prompt": request.prompts,
    "--file": request.file,
    "--split": request.split,
  }
  given = [name for name, value in sources.items() if value]
  if len(given) != 1:
    raise errors.UsageError(
      " and ".join(given) + " given" if given else "nothing to sign",
      expected="exactly one of --text, --prompt, --file and --split",
    )
  if request.count and not request.split:
    raise errors.UsageError("--count without --split")
  if request.count < 0:
    raise errors.UsageError(
      f"--count={request.count}", expected="0 (all) or more"
    )
  smallest, largest = SIZES
  if not smallest <= request.size <= largest:
    raise errors.UsageError(
      f"--size={request.size}", expected=f"{smallest} to {largest} pixels"
    )
  text_signer.check_samples(request.samples, request.judge)
  if request.seed is not None:
    text_signer.check_seed(request.seed)
  postprocess.check(request.options)
  pauses.check(request.pause)


def _read_lines(request: Request) -> list[text_input.TextInput]:
  """The texts or prompts, with their place if in a file; none of a split."""
  if request.file:
    return text_input.read_file(request.file)
  return [
    text_input.TextInput(line) for line in (*request.texts, *request.prompts)
  ]


def _prepare_target(
  out: str | os.PathLike, request: Request, config: config_lib.Experiment
) -> paths.AnyPath:
  """Checks the path to write, and makes its folder.

  Raises:
    UsageError: an unknown suffix, or it would overwrite what is read.
  """
  glosses = paths.resolve(out).suffix.lower() == ".gloss"
  if glosses and request.split:
    raise errors.UsageError("--split with a file of glosses")
  if not glosses and request.glosses != gloss_flags.AS_TRAINED:
    raise errors.UsageError(
      "--ensemble or --gloss_ options without a file of glosses",
      expected="--out=NAME.gloss",
    )
  suffixes = (".gloss",) if glosses else clip_files.SUFFIXES
  target = clip_files.prepare(out, suffixes, request.form)
  file = request.file
  if not isinstance(target, pathlib.Path):
    return target  # nothing local is overwritten
  for written in clip_files.targets(target, 1):
    if file and written.resolve() == pathlib.Path(file).resolve():
      raise errors.UsageError("--out would overwrite --file", path=written)
  folder = pathlib.Path(config.data.folder).resolve()
  if target.suffix.lower() == ".skels" and target.parent.resolve() == folder:
    raise errors.UsageError(
      "--out is in the folder of the model's training data", path=target
    )
  return target


def _name(
  signed: Sequence[long_text.SignedText],
  true: Sequence[clips.Clip] | None,
  stem: str,
) -> list[long_text.SignedText]:
  """Gives each clip the name and texts of the truth, or a numbered name."""
  produced = [text.clip for text in signed]
  if true is not None:
    produced = signing.with_true_labels(produced, true)
  else:
    produced = [
      dataclasses.replace(clip, name=f"{stem}-{number:03}")
      for number, clip in enumerate(produced, 1)
    ]
  return [
    text._replace(clip=clip)
    for text, clip in zip(signed, produced, strict=True)
  ]


def main(arguments: Sequence[str] | None = None) -> int:
  """The command; returns the exit code."""
  args = produce_flags.parser().parse_args(arguments)
  request = Request(
    texts=args.text,
    prompts=args.prompt,
    file=args.file,
    split=args.split,
    count=args.count,
    language=args.language,
    convention=args.convention,
    size=args.size,
    form=args.form,
    options=postprocess.Options(args.speed, args.smooth, args.constant_bones),
    pause=args.pause,
    dtype=args.dtype,
    samples=args.samples,
    judge=args.judge,
    seed=args.seed,
    glosses=gloss_flags.read(args),
  )
  return errors.exit_code_of(lambda: produce(args.workdir, args.out, request))


if __name__ == "__main__":
  sys.exit(main())

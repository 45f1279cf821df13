"""Signs texts: `python -m signllm_jax.produce --workdir=... --text=...`.

Takes the best checkpoint of a run. Nothing of the truth is used: the model
starts from its own frame and ends by its own counter.
"""

import dataclasses
import os
import pathlib
import sys
import time
from collections.abc import Sequence

from signllm_jax.core import atomic_files, clips, errors, gloss
from signllm_jax.evaluation import signing
from signllm_jax.inference import (
  clip_files,
  glosser,
  load,
  long_text,
  postprocess,
  produce_flags,
  produce_summary,
  rerank,
  text_input,
)
from signllm_jax.parallel import compilation_cache
from signllm_jax.runs import restore
from signllm_jax.visualization import render

SIZES = (64, 1024)  # pixels, of a clip in a picture
_SHOWN = 20  # glosses on the terminal


def produce(
  path: str | os.PathLike,
  out: str | os.PathLike,
  *,
  texts: Sequence[str] = (),
  prompts: Sequence[str] = (),
  file: str | os.PathLike | None = None,
  split: str | None = None,
  count: int = 0,
  language: str = "",
  convention: str = "prompt2sign",
  size: int = 320,
  form: str = "",
  options: postprocess.Options = postprocess.UNCHANGED,
  dtype: str = "",
  samples: int = 1,
  judge: str | os.PathLike = "",
  seed: int = 0,
) -> list[long_text.SignedText]:
  """Signs texts with the model of a work directory and writes the clips.

  One of `texts`, `prompts`, `file` and `split` says what. Notes and progress go
  to stderr, the result to stdout.

  Args:
    path: work directory of a run.
    out: what to write; `clip_files.save` says what the suffixes mean.
    texts: what to sign.
    prompts: questions that quote it, and may name the language.
    file: UTF-8 file with one text a line.
    split: sign the texts of this split of the run's data, drawn beside their
      truth.
    count: so many of the split; 0: all.
    language: code of the sign language, where the model knows several and no
      text names one.
    convention: of .skels.
    size: width in pixels of a clip in pictures.
    form: openpose or dwpose, where `out` is a folder of JSON.
    options: how the clips are finished.
    dtype: of the model's products, as of `load.load_producer`.
    samples: of each text, of which the best is kept (`best_of`).
    judge: work directory of the reader that says which is best.
    seed: of the samples.

  Returns:
    The passages, in order; none where glosses alone were asked for.

  Raises:
    UsageError: the request cannot be met.
    DataError: a fault in the file of texts or in the run's data.
    NonFiniteError: the model gives NaN or infinity.
    StorageError: a file cannot be written, or no checkpoint read.
  """
  _check_request(texts, prompts, file, split, count, size)
  if (samples > 1) != bool(judge):
    raise errors.UsageError(
      "--samples and --judge go together",
      hint="Train what reads with --config=configs/back_translation.py",
    )
  postprocess.check(options)
  described = restore.describe(path)
  lines = [text_input.TextInput(line) for line in (*texts, *prompts)]
  if file:
    lines = text_input.read_file(file)
  chosen = load.choose(described, language, [line.text for line in lines])
  glosses = pathlib.Path(out).suffix.lower() == ".gloss"
  if glosses and split:
    raise errors.UsageError("--split with a file of glosses")
  target = clip_files.prepare(
    out, [".gloss"] if glosses else clip_files.SUFFIXES, form
  )
  _check_target(target, described.config, file)
  if split:
    task = text_input.read_split(chosen.settings, chosen.info, split, count)
  else:
    if prompts:
      lines = [
        text_input.TextInput(text_input.quoted_text(line, chosen.settings))
        for line in prompts
      ]
    task = text_input.prepare_all(lines, chosen.info)
  for note in task.notes:
    print(f"note: {note}", file=sys.stderr)
  compilation_cache.enable()
  if glosses:
    _write_glosses(load.load_glosser(path, chosen.code), task, target)
    return []
  signer = producer = load.load_producer(path, chosen.code, dtype)
  if judge:
    reader = load.load_reader(judge)
    std = described.config.rl.std
    signer = rerank.BestOf(producer, reader, samples, std, seed)
  began = time.perf_counter()
  signed = produce_summary.sign_with_progress(signer, task.parts, options)
  seconds = time.perf_counter() - began
  signed = _name(signed, task.true, target.stem)
  made = [one.clip for one in signed]
  if len(made) > 1 and target.suffix.lower() in render.SUFFIXES:
    print(f"drawing {len(made)} clips", file=sys.stderr)
  files = clip_files.save(
    target, made, task.true, convention=convention, size=size, form=form
  )
  print(produce_summary.table(signed, seconds))
  if isinstance(signer, rerank.BestOf):
    print(signer.table())
  last = f" to {files[-1]}" if len(files) > 3 else ""
  print("wrote", *files[: 1 if last else 3], end=f"{last}\n")
  return signed


def _write_glosses(
  model: glosser.Glosser, task: text_input.TextBatch, target: pathlib.Path
) -> None:
  """Writes the gloss of each text, a line each, and shows the first."""
  marked = model.write(task.sources)
  assert marked is not None  # nobody stops it
  lines = [gloss.strip_marks(line) for line in marked]
  atomic_files.write_text(target, "".join(f"{line}\n" for line in lines))
  for source, line in zip(task.sources[:_SHOWN], lines, strict=False):
    print(f"{text_input.quote(source)}: {line}")
  print(f"wrote {target}")


def _check_request(texts, prompts, file, split, count: int, size: int) -> None:
  given = {
    "--text": texts,
    "--prompt": prompts,
    "--file": file,
    "--split": split,
  }
  chosen = [name for name, value in given.items() if value]
  if len(chosen) != 1:
    raise errors.UsageError(
      " and ".join(chosen) + " given" if chosen else "nothing to sign",
      expected="exactly one of --text, --prompt, --file and --split",
    )
  if count and not split:
    raise errors.UsageError("--count without --split")
  if count < 0:
    raise errors.UsageError(f"--count={count}", expected="0 (all) or more")
  if not SIZES[0] <= size <= SIZES[1]:
    raise errors.UsageError(
      f"--size={size}", expected=f"{SIZES[0]} to {SIZES[1]} pixels"
    )


def _check_target(target: pathlib.Path, config, file) -> None:
  """Refuses to write over what is read."""
  for written in clip_files.targets(target, 1):
    if file and written.resolve() == pathlib.Path(file).resolve():
      raise errors.UsageError("--out would overwrite --file", path=written)
  folder = pathlib.Path(config.data.folder).resolve()
  if target.suffix.lower() == ".skels" and target.parent.resolve() == folder:
    raise errors.UsageError(
      "--out is in the folder of the model's training data", path=target
    )


def _name(
  signed: Sequence[long_text.SignedText],
  true: Sequence[clips.Clip] | None,
  stem: str,
) -> list[long_text.SignedText]:
  """Gives each clip the truth's name and texts, or a name of its own."""
  made = [one.clip for one in signed]
  if true is not None:
    made = signing.named(made, true)
  else:
    made = [
      dataclasses.replace(clip, name=f"{stem}-{number:03}")
      for number, clip in enumerate(made, 1)
    ]
  return [
    one._replace(clip=clip) for one, clip in zip(signed, made, strict=True)
  ]


def main(arguments: Sequence[str] | None = None) -> int:
  """The command; returns the exit code."""
  args = produce_flags.parser().parse_args(arguments)
  return errors.exit_code_of(
    lambda: produce(
      args.workdir,
      args.out,
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
      dtype=args.dtype,
      samples=args.samples,
      judge=args.judge,
      seed=args.seed,
    )
  )


if __name__ == "__main__":
  sys.exit(main())

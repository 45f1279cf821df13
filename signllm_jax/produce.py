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

from signllm_jax import (
  account,
  best_of,
  export_clips,
  glosser,
  intake,
  passages,
  polish,
  produce_options,
  render,
  run,
  trained,
)
from signllm_jax.core import atomic_files, clips, errors, gloss
from signllm_jax.evaluation import signing

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
  manner: polish.Manner = polish.PLAIN,
  dtype: str = "",
  samples: int = 1,
  judge: str | os.PathLike = "",
  seed: int = 0,
) -> list[passages.Passage]:
  """Signs texts with the model of a work directory and writes the clips.

  One of `texts`, `prompts`, `file` and `split` says what. Notes and progress go
  to stderr, the result to stdout.

  Args:
    path: work directory of a run.
    out: what to write; `export_clips.save` says what the suffixes mean.
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
    manner: how the clips are finished.
    dtype: of the model's products, as of `trained.load_producer`.
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
  polish.check(manner)
  config = trained.describe(path).config
  lines = [intake.Typed(line) for line in (*texts, *prompts)]
  if file:
    lines = intake.read_file(file)
  chosen = trained.choose(path, language, [line.text for line in lines])
  glosses = pathlib.Path(out).suffix.lower() == ".gloss"
  if glosses and split:
    raise errors.UsageError("--split with a file of glosses")
  target = export_clips.prepare(
    out, [".gloss"] if glosses else export_clips.SUFFIXES, form
  )
  _check_target(target, config, file)
  if split:
    task = intake.of_split(chosen.settings, chosen.facts, split, count)
  else:
    if prompts:
      lines = [
        intake.Typed(intake.of_question(line, chosen.settings))
        for line in prompts
      ]
    task = intake.of_texts(lines, chosen.facts)
  for note in task.notes:
    print(f"note: {note}", file=sys.stderr)
  run.use_compilation_cache()
  if glosses:
    _write_glosses(trained.load_glosser(path, chosen.code), task, target)
    return []
  signer = producer = trained.load_producer(path, chosen.code, dtype)
  if judge:
    reader = trained.load_reader(judge)
    signer = best_of.BestOf(producer, reader, samples, config.rl.std, seed)
  began = time.perf_counter()
  signed = account.sign(signer, task.parts, manner)
  seconds = time.perf_counter() - began
  signed = _name(signed, task.true, target.stem)
  made = [one.clip for one in signed]
  if len(made) > 1 and target.suffix.lower() in render.SUFFIXES:
    print(f"drawing {len(made)} clips", file=sys.stderr)
  files = export_clips.save(
    target, made, task.true, convention=convention, size=size, form=form
  )
  print(account.table(signed, seconds))
  if isinstance(signer, best_of.BestOf):
    print(signer.table())
  last = f" to {files[-1]}" if len(files) > 3 else ""
  print("wrote", *files[: 1 if last else 3], end=f"{last}\n")
  return signed


def _write_glosses(
  model: glosser.Glosser, task: intake.Task, target: pathlib.Path
) -> None:
  """Writes the gloss of each text, a line each, and shows the first."""
  marked = model.write(task.sources)
  assert marked is not None  # nobody stops it
  lines = [gloss.plain(line) for line in marked]
  atomic_files.write_text(target, "".join(f"{line}\n" for line in lines))
  for source, line in zip(task.sources[:_SHOWN], lines, strict=False):
    print(f"{intake.show(source)}: {line}")
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
  for written in export_clips.targets(target, 1):
    if file and written.resolve() == pathlib.Path(file).resolve():
      raise errors.UsageError("--out would overwrite --file", path=written)
  folder = pathlib.Path(config.data.folder).resolve()
  if target.suffix.lower() == ".skels" and target.parent.resolve() == folder:
    raise errors.UsageError(
      "--out is in the folder of the model's training data", path=target
    )


def _name(
  signed: Sequence[passages.Passage],
  true: Sequence[clips.Clip] | None,
  stem: str,
) -> list[passages.Passage]:
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
  args = produce_options.parser().parse_args(arguments)
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
      manner=polish.Manner(args.speed, args.smooth, args.constant_bones),
      dtype=args.dtype,
      samples=args.samples,
      judge=args.judge,
      seed=args.seed,
    )
  )


if __name__ == "__main__":
  sys.exit(main())

"""Options of `python -m signllm_jax.produce`."""

import argparse

from signllm_jax.data import datasets
from signllm_jax.formats import registry
from signllm_jax.inference import gloss_flags, pauses

EXAMPLES = """\
the suffix of --out decides:
  .gif .mp4   a film of the skeleton; several texts play one after another
  .png .svg   a sheet of frames, one row a text
  .npz        all clips with texts, read by NumPy alone
  .skels      one clip a line, with NAME.text and NAME.files beside it: a folder
              that `python -m data_pipeline build` reads
  .pose .bvh  for pose viewers, for Blender; a file a text (NAME-001.bvh ...)
  .h5         keypoints of all clips: x, y as seen from the front, confidence
  --form=openpose, --form=dwpose: --out is a folder of JSON, a file a frame,
              with a folder a text (NAME/NAME-001 ...) if there are several
  .gloss      no poses: the gloss of each text, one a line, by a model that
              writes glosses (configs/text_to_gloss.py, text2langgloss.py)

examples:
  python -m signllm_jax.produce --workdir=runs/quickstart --text=hello \\
      --out=hello.gif
  python -m signllm_jax.produce --workdir=runs/quickstart --split=dev \\
      --count=4 --out=dev.mp4        (produced beside true)
  python -m signllm_jax.produce --workdir=runs/gsl --file=texts.txt \\
      --out=made/test.skels

exit codes: 0 done; 1 wrong request; 2 wrong option; 65 fault in the data;
66 the model gives NaN; 74 fault in storage; 130 interrupted
"""


def parser() -> argparse.ArgumentParser:
  """The options of `signllm_jax.produce`."""
  options = argparse.ArgumentParser(
    prog="python -m signllm_jax.produce",
    description="Signs texts with a trained model.",
    epilog=EXAMPLES,
    formatter_class=argparse.RawDescriptionHelpFormatter,
    allow_abbrev=False,
  )
  _add_texts(options)
  _add_form(options)
  _add_signing(options)
  gloss_flags.add(options)
  return options


def _add_texts(options: argparse.ArgumentParser) -> None:
  """The model, the texts, and where to write."""
  add = options.add_argument
  add(
    "--workdir",
    "--model",
    required=True,
    help="work directory of a training run, or a model file",
  )
  add(
    "--out",
    required=True,
    help="what to write, also to gs://...; its folder is made",
  )
  add(
    "--text", action="append", default=[], help="what to sign; may be repeated"
  )
  add(
    "--prompt",
    action="append",
    default=[],
    help="a question, e.g. \"How do I sign 'sea' in German Sign Language?\"; "
    "may be repeated",
  )
  add("--file", help="UTF-8 file with one text a line")
  add(
    "--split",
    choices=datasets.SPLITS,
    help="sign the texts of this split of the run's data, beside their truth",
  )
  add(
    "--count", type=int, default=0, help="so many of --split; 0 (default) all"
  )
  add(
    "--language",
    default="",
    help="e.g. ASL, where the model signs several and the text names none",
  )


def _add_form(options: argparse.ArgumentParser) -> None:
  """The form of what is written."""
  add = options.add_argument
  add(
    "--convention",
    choices=("prompt2sign", "pt"),
    default="prompt2sign",
    help="of .skels: Prompt2Sign's (default) or Progressive Transformers'",
  )
  add(
    "--form",
    choices=tuple(registry.FRAME_FOLDERS),
    default="",
    help="--out is a folder of JSON or npz, a file a frame, of this form",
  )
  add("--size", type=int, default=320, help="width of a clip in pixels (320)")


def _add_signing(options: argparse.ArgumentParser) -> None:
  """Postprocessing, precision and samples."""
  add = options.add_argument
  add(
    "--speed",
    type=float,
    default=1.0,
    help="of signing, 0.25 to 4 times the model's own (1)",
  )
  add(
    "--pause",
    type=float,
    default=pauses.SECONDS,
    metavar="SECONDS",
    help="between words that are spelt (%(default)s); three times as long at "
    "the end of a sentence",
  )
  add("--smooth", action="store_true", help="remove jitter (one-euro filter)")
  add(
    "--constant-bones",
    action="store_true",
    help="give each bone one length, its median over the clip",
  )
  add(
    "--dtype",
    choices=("float32", "bfloat16"),
    default="",
    help="of the model's products; as it was trained by default",
  )
  add(
    "--samples",
    type=int,
    default=1,
    help="sign every text so often, poses drawn around the model's own by the "
    "run's rl.std, and keep what --judge understands best",
  )
  add(
    "--judge",
    default="",
    help="work directory of a model that reads (configs/back_translation.py)",
  )
  add(
    "--seed",
    type=int,
    help="of a generative decoder (model.decoder=flow): each seed is another "
    "way to sign, and a text that is given twice is signed in two ways; with "
    "--samples, of the samples; 0 to 2**32 - 1 (0)",
  )

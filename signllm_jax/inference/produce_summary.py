"""What `produce` says while it signs, and of what it signed."""

import itertools
import time
from collections.abc import Sequence

import tqdm

from signllm_jax.inference import long_text, postprocess, text_input
from signllm_jax.inference import producer as producer_lib

_SHOWN = 20  # joints of a text


def sign_with_progress(
  producer: producer_lib.BatchProducer,
  texts: Sequence[Sequence[str]],
  options: postprocess.Options,
) -> list[long_text.SignedText]:
  """Signs as `long_text.sign` does, with a bar of progress on stderr."""
  made, frames = [], 0
  began = time.perf_counter()
  with tqdm.tqdm(
    total=len(texts),
    desc="signing",
    unit="text",
    dynamic_ncols=True,
    disable=sum(map(len, texts)) == 1,
  ) as bar:

    def on_frames(more: int) -> None:
      nonlocal frames
      frames += more
      rate = frames / (time.perf_counter() - began)
      bar.set_postfix_str(f"{rate:.0f} frames/s", refresh=False)

    for passage in long_text.sign(producer, texts, options, on_frames):
      made.append(passage)
      bar.update()
  return made


def table(signed: Sequence[long_text.SignedText], seconds: float) -> str:
  """A line a text, and the speed.

  Args:
    signed: the texts.
    seconds: that signing took.
  """
  lines = ["frames  seconds  ended by     text"]
  frames, signing = 0, 0.0
  for clip, finished, _, segments in signed:
    frames += len(clip)
    signing += len(clip) / clip.fps
    end = "its counter" if finished else "the limit  "
    lines.append(
      f"{len(clip):6}  {len(clip) / clip.fps:7.2f}  {end}  "
      + text_input.quote(clip.text)
      + (f": {clip.gloss}" if clip.gloss else "")
    )
    lines += _transitions(segments)
  if cut := sum(not one.finished for one in signed):
    lines.append(
      f"{cut} of {len(signed)} were cut off at the limit of frames: the model "
      "did not come to an end; train it longer, or shorten the text"
    )
  lines.append(
    f"{frames} frames in {seconds:.2f} s, compilation included: "
    f"{frames / seconds:.0f} frames a second, {signing / seconds:.1f} times "
    "real time"
  )
  return "\n".join(lines)


def _transitions(segments: Sequence[long_text.Segment]) -> list[str]:
  """Where the parts of a text were joined, in frames from 0."""
  if len(segments) == 1:
    return []
  shown = ", ".join(
    f"{before.end:.0f}-{max(after.start - 1, before.end):.0f}"
    for before, after in itertools.pairwise(segments[: _SHOWN + 1])
  )
  more = ", ..." if len(segments) > _SHOWN + 1 else ""
  return [f"        {len(segments)} parts, joined in frames {shown}{more}"]

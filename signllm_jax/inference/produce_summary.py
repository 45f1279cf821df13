"""Progress bar and summary table of `produce`."""

import contextlib
import itertools
import time
from collections.abc import Callable, Iterator, Sequence

import tqdm

from signllm_jax.core import atomic_files, gloss, paths
from signllm_jax.inference import display, glosser, long_text

_SHOWN = 20  # transitions of a text, or glosses


@contextlib.contextmanager
def progress(
  texts: Sequence[Sequence[str]],
) -> Iterator[tuple[Callable[[], object], Callable[[int], object]]]:
  """A progress bar on stderr, shown for more than one part.

  Args:
    texts: the parts of each text.

  Yields:
    Two functions to call: after each text, and with each number of new frames.
  """
  frames, began = 0, time.perf_counter()
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

    yield bar.update, on_frames


def table(signed: Sequence[long_text.SignedText], seconds: float) -> str:
  """A line for each text, and the speed.

  Args:
    signed: the texts.
    seconds: the time that signing took.
  """
  lines = ["frames  seconds  ended by     text"]
  frames, signing = 0, 0.0
  for clip, finished, _, segments in signed:
    frames += len(clip)
    signing += len(clip) / clip.fps
    end = "its counter" if finished else "the limit  "
    lines.append(
      f"{len(clip):6}  {len(clip) / clip.fps:7.2f}  {end}  "
      + display.quote(clip.text)
      + (f": {clip.gloss}" if clip.gloss else "")
    )
    lines += _transitions(segments)
  if cut := sum(not text.finished for text in signed):
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
  """The frames, from 0, of the transitions between a text's parts."""
  if len(segments) == 1:
    return []
  shown = ", ".join(
    f"{before.end:.0f}-{max(after.start - 1, before.end):.0f}"
    for before, after in itertools.pairwise(segments[: _SHOWN + 1])
  )
  more = ", ..." if len(segments) > _SHOWN + 1 else ""
  return [f"        {len(segments)} parts, joined in frames {shown}{more}"]


def write_glosses(
  model: glosser.Glosser, sources: Sequence[str], target: paths.AnyPath
) -> None:
  """Writes the gloss of each text, a line each, and prints the first."""
  marked = model.write(sources)
  assert marked is not None  # nobody stops it
  lines = [gloss.strip_marks(line) for line in marked]
  atomic_files.write_text(target, "".join(f"{line}\n" for line in lines))
  for source, line in zip(sources[:_SHOWN], lines, strict=False):
    print(f"{display.quote(source)}: {line}")
  print(f"wrote {target}")

import dataclasses
import subprocess
import time
from xml.etree import ElementTree

import imageio_ffmpeg
import numpy as np
import pytest
from helpers.paths import DATA
from helpers.real_data import real
from PIL import Image, ImageColor, ImageSequence

from signllm_jax.core import clips, errors
from signllm_jax.core.skeleton import PROMPT2SIGN50
from signllm_jax.formats import skels
from signllm_jax.visualization import render, themes, view


def signer(t: int = 6, fps: float = 25.0) -> clips.Clip:
  """A person with open hands that rise slowly; canonical."""
  frames = np.zeros((t, 50, 3), np.float32)
  frames[:, PROMPT2SIGN50.joint("nose")] = [0, -0.2, 0]
  for first, side in ((2, -1), (5, 1)):
    for i, (x, y) in enumerate([(1 / 6, 0), (0.25, 0.28), (0.2, 0.1)]):
      frames[:, first + i, :2] = [side * x, y]
  for root, wrist in (
    (PROMPT2SIGN50.hand("left"), 7),
    (PROMPT2SIGN50.hand("right"), 4),
  ):
    frames[:, root] = frames[:, wrist]
    for finger in range(5):
      for j in range(4):
        frames[:, root + 1 + 4 * finger + j] = frames[:, wrist] + [
          0.02 * (finger - 2),
          -0.03 * (j + 1),
          0,
        ]
  frames[:, 8:, 1] -= 0.005 * np.arange(t)[:, None]
  return clips.Clip(frames, np.ones((t, 50), bool), fps)


def hide(clip: clips.Clip, part: str) -> clips.Clip:
  frames, valid = clip.frames.copy(), clip.valid.copy()
  joints = list(PROMPT2SIGN50.parts[part])
  frames[:, joints], valid[:, joints] = 0, False
  return dataclasses.replace(clip, frames=frames, valid=valid)


def fit(*sequence: clips.Clip) -> view.View:
  return view.fit([view.Geometry(clip) for clip in sequence])


def count(image: np.ndarray, colour: str) -> int:
  return int((image == ImageColor.getrgb(colour)).all(-1).sum())


def test_sizes():
  one = next(render.frames({"a": signer()}))
  assert one.dtype == np.uint8
  assert one.shape[1:] == (320, 3)
  two = next(render.frames({"a": signer(), "b": signer()}))
  assert two.shape == (one.shape[0], 640, 3)
  with_text = next(render.frames({"a": signer()}, "hello"))
  assert with_text.shape[0] > one.shape[0]
  for size in (97, 128, 331):
    h, w, _ = next(render.frames({"a": signer(1)}, "hello", size)).shape
    assert h % 2 == w % 2 == 0
    assert 0 <= w - size <= 1


def test_shorter_clip_holds_its_last_frame():
  images = list(render.frames({"short": signer(2), "long": signer(5)}))
  assert len(images) == 5
  left = [image[:, :320] for image in images]
  right = [image[:, 320:] for image in images]
  assert (left[0] != left[1]).any()
  assert (left[1] == left[4]).all()
  assert (right[3] != right[4]).any()


def test_fingers_have_their_colours():
  image = next(render.frames({"a": signer()}))
  for colour in (*themes.LEFT, *themes.RIGHT):
    assert count(image, colour) > 20, colour


@pytest.mark.parametrize(
  ("part", "gone", "kept"),
  [
    ("left_hand", themes.LEFT, themes.RIGHT),
    ("right_hand", themes.RIGHT, themes.LEFT),
  ],
)
def test_missing_hand_is_not_drawn(part, gone, kept):
  image = next(render.frames({"a": hide(signer(), part)}))
  assert [count(image, colour) for colour in gone[1:]] == [0] * 5
  assert all(count(image, colour) > 20 for colour in kept[1:])
  assert count(image, gone[0]) > 100  # the arm is still there


def test_missing_joint_and_nothing_at_all():
  clip = signer(1)
  clip.valid[:, PROMPT2SIGN50.joint("right_elbow")] = False
  image = next(render.frames({"a": clip}))
  wrist = count(image, themes.RIGHT[0])
  assert wrist < 0.2 * count(image, themes.LEFT[0])
  clip.valid[:] = False
  image = next(render.frames({"a": clip}))
  drawn = (
    *themes.LEFT,
    *themes.RIGHT,
    themes.LIGHT["torso"],
    themes.LIGHT["bone"],
  )
  # The track of the foot has the colour of the bones.
  assert [count(image[:312], colour) for colour in drawn] == [0] * 14


def test_hand_without_its_wrist_stays_in_its_window():
  clip = signer(3)
  clip.valid[1, PROMPT2SIGN50.hand("right")] = False
  clip.frames[1, PROMPT2SIGN50.hand("right")] = 0
  images = list(render.frames({"a": clip}))
  for colour in themes.RIGHT[1:]:
    inset = [count(i[320:468, 8:156], colour) for i in images]
    assert 0.6 * inset[0] < inset[1] < 1.1 * inset[0]


def test_view_is_one_for_all_frames_and_clips():
  still = dataclasses.replace(
    signer(3), frames=np.repeat(signer(1).frames, 3, 0)
  )
  first, _, last = render.frames({"a": still, "b": signer(3)})
  cards = 8 + 304 + 8 + 148  # all but the foot, where time goes on
  assert (first[:cards, :320] == last[:cards, :320]).all()
  wide = dataclasses.replace(signer(3), frames=2 * signer(3).frames)
  assert fit(signer(3), wide).half > 1.5 * fit(still).half
  outlier = signer(100)
  outlier.frames[50, 20] = 1000
  assert fit(outlier).half < 1


def test_gif_times(tmp_path):
  for fps, n, durations in (
    (25, 6, [40] * 6),
    (12.5, 6, [80] * 6),
    (24, 6, [40, 40, 40, 50, 40, 40]),
    (100, 6, [20] * 3),
  ):
    render.save(tmp_path / "a.gif", {"a": signer(n, fps)}, "hello", 96)
    with Image.open(tmp_path / "a.gif") as image:
      assert image.info["loop"] == 0
      pictures = ImageSequence.Iterator(image)
      found = [picture.info["duration"] for picture in pictures]
    assert found == durations
    assert sum(found) == pytest.approx(1000 * n / fps, abs=10)


def test_gif_equals_frames(tmp_path):
  pair = {"produced": signer(4), "true": signer(4)}
  render.save(tmp_path / "a.gif", pair)
  with Image.open(tmp_path / "a.gif") as image:
    for i, expected in enumerate(render.frames(pair)):
      image.seek(i)
      error = np.abs(np.asarray(image.convert("RGB")).astype(int) - expected)
      assert error.mean() < 0.5
      for colour in themes.LIGHT.values():
        own = (expected == ImageColor.getrgb(colour)).all(-1)
        assert not error[own].any(), colour


def test_mp4(tmp_path):
  render.save(tmp_path / "a.mp4", {"a": signer(7, 12.5)}, "hello", 128)
  run = subprocess.run(
    [
      *(imageio_ffmpeg.get_ffmpeg_exe(), "-i", str(tmp_path / "a.mp4")),
      *("-f", "rawvideo", "-pix_fmt", "rgb24", "-"),
    ],
    capture_output=True,
    check=True,
  )
  source = run.stderr.decode().split("Output #0")[0]
  for fact in ("h264", "yuv420p", "12.50 fps", "Duration: 00:00:00.56"):
    assert fact in source
  expected = list(render.frames({"a": signer(7, 12.5)}, "hello", 128))
  images = np.frombuffer(run.stdout, np.uint8).reshape(7, *expected[0].shape)
  error = np.abs(images[3].astype(int) - expected[3])
  assert error.mean() < 3


def test_mp4_whose_encoder_fails(tmp_path, monkeypatch):
  monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", "false")
  with pytest.raises(errors.StorageError, match=r"cannot be encoded"):
    render.save(tmp_path / "a.mp4", {"a": signer(40)})
  assert not list(tmp_path.iterdir())


def test_contact_sheet(tmp_path):
  pair = {"produced": signer(3), "true": signer(9)}
  height = next(render.frames(pair, size=128)).shape[0]
  render.save(tmp_path / "a.png", pair, size=128, columns=4)
  with Image.open(tmp_path / "a.png") as image:
    assert image.size == (4 * 128, 2 * height)
  render.save(tmp_path / "a.png", {"a": signer(2)}, size=128, columns=4)
  with Image.open(tmp_path / "a.png") as image:
    assert image.size == (2 * 128, height)


def test_svg_sheet(tmp_path):
  text = "<script>1 & 2</script> \x00\x1b" + "long " * 99
  pair = render.Scene({"a": signer(3), "<b>": signer(9)}, text)
  scenes = [pair, render.Scene({"a": hide(signer(2), "left_hand")})]
  render.save_scenes(tmp_path / "a.svg", scenes, 100, columns=4)
  assert (tmp_path / "a.svg").stat().st_size < 160_000
  root = ElementTree.parse(tmp_path / "a.svg").getroot()
  spaced = "{http://www.w3.org/2000/svg}"
  title = root.find(f"{spaced}title")
  assert title is not None and title.text and root.get("role") == "img"
  assert title.text.startswith("<script>1 & 2</script> long long")
  figures = root.findall(f"{spaced}g")
  assert len(figures) == 4 + 4 + 2
  # A card of the body and of each hand that is seen.
  cards = [figure.findall(f"{spaced}svg") for figure in figures]
  assert [len(of_figure) for of_figure in cards] == [3] * 8 + [2] * 2
  # Torso, shoulders, neck, head and arms; of each hand the palm, five wedges,
  # five fingers and their halos.
  counts = [
    len(figure.findall(f"{spaced}svg[1]//{spaced}path")) for figure in figures
  ]
  assert counts == [4 + 6 + 2 * 16] * 8 + [4 + 5 + 16] * 2
  words = [each.text for each in root.iter(f"{spaced}text")]
  assert words[0] and words[0].endswith("…") and words.count("<b>") == 4
  assert words.count("0.04 / 0.36 s") == 1
  tags = {each.tag.removeprefix(spaced) for each in root.iter()}
  assert tags == {"svg", "g", "title", "style", "rect", "path", "text"}


def test_scenes_play_one_after_another(tmp_path):
  short, long = render.Scene({"a": signer(3)}), render.Scene({"a": signer(5)})
  pair = render.Scene({"a": signer(4), "b": signer(4)}, "two side by side")
  scenes = [short, pair, long]
  render.save_scenes(tmp_path / "a.gif", scenes, 96)
  with Image.open(tmp_path / "a.gif") as image:
    strip = next(render.frames(*pair, size=96)).shape
    assert image.size == (192, strip[0])
    durations = [p.info["duration"] for p in ImageSequence.Iterator(image)]
  held = 40 + 12 * 40  # the last frame of each scene, half a second more
  assert durations == [*[40] * 2, held, *[40] * 3, held, *[40] * 4, held]


def test_scenes_share_one_palette_and_page(tmp_path):
  scenes = [
    render.Scene({"a": hide(signer(2), part)}, part)
    for part in ("left_hand", "right_hand")
  ]
  render.save_scenes(tmp_path / "a.gif", scenes, 320)
  with Image.open(tmp_path / "a.gif") as image:
    for first, scene in zip((0, 2), scenes, strict=True):
      for i, expected in enumerate(render.frames(*scene)):
        image.seek(first + i)
        found = np.asarray(image.convert("RGB"))
        for colour in themes.LIGHT.values():
          own = (expected == ImageColor.getrgb(colour)).all(-1)
          assert (found[own] == expected[own]).all(), colour


def test_scenes_in_mp4_and_on_a_sheet(tmp_path):
  scenes = [render.Scene({"a": signer(3)}), render.Scene({"a": signer(9)}, "b")]
  render.save_scenes(tmp_path / "a.mp4", scenes, 96)
  count, seconds = imageio_ffmpeg.count_frames_and_secs(str(tmp_path / "a.mp4"))
  assert count == 12 + 2 * 12
  assert seconds == pytest.approx(count / 25, abs=0.01)
  render.save_scenes(tmp_path / "a.png", scenes, 96, columns=4)
  first, second = (next(render.frames(*s, size=96)).shape[0] for s in scenes)
  with Image.open(tmp_path / "a.png") as image:
    assert image.size == (4 * 96, first + second)


def test_errors(tmp_path):
  with pytest.raises(errors.UsageError, match=r"\.gif, \.mp4, \.png, \.svg"):
    render.save(tmp_path / "a.webm", {"a": signer()})
  with pytest.raises(errors.UsageError, match="nothing to draw"):
    next(render.frames({}))
  with pytest.raises(errors.UsageError, match="nothing to draw"):
    render.save(tmp_path / "a.gif", {"a": signer(0)})
  with pytest.raises(errors.UsageError, match="nothing to draw"):
    render.save_scenes(tmp_path / "a.gif", [])
  rates = [render.Scene({"a": signer(fps=fps)}) for fps in (25, 50)]
  with pytest.raises(errors.UsageError, match=r"clips\.resample"):
    render.save_scenes(tmp_path / "a.gif", rates)
  with pytest.raises(errors.UsageError, match=r"clips\.resample"):
    next(render.frames({"a": signer(), "b": signer(fps=50)}))
  broken = signer()
  broken.frames[2, 3, 1] = np.nan
  with pytest.raises(errors.NonFiniteError, match="frame 3: clip 'a'"):
    next(render.frames({"a": broken}))
  for suffix in render.SUFFIXES:
    with pytest.raises(errors.StorageError, match="folder does not exist"):
      render.save(tmp_path / "no" / f"a{suffix}", {"a": signer()})
  assert not list(tmp_path.iterdir())


def test_long_captions_end_in_two_lines():
  short = next(render.frames({"a": signer(1)}, "one line")).shape[0]
  long = next(render.frames({"a": signer(1)}, "word " * 200)).shape[0]
  more = next(render.frames({"a": signer(1)}, "w" * 2000)).shape[0]
  assert short < long
  assert more <= long


def test_real_clips_and_speed():
  path = real(DATA / "phoenix14t_mini" / "dev.skels")
  clip = clips.canonical(next(skels.read(path)))
  start = time.process_time()
  images = list(render.frames({"a": clip}, "tiefer luftdruck"))
  rate = len(images) / (time.process_time() - start)
  assert len(images) == len(clip)
  assert rate > 20  # over 100 on an idle core

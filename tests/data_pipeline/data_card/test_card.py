"""The data card: its numbers, its form, and hostile texts."""

import base64
import collections
import dataclasses
import html.parser
import io
import re
import weakref

import numpy as np
import pytest
from helpers.prompt2sign import PHOENIX, numbers
from PIL import Image

from data_pipeline.building import build, build_plan, record_reader
from data_pipeline.data_card import card, statistics
from data_pipeline.lifting import quality
from signllm_jax.core import clips, errors
from signllm_jax.core.skeleton import PROMPT2SIGN50
from signllm_jax.formats import skels

HOSTILE = (
  "<script>alert(1)</script>",
  "\"><img src=x onerror='alert(2)'>",
  "</title></style><b>&amp;",
  r"$\frac{1}{0}$ %s {0} \n",
  "안녕하세요 שלום \u202egnp.exe",
)
SHARED = "The same TEXT"
VOID = {"meta", "img", "br", "link", "input"}


def write(folder, split: str, sequence: list[clips.Clip]) -> None:
  folder.mkdir(exist_ok=True)
  skels.write(folder / f"{split}.skels", sequence)
  for kind, field in (("text", "text"), ("files", "name"), ("gloss", "gloss")):
    lines = [f"{getattr(clip, field)}\n" for clip in sequence]
    (folder / f"{split}.{kind}").write_text("".join(lines), encoding="utf-8")


def clip(seed: int, text: str, frames: int = 12) -> clips.Clip:
  made = numbers(frames, seed)
  return dataclasses.replace(made, text=text, name=f"clip {seed}", gloss="X")


def build_of(folder, splits: dict[str, list[clips.Clip]]):
  for split, sequence in splits.items():
    write(folder / "source", split, sequence)
  return build.build_dataset(
    build_plan.make_plan(
      "prompt2sign/gsl",
      folder / "data",
      input=folder / "source",
      file_format="array_record",
    )
  )


@pytest.fixture(scope="module")
def built(tmp_path_factory):
  train = [clip(i, text) for i, text in enumerate((*HOSTILE, SHARED, "a b c"))]
  jumpy = clip(7, "far too jumpy", 30)
  jumpy.frames[
    ::2, [PROMPT2SIGN50.joint("left_wrist"), PROMPT2SIGN50.joint("right_wrist")]
  ] *= 500
  handless = clip(8, "a b")
  handless.valid[:, PROMPT2SIGN50.hand("left") :] = False
  handless.frames[:, PROMPT2SIGN50.hand("left") :] = 0
  train += [jumpy, handless, clip(9, "a b")]
  test = [clip(20, SHARED.lower()), clip(1, "unheard of"), clip(21, "a d")]
  return build_of(
    tmp_path_factory.mktemp("card"), {"train": train, "test": test}
  )


@pytest.fixture(scope="module")
def counted(built) -> statistics.DatasetStatistics:
  return statistics.compute(built)


@pytest.fixture(scope="module")
def page(built) -> str:
  path = built.parent / "card.html"
  card.write_card(built, path)
  return path.read_text(encoding="utf-8")


class Reader(html.parser.HTMLParser):
  """Elements with their attributes; text; whether all are closed in order."""

  def __init__(self, page: str):
    super().__init__()
    self.elements: list[tuple[str, dict]] = []
    self.inside = collections.defaultdict(list)  # tag -> first children
    self.words: list[str] = []
    self.open: list[str] = []
    self.feed(page)
    self.close()
    assert not self.open

  def handle_starttag(self, tag, attrs):
    assert len(attrs) == len(dict(attrs)), "an attribute twice"
    if self.open and self.inside[self.open[-1]][-1:] == [None]:
      self.inside[self.open[-1]][-1] = tag
    self.elements.append((tag, dict(attrs)))
    self.inside[tag].append(None)
    if tag not in VOID:
      self.open.append(tag)

  def handle_startendtag(self, tag, attrs):
    self.elements.append((tag, dict(attrs)))

  def handle_endtag(self, tag):
    assert self.open.pop() == tag

  def handle_data(self, data):
    if self.open[-1:] != ["style"]:
      self.words.append(data)

  def of(self, tag: str) -> list[dict]:
    return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(scope="module")
def read(page) -> Reader:
  return Reader(page)


def test_texts_of_the_data_are_escaped(read):
  tags = {tag for tag, _ in read.elements}
  assert not tags & {"script", "b", "link", "iframe", "object", "form"}
  assert len(read.of("title")) == 1 + len(read.of("svg"))
  assert len(read.of("style")) == 1
  for _, attributes in read.elements:
    assert not any(name.startswith("on") for name in attributes)
  shown = "".join(read.words)
  # In an example or a list, each of them can be read as it is.
  assert sum(text in shown for text in HOSTILE) >= 2


def test_needs_no_network(page, read):
  assert all(each["src"].startswith("data:") for each in read.of("img"))
  links = [each["href"] for each in read.of("a")]
  assert links == ["https://signllm.github.io"]
  assert "@import" not in page
  places = re.findall(r"url\((.)", page)
  assert set(places) == {"#"}
  assert "default-src 'none'" in str(read.of("meta"))


def test_is_accessible(read):
  images, tables = read.of("img"), read.of("table")
  assert len(images) == 2 * statistics.EXAMPLES and len(tables) == 9
  assert all(each["alt"] for each in images)
  assert read.inside["table"] == ["caption"] * len(tables)
  assert read.inside["svg"] == ["title"] * 5
  assert all(each["role"] == "img" for each in read.of("svg"))
  ids = [each["id"] for _, each in read.elements if "id" in each]
  assert len(ids) == len(set(ids)) > 100
  used = {
    value.lstrip("#")
    for _, attributes in read.elements
    for name, value in attributes.items()
    if name == "xlink:href"
  }
  assert used <= set(ids)
  assert read.of("html") == [{"lang": "en"}]
  levels = [tag for tag, _ in read.elements if re.fullmatch("h[1-6]", tag)]
  assert levels[0] == "h1" and levels.count("h1") == 1


def test_light_and_dark(page):
  """No colour in a plot but the page's, and all of these are defined."""
  pictures = "".join(re.findall(r"<svg.*?</svg>", page, re.DOTALL))
  assert not re.search(r"(fill|stroke|color): *#", pictures)
  used = set(re.findall(r"var\((--[\w-]+)\)", page))
  defined = re.findall(r"(--[\w-]+):", page)
  assert used >= {"--ink", "--series-0", "--series-1", "--missing-4"}
  assert used <= set(defined)
  assert set(collections.Counter(defined).values()) == {2}


def test_examples_are_pictures(read):
  for each in read.of("img"):
    head, _, data = each["src"].partition(",")
    assert head == "data:image/png;base64"
    with Image.open(io.BytesIO(base64.b64decode(data))) as picture:
      assert picture.format == "PNG" and picture.width == 1000


def test_names_the_data_set_and_licence(counted, read):
  shown = "".join(read.words)
  for text in (
    "prompt2sign/gsl",
    "Version 1.0.0, as array_record.",
    "not stated: ask who gave you the data",
    "2405.10718",
    "German Sign Language (GSL)",
    f"{counted.faulty} of 13 clips fail",
  ):
    assert text in shown, text


def test_same_card_for_the_same_build(built, page, tmp_path):
  card.write_card(built, tmp_path / "again.html")
  assert (tmp_path / "again.html").read_text(encoding="utf-8") == page


def test_counts(counted):
  train, test = counted.splits.values()
  assert (train.name, train.clips, train.frames) == ("train", 10, 9 * 12 + 30)
  assert (test.name, test.clips, test.frames) == ("test", 3, 36)
  assert sum(train.seconds) == pytest.approx(train.frames / 25)
  assert train.shards == 1 and train.size > 1000
  # Every clip lacks its last joint once; one has no hands.
  assert train.unseen[-1] == 10 - 1 + 12
  assert train.missing("left_hand") == pytest.approx(12 / 138)
  assert train.missing("right_hand") == pytest.approx((12 + 9 / 21) / 138)
  assert train.missing("body") == 0
  assert counted.glosses == 13 and counted.rule_glosses == 0
  assert counted.languages == {"GSL": 13} and counted.rates == {25.0: 13}
  assert counted.bones.shape == (13, PROMPT2SIGN50.num_bones)
  unseen = np.isnan(counted.bones)  # the hands of one clip
  assert (
    unseen.any(1).sum() == 1
    and unseen.any(0).tolist() == [False] * 4 + [True] * 21
  )


def test_vocabulary(counted):
  assert counted.tokens == "words"
  words = counted.vocabulary("train")
  assert words["a"] == 3 and words["b"] == 3 and words["d"] == 0
  assert counted.vocabulary("test")["d"] == 1
  assert sorted(counted.text_lengths("test")) == [2, 2, 3]
  assert counted.splits["train"].texts["a b"] == 2


def test_overlap_of_splits(counted, read):
  (overlap,) = counted.overlaps()
  assert overlap.splits == ("train", "test")
  assert overlap.texts == [SHARED.lower()]
  assert (overlap.names, overlap.poses) == (1, 1)  # clip 1 is in both
  shown = "".join(read.words)
  assert "train and test" in shown and "overestimate the model" in shown


def test_worst_clips(counted, read):
  (worst, *_) = counted.worst["jitter"]
  assert (worst.split, worst.text) == ("train", "far too jumpy")
  assert worst.value > 10 * counted.worst["jitter"][1].value
  assert counted.worst["hands_missing"][0].name == "clip 8"
  assert all(len(each) <= statistics.WORST for each in counted.worst.values())
  assert "far too jumpy" in "".join(read.words)


def test_examples_do_not_depend_on_the_order(tmp_path):
  """The sample depends on the names alone."""
  chosen = []
  for folder, step in (("a", 1), ("b", -1)):
    (tmp_path / folder).mkdir()
    sequence = [clip(i, "x") for i in range(9)][::step]
    found = statistics.compute(build_of(tmp_path / folder, {"train": sequence}))
    chosen.append([each.name for each in found.splits["train"].examples])
  assert chosen[0] == chosen[1] and len(chosen[0]) == statistics.EXAMPLES


def test_frames_do_not_stay_in_memory(tmp_path, monkeypatch):
  folder = build_of(tmp_path, {"train": [clip(i, "x") for i in range(30)]})
  alive, most = weakref.WeakSet(), []
  measure = quality.measure

  class Seen(np.ndarray):
    """Frames whose life can be followed."""

  def following(each: clips.Clip):
    frames = each.frames.view(Seen)
    alive.add(frames)
    object.__setattr__(each, "frames", frames)
    most.append(len(alive))
    return measure(dataclasses.replace(each, frames=np.asarray(frames)))

  Seen.__hash__ = object.__hash__
  monkeypatch.setattr(statistics.quality, "measure", following)
  statistics.compute(folder)
  assert len(most) == 30 and max(most) <= statistics.EXAMPLES + 2


def test_one_split_and_single_words(tmp_path):
  folder = build_of(tmp_path, {"train": [clip(1, "hello")]})
  card.write_card(folder, tmp_path / "card.html")
  page = (tmp_path / "card.html").read_text(encoding="utf-8")
  assert "Shared between splits" not in page
  assert "The most frequent characters." in page
  Reader(page)


def test_texts_may_be_empty(built, counted):
  empty = {
    name: dataclasses.replace(
      split, texts=collections.Counter({"": split.clips})
    )
    for name, split in counted.splits.items()
  }
  found = dataclasses.replace(counted, splits=empty)
  info = record_reader.open_build(built)
  assert "No clip has a text." in card.render(info, found)
  assert found.overlaps()[0].texts == []


def test_damaged_build(built, tmp_path):
  with pytest.raises(errors.DataError, match="not a complete build"):
    card.write_card(tmp_path, tmp_path / "card.html")
  folder = build_of(tmp_path, {"train": [clip(1, "x")]})
  (shard,) = folder.glob("*train*")
  shard.write_bytes(shard.read_bytes()[:-100])
  with pytest.raises(errors.DataError, match="damaged"):
    card.write_card(folder, tmp_path / "card.html")
  assert not (tmp_path / "card.html").exists()


def test_card_cannot_be_written(built, tmp_path):
  with pytest.raises(errors.StorageError, match="folder does not exist"):
    card.write_card(built, tmp_path / "gone" / "card.html")


def test_real_sentences(tmp_path):
  if not PHOENIX.exists():
    pytest.skip("needs ../shared/data/phoenix14t_mini")
  folder = build.build_dataset(
    build_plan.make_plan(
      "prompt2sign/gsl", tmp_path, input=PHOENIX, file_format="array_record"
    )
  )
  card.write_card(folder, tmp_path / "card.html")
  page = (tmp_path / "card.html").read_text(encoding="utf-8")
  assert "0 of 10 clips fail a limit" in page and "überschwemmungen" in page
  assert len(page) < 2_000_000

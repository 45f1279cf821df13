import dataclasses
import itertools
import json
import pathlib
import re
import shutil
import unicodedata

import numpy as np
import pytest
from helpers import devices, small_runs
from helpers.flow_models import write_flow_model
from helpers.paths import DATA
from PIL import Image, ImageSequence

import signllm_jax.train as train
from signllm_jax import config, produce
from signllm_jax.core import clips, errors, limits, vocabulary
from signllm_jax.core.skeleton import PROMPT2SIGN50
from signllm_jax.data import corpus_info
from signllm_jax.formats import h5, npz, pose, registry, skels, splits
from signllm_jax.inference import clip_files, load, questions, text_input
from signllm_jax.parallel import compilation_cache
from signllm_jax.visualization import render

REAL = DATA / "phoenix14t_mini"
FRAMES = 10
TEXTS = ("regen im norden", "am tag sonne", "in der nacht wind")


def corpus(split: str) -> list[clips.Clip]:
  """Five short clips: cut from real ones, or made of waves."""
  if (REAL / f"{split}.skels").exists():
    real = itertools.islice(splits.read_split(REAL, split), 5)
    return [
      dataclasses.replace(clip, frames=clip.frames[:t], valid=clip.valid[:t])
      for t, clip in enumerate(real, FRAMES - 4)
    ]
  made = []
  for i in range(5):
    t = FRAMES - 4 + i
    pose_0 = np.random.default_rng(i).normal(
      0, 0.2, (PROMPT2SIGN50.num_joints, 3)
    )
    pose_0[PROMPT2SIGN50.joint("neck")] = 1e-4
    pose_0[
      [
        PROMPT2SIGN50.joint("right_shoulder"),
        PROMPT2SIGN50.joint("left_shoulder"),
      ],
      0,
    ] = -0.2, 0.2
    waves = 0.05 * np.sin(np.arange(t) + i)[:, None, None]
    frames = (pose_0 + waves * (np.arange(50) > 7)[:, None]).astype(np.float32)
    valid = np.ones((t, PROMPT2SIGN50.num_joints), bool)
    line = f"{TEXTS[i % 3]} {i + 1}"
    made.append(clips.Clip(frames, valid, 25, f"{split}/{i}", line))
  return made


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> pathlib.Path:
  """Holds `data`, and `run`: a small model, trained on it for 40 steps."""
  home = tmp_path_factory.mktemp("home")
  (home / "data").mkdir()
  for split in ("train", "dev"):
    listed = corpus(split)
    base = home / "data" / split
    skels.write(base.with_suffix(".skels"), listed)
    for kind, values in (
      (".text", [clip.text for clip in listed]),
      (".files", [clip.name for clip in listed]),
    ):
      base.with_suffix(kind).write_text("\n".join(values) + "\n")
  experiment = config.Experiment(
    steps=40,
    compilation_cache=False,
    data=config.Data(
      folder=str(home / "data"),
      language="GSL",
      tokens="characters",
      batch_size=8,
      bucket=FRAMES,
    ),
    model=small_runs.model(dropout=0.0),
    augment=config.Augment(noise=1.0),
    optim=config.Optim(warmup_steps=5, learning_rate=2e-3),
    evaluate=config.Evaluate(every=0, batch_size=8, length_limit=1.5, clips=1),
  )
  with devices.only(1):
    assert train.train(experiment, str(home / "run"), dry_run=False) == 0
  return home


@pytest.fixture(scope="module")
def producer(home):
  return load.load_producer(home / "run")


@pytest.fixture(autouse=True)
def _no_cache(monkeypatch):
  monkeypatch.setattr(compilation_cache, "enable", lambda: None)


def sign(home, out, *arguments: str) -> int:
  return produce.main([f"--workdir={home / 'run'}", f"--out={out}", *arguments])


def options(texts=TEXTS) -> list[str]:
  return [f"--text={line}" for line in texts]


def test_npz_and_report(home, producer, tmp_path, capsys):
  out = tmp_path / "new" / "folder" / "a.npz"
  assert sign(home, out, *options()) == 0
  found = npz.read(out)
  expected = producer.produce(TEXTS)
  assert [clip.text for clip in found] == list(TEXTS)
  assert [clip.name for clip in found] == ["a-001", "a-002", "a-003"]
  assert [clip.fps for clip in found] == [25] * 3
  for clip, other in zip(found, expected, strict=True):
    assert clip.frames.tobytes() == other.frames.tobytes()
    assert (clip.valid == other.valid).all()
    assert np.abs(clip.frames).max() < 5
  printed = capsys.readouterr().out.splitlines()
  for clip, line in zip(found, printed[1:], strict=False):
    assert line.split()[:2] == [str(len(clip)), f"{len(clip) / 25:.2f}"]
    assert repr(clip.text) in line
  total = sum(map(len, found))
  assert any(line.startswith(f"{total} frames in ") for line in printed)
  assert printed[-1] == f"wrote {out}"
  again = tmp_path / "b.npz"
  assert sign(home, again, *options()) == 0
  for clip, other in zip(npz.read(again), found, strict=True):
    assert clip.frames.tobytes() == other.frames.tobytes()


def test_texts_together_equal_one_at_a_time(producer):
  assert producer.produce(()) == []
  words = sorted({word for line in TEXTS for word in line.split()})
  many = [*TEXTS, *words]
  assert len(many) > 8  # more than a batch
  together = [one for batch in producer.batches(many) for one in batch]
  for line, one in zip(many, together, strict=True):
    ((alone,),) = producer.batches([line])
    assert alone.finished == one.finished
    assert len(alone.clip) == len(one.clip)
    np.testing.assert_allclose(alone.clip.frames, one.clip.frames, atol=1e-5)
  assert producer.produce(many, lambda: True) is None


@pytest.mark.parametrize("convention", ["prompt2sign", "pt"])
def test_skels(home, producer, tmp_path, convention):
  out = tmp_path / "made.skels"
  assert sign(home, out, f"--convention={convention}", *options()) == 0
  assert sorted(path.name for path in tmp_path.iterdir()) == [
    "made.files",
    "made.skels",
    "made.text",
  ]
  found = list(splits.read_split(tmp_path, "made"))
  assert [clip.text for clip in found] == list(TEXTS)
  assert [clip.name for clip in found] == ["made-001", "made-002", "made-003"]
  for clip, other in zip(found, producer.produce(TEXTS), strict=True):
    if convention == "pt" or clip.frames[0, 2, 0] > clip.frames[0, 5, 0]:
      assert clip.valid.all()
    shown = clip.valid & other.valid
    assert shown.mean() > 0.9
    error = np.abs(clip.frames - other.frames)[shown]
    assert error.max() < 6e-6
  (tmp_path / "made.gloss").write_text("X\n")
  assert sign(home, out, *options()) == 1


def test_pose(home, producer, tmp_path, capsys):
  expected = producer.produce(TEXTS)
  assert sign(home, tmp_path / "one.pose", *options(TEXTS[:1])) == 0
  assert sign(home, tmp_path / "many.pose", *options()) == 0
  names = ["many-001.pose", "many-002.pose", "many-003.pose"]
  printed = capsys.readouterr().out
  assert all(str(tmp_path / name) in printed for name in names)
  found = sorted(path.name for path in tmp_path.iterdir())
  assert found == [*names, "one.pose"]
  for name, clip in zip(
    ["one.pose", *names], [expected[0], *expected], strict=True
  ):
    read = pose.read(tmp_path / name)
    assert read.fps == 25
    np.testing.assert_allclose(read.frames, clip.frames, atol=1e-5)


def test_keypoint_forms(home, producer, tmp_path, capsys):
  expected = [registry.to_keypoints(clip) for clip in producer.produce(TEXTS)]
  assert sign(home, tmp_path / "a.h5", *options()) == 0
  for found, true in zip(h5.read(tmp_path / "a.h5"), expected, strict=True):
    assert found.frames.tobytes() == true.frames.tobytes()
  for form, module in registry.FRAME_FOLDERS.items():
    one, many = tmp_path / f"{form}_one", tmp_path / form
    arguments = [f"--form={form}", *options()]
    assert sign(home, one, *arguments[:2]) == 0
    assert sign(home, many, *arguments) == 0
    names = [f"{form}-00{n}" for n in (1, 2, 3)]
    assert sorted(path.name for path in many.iterdir()) == names
    for folder in (one, *many.iterdir()):
      (found,) = module.find(folder)
      assert len(found.rows()[0]) == len(list(folder.iterdir()))
    (found,) = module.find(one)
    seen = module.read(found, size=expected[0].size)
    error = np.abs(seen.frames - expected[0].frames)[..., :2]
    assert error.max() < 1e-3
  capsys.readouterr()
  assert sign(home, tmp_path / "a.json", "--form=openpose", *options()) == 1
  assert "a name without a suffix" in capsys.readouterr().err
  assert sign(home, tmp_path / "a", *options()) == 1
  assert "name its --form" in capsys.readouterr().err


def test_long_text_is_joined_and_the_joints_are_told(home, tmp_path, capsys):
  line = "Am Tag kommt Regen im Norden. " * 8 + "In der Nacht Wind!"
  out = tmp_path / "a.npz"
  finish = ("--speed=2", "--smooth", "--constant-bones", "--dtype=bfloat16")
  assert sign(home, out, f"--text={line}", *finish) == 0
  said = capsys.readouterr()
  assert "is signed in" in said.err
  parts = int(re.search(r"(\d+) parts, joined in frames", said.out)[1])
  assert parts >= 9
  (clip,) = npz.read(out)
  assert clip.text.count("regen") == 8
  ends = (
    clip.frames[:, PROMPT2SIGN50.children]
    - clip.frames[:, PROMPT2SIGN50.parents]
  )
  lengths = np.linalg.norm(ends, axis=-1)
  assert lengths.std(0).max() < 1e-5


def test_films_and_sheet_play_texts_one_after_another(home, producer, tmp_path):
  counts = [len(clip) for clip in producer.produce(TEXTS[:2])]
  for suffix in render.SUFFIXES:
    out = tmp_path / f"a{suffix}"
    assert sign(home, out, "--size=96", *options(TEXTS[:2])) == 0
  with Image.open(tmp_path / "a.gif") as image:
    width, height = image.size
    assert width == 96
    times = [p.info["duration"] for p in ImageSequence.Iterator(image)]
  assert len(times) == sum(counts)
  assert sum(times) == 40 * (sum(counts) + 2 * 12)
  with Image.open(tmp_path / "a.png") as image:
    assert image.size == (96 * min(5, max(counts)), 2 * height)


def test_split_is_drawn_beside_its_truth(home, tmp_path, capsys):
  arguments = ("--split=train", "--count=2")
  assert sign(home, tmp_path / "a.gif", "--size=64", *arguments) == 0
  with Image.open(tmp_path / "a.gif") as image:
    assert image.size[0] == 2 * 64
  out = tmp_path / "a.npz"
  assert sign(home, out, "--split=train") == 0
  true = corpus("train")
  assert [c.name for c in npz.read(out)] == [c.name for c in true]
  assert [c.text for c in npz.read(out)] == [c.text for c in true]
  assert sign(home, tmp_path / "train.skels", *arguments) == 0
  made = list(splits.read_split(tmp_path, "train"))
  assert [c.name for c in made] == [c.name for c in true[:2]]
  capsys.readouterr()
  assert sign(home, out, "--split=test") == 65
  assert "test.skels" in capsys.readouterr().err


def test_split_without_its_data(home, tmp_path, capsys):
  copy = tmp_path / "run"
  shutil.copytree(home / "run", copy)
  settings = json.loads((copy / "config.json").read_text())
  settings["data"]["folder"] = str(tmp_path / "gone")
  (copy / "config.json").write_text(json.dumps(settings))
  arguments = [f"--workdir={copy}", f"--out={tmp_path / 'a.npz'}"]
  assert produce.main([*arguments, "--split=dev"]) == 65
  message = capsys.readouterr().err
  assert message.startswith(f"error: {tmp_path / 'gone'}: the data")
  assert produce.main([*arguments, "--text=regen"]) == 0


def test_limit_is_told(home, tmp_path, capsys):
  copy = tmp_path / "run"
  shutil.copytree(home / "run", copy)
  settings = json.loads((copy / "config.json").read_text())
  settings["evaluate"]["length_limit"] = 1e-3  # of a frame at least one
  (copy / "config.json").write_text(json.dumps(settings))
  signed = produce.produce(
    copy, tmp_path / "a.npz", produce.Request(texts=TEXTS)
  )
  assert [(len(one.clip), one.finished) for one in signed] == [(1, False)] * 3
  printed = capsys.readouterr().out
  assert "3 of 3 were cut off at the limit" in printed
  assert printed.count("the limit  ") == 3


def test_file(home, tmp_path):
  source, out = tmp_path / "a.txt", tmp_path / "a.npz"
  source.write_bytes(b"\xef\xbb\xbfregen  im\tnorden\r\nam tag\nwind")
  assert sign(home, out, f"--file={source}") == 0
  texts = [clip.text for clip in npz.read(out)]
  assert texts == ["regen im norden", "am tag", "wind"]


@pytest.mark.parametrize(
  ("content", "message"),
  [
    (b"wind\n\nregen\n", "a.txt:2: the text is empty"),
    (b"wind\nregen\n\n", "a.txt:3: the text is empty"),
    (b"wind\n \t\n", "a.txt:2: the text is empty"),
    (b"", "a.txt: empty"),
    (b"wind\nr\xff", "a.txt:2: byte 2 is not UTF-8"),
    ("wind\n😀\n".encode(), "a.txt:2: the model knows none"),
    (b"wind\n" * (limits.MAX_INPUT // 5 + 1), "a.txt: 16777220 bytes"),
    (None, "a.txt: no such file"),
  ],
)
def test_bad_files(home, tmp_path, capsys, content, message):
  source = tmp_path / "a.txt"
  if content is not None:
    source.write_bytes(content)
  assert sign(home, tmp_path / "a.npz", f"--file={source}") == 65
  assert f"error: {tmp_path}/{message}" in capsys.readouterr().err
  assert not (tmp_path / "a.npz").exists()


@pytest.mark.parametrize(
  ("arguments", "message"),
  [
    ([], "nothing to sign; expected exactly one of --text, --prompt"),
    (["--text=wind", "--split=dev"], "--text and --split given"),
    (["--text="], "the text is empty"),
    (["--text= \t\n"], "the text is empty"),
    (["--text=wind", "--text=😀"], "none of the characters of '😀'"),
    (["--text=\u200b"], r"none of the characters of '\u200b'"),
    (["--text=\udcff"], "not Unicode"),
    (["--text=" + "wind" * 400], "at most 1,024"),
    (["--text=wind", "--speed=0"], "a speed of 0; expected 0.25 to 4"),
    (["--prompt=How do I sign wind?"], "quotes nothing; expected what to"),
    (["--text=wind", "--count=2"], "--count without --split"),
    (["--split=dev", "--count=-1"], "--count=-1"),
    (["--text=wind", "--size=1"], "--size=1"),
    (["--text=wind", "--language=ASL"], "signs GSL (German Sign Language)"),
    (["--text=wind", "--language=XYZ"], "--language=XYZ: this model signs GSL"),
  ],
)
def test_wrong_requests(home, tmp_path, capsys, arguments, message):
  out = tmp_path / "a.npz"
  assert sign(home, out, *arguments) == 1
  assert message in capsys.readouterr().err
  assert not out.exists()


def test_wrong_places(home, tmp_path, capsys):
  def refuses(code: int, out, message: str, *arguments: str) -> None:
    assert sign(home, out, *(arguments or options())) == code
    assert message in capsys.readouterr().err

  refuses(1, tmp_path / "a.webm", "unknown suffix '.webm'")
  (tmp_path / "a.gif").mkdir()
  refuses(1, tmp_path / "a.gif", "a folder; expected a file")
  (tmp_path / "file").write_text("wind\n")
  refuses(74, tmp_path / "file" / "a.gif", "cannot be made")
  refuses(1, home / "data" / "new.skels", "the model's training data")
  lines = tmp_path / "b.text"
  lines.write_text("wind\n")
  refuses(1, tmp_path / "b.skels", "overwrite --file", f"--file={lines}")
  assert lines.read_text() == "wind\n"
  arguments = [f"--workdir={tmp_path}", "--out=a.gif", "--text=wind"]
  assert produce.main(arguments) == 1
  assert "not the work directory of a run" in capsys.readouterr().err


def test_language_of_the_model(home, tmp_path):
  for code in ("GSL", "gsl"):
    assert sign(home, tmp_path / "a.npz", f"--language={code}", "--text=r") == 0


def test_notes(home, tmp_path, capsys):
  out = tmp_path / "a.npz"
  long = "regen" * 40
  assert (
    sign(home, out, "--text=Regen", "--text=wind 😀", f"--text={long}") == 0
  )
  message = capsys.readouterr().err
  assert "note: 'Regen' is read as 'regen'" in message
  assert "the model has never seen: 😀" in message
  assert "201 characters with the end; the longest text in" in message
  assert [clip.text for clip in npz.read(out)] == ["regen", "wind 😀", long]


def info(texts: list[str], tokens: str) -> corpus_info.CorpusInfo:
  return corpus_info.CorpusInfo(
    vocabulary.build_vocabulary(texts, tokens), 9, 9, 25.0
  )


def test_understand():
  words = info(["MORGEN REGEN", "MORGEN Schnee"], "words")
  read = text_input.prepare(text_input.TextInput("morgen"), words)
  assert read.text == "MORGEN"
  # Where no case helps, it stays as it is.
  read = text_input.prepare(text_input.TextInput("Schnee REGEN"), words)
  assert read == ("Schnee REGEN", ("Schnee REGEN",), (), ())
  with pytest.raises(
    errors.UsageError,
    match=r"some of its 3 words \(Latin\), such as MORGEN REGEN Schnee",
  ):
    text_input.prepare(text_input.TextInput("wind 😀"), words)
  spelt = info(["morgen"], "characters")  # no space, and no punctuation
  read = text_input.prepare(text_input.TextInput("Rogen, ✂ genom!"), spelt)
  assert read.parts == ("rogen", "genom")
  assert "left out, as nothing is known: ✂" in read.notes[-2]
  assert "signed in 2 parts" in read.notes[-1]
  letters = info(["가 나", "é"], "characters")
  composed = text_input.TextInput(unicodedata.normalize("NFD", "가é"))
  assert text_input.prepare(composed, letters).text == "가é"
  with pytest.raises(
    errors.UsageError, match=r"some of these 3 \(Hangul and Latin\): é 가 나"
  ):
    # The space between is known, but nothing to sign.
    text_input.prepare(text_input.TextInput("x y"), letters)


def test_more_poses_than_three_digits():
  names = clip_files.targets(pathlib.Path("a.pose"), 1000)
  assert (names[0].name, names[-1].name) == ("a-0001.pose", "a-1000.pose")


@pytest.mark.parametrize(
  ("question", "quoted"),
  [
    ("How do I sign 'I don't know'?", "I don't know"),
    ("How's “good morning” signed?", "good morning"),
    ("'wind'", "wind"),
    ("Comment signer « vent » ?", " vent "),
  ],
)
def test_quotation_marks(question, quoted):
  assert questions.quoted_text(question, config.Data()) == quoted
  prompts = config.Data(source="prompt")
  assert questions.quoted_text(question, prompts) == question


def test_seed_of_a_generative_decoder(tmp_path, capsys):
  model = write_flow_model(tmp_path / "flow.safetensors")

  def signed(*arguments: str) -> list[clips.Clip]:
    out = tmp_path / "a.npz"
    texts = ["--text=wind", "--text=wind"]
    command = [f"--model={model}", f"--out={out}", *texts, *arguments]
    assert produce.main(command) == 0
    return list(npz.read(out))

  first, twin = signed("--seed=1")
  again, _ = signed("--seed=1")
  other, _ = signed("--seed=2")
  assert first.frames.tobytes() == again.frames.tobytes()
  assert first.frames.tobytes() != other.frames.tobytes()
  assert first.frames.tobytes() != twin.frames.tobytes()
  assert "seed" not in capsys.readouterr().err


def test_a_seed_without_effect_is_noted(home, tmp_path, capsys):
  assert sign(home, tmp_path / "a.npz", "--text=wind") == 0
  assert "seed" not in capsys.readouterr().err
  assert sign(home, tmp_path / "a.npz", "--text=wind", "--seed=0") == 0
  assert "note: the seed has no effect" in capsys.readouterr().err
  assert sign(home, tmp_path / "a.npz", "--text=wind", "--seed=-1") == 1
  assert "seed -1; expected 0 to 4294967295" in capsys.readouterr().err

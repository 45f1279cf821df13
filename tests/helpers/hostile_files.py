"""Hostile files of every form that is read, made from a seed.

Each case writes one hostile file, good siblings beside it or in it where the
form has them, and names the command that reads them.
"""

import io
import json
import os
import pathlib
import shutil
import struct
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from typing import NamedTuple

import h5py
import numpy as np
import safetensors.numpy
from helpers.paths import ROOT
from helpers.tfrecords import framed
from tensorflow_datasets.proto import tf_example_pb2

from signllm_jax.core import clips
from signllm_jax.core.skeleton import PROMPT2SIGN50
from signllm_jax.formats import bvh, h5, npz, openpose, pose, skels, tfrecord

FIXTURES = ROOT / "tests" / "fixtures" / "version_0_1"
ARABIC = str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩")
WIDE = str.maketrans("0123456789", "０１２３４５６７８９")


class Case(NamedTuple):
  """A hostile file and the command that reads it."""

  form: str
  fault: str
  make: Callable[[pathlib.Path, np.random.Generator], pathlib.Path]
  command: Callable[[pathlib.Path], list[str]]
  good: Callable[[pathlib.Path], bool] = lambda folder: True


def keypoints(random: np.random.Generator, name: str) -> clips.Keypoints:
  frames = random.uniform(1, 500, (3, PROMPT2SIGN50.num_joints, 3)).astype(
    np.float32
  )
  frames[..., 2] = random.uniform(0.5, 1, (3, PROMPT2SIGN50.num_joints))
  return clips.Keypoints(frames, size=(512, 512), name=name)


def clip(random: np.random.Generator, name: str = "a") -> clips.Clip:
  frames = random.normal(size=(4, PROMPT2SIGN50.num_joints, 3)).astype(
    np.float32
  )
  frames[:, PROMPT2SIGN50.joint("right_shoulder"), 0] = -2
  frames[:, PROMPT2SIGN50.joint("left_shoulder"), 0] = 2
  return clips.Clip(
    frames, np.ones((4, PROMPT2SIGN50.num_joints), bool), name=name, text="x"
  )


def extract(folder: pathlib.Path) -> list[str]:
  return [
    *("extract", f"--input={folder}/in", f"--output={folder}/out.h5"),
    "--size=640x480",
  ]


def convert(suffix: str) -> Callable[[pathlib.Path], list[str]]:
  return lambda folder: [
    *("convert", f"--input={folder}/in/bad{suffix}"),
    f"--output={folder}/out.npz",
  ]


def good_is_kept(folder: pathlib.Path) -> bool:
  return [name.rpartition("-")[2] for name in h5.names(folder / "out.h5")] == [
    "good"
  ]


# ---- JSON of detectors


def frames_of(change: Callable[[str, np.random.Generator], str | bytes]):
  def make(folder, random):
    openpose.write(folder / "in" / "good", keypoints(random, "good"))
    openpose.write(folder / "in" / "bad", keypoints(random, "bad"))
    path = sorted((folder / "in" / "bad").iterdir())[int(random.integers(3))]
    text = change(path.read_text(), random)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path

  return make


def number(text: Callable[[str], str]):
  """Replaces a number of a body by another text."""

  def change(json_text: str, random: np.random.Generator) -> str:
    start = json_text.index("[", json_text.index("pose_keypoints_2d")) + 1
    numbers = json_text[start : json_text.index("]", start)].split(",")
    at = int(random.integers(24))
    numbers[at] = text(numbers[at])
    end = json_text.index("]", start)
    return json_text[:start] + ",".join(numbers) + json_text[end:]

  return change


def pipe(path: pathlib.Path) -> pathlib.Path:
  path.unlink(missing_ok=True)
  os.mkfifo(path)
  return path


def openpose_cases() -> Iterator[Case]:
  faults = {
    "NaN": number(lambda _: "NaN"),
    "infinity": number(lambda _: "-Infinity"),
    "1e999": number(lambda _: "1e999"),
    "underscore": number(lambda _: "1_000"),
    "arabic digits": number(lambda _: "12".translate(ARABIC)),
    "wide digits": number(lambda _: "12".translate(WIDE)),
    "a number more": number(lambda n: f"{n},{n}"),
    "text": number(lambda n: f'"{n}"'),
    "5,000 digits": number(lambda _: "1" * 5000),
    "nested": lambda t, r: "[" * int(r.integers(10**5, 10**6)),
    "nested objects": number(lambda _: '{"a":' * 10**5 + "1" + "}" * 10**5),
    "key twice": lambda t, r: t.replace("{", '{"people":[],', 1),
    "version": lambda t, r: t.replace("1.3", f"{r.integers(2, 99)}.7", 1),
    "no UTF-8": lambda t, r: t.encode().replace(b"version", b"v\xff"),
    "huge": lambda t, r: t + " " * (5 << 20),
    "101 people": lambda t, r: t.replace(
      "[{", "[" + '{"pose_keypoints_2d":[]},' * 101 + "{", 1
    ),
    "cut": lambda t, r: t[: int(r.integers(1, len(t) - 1))],
    "zeros": lambda t, r: bytes(len(t)),
  }
  for fault, change in faults.items():
    yield Case("openpose", fault, frames_of(change), extract, good_is_kept)

  def piped(folder, random):
    return pipe(frames_of(lambda t, r: t)(folder, random))

  yield Case("openpose", "pipe", piped, extract, good_is_kept)


# ---- HDF5


def h5_of(change: Callable[[h5py.File, np.random.Generator], None]):
  def make(folder, random):
    path = folder / "in" / "clips.h5"
    h5.write(path, [keypoints(random, "good"), keypoints(random, "bad")])
    with h5py.File(path, "a") as file:
      change(file, random)
    return path

  return make


def h5_cases(secret: pathlib.Path) -> Iterator[Case]:
  def again(file: h5py.File, **options) -> h5py.Dataset:
    del file["bad"]
    return file.create_dataset("bad", **options)

  def external(file, random):
    del file["bad"]
    file["bad"] = h5py.ExternalLink(str(secret), "/good")

  def elsewhere(file, random):
    again(file, shape=(3, 150), dtype="<f4", external=[(str(secret), 0, 1800)])

  def virtual(file, random):
    del file["bad"]
    layout = h5py.VirtualLayout((3, 150), "<f4")
    layout[:] = h5py.VirtualSource(str(secret), "good", (3, 150), "<f4")
    file.create_virtual_dataset("bad", layout)

  def rate(value) -> Callable:
    return lambda file, random: file["bad"].attrs.__setitem__("fps", value)

  faults = {
    "rate 1e-300": rate(1e-300),
    "rate 1e-5": rate(1e-5),
    "rate NaN": rate(np.nan),
    "rate below 0": rate(-25.0),
    "rate of text": rate("25"),
    "external link": external,
    "external storage": elsewhere,
    "virtual": virtual,
    "float64": lambda f, r: again(f, data=np.zeros((3, 150))),
    "149 numbers": lambda f, r: again(f, data=np.zeros((3, 149), "f4")),
    "a group": lambda f, r: (f.__delitem__("bad"), f.create_group("bad")),
    "a year": lambda f, r: again(f, shape=(10**9, 150), dtype="<f4"),
    "lzf": lambda f, r: again(
      f, data=np.zeros((3, 150), "f4"), compression="lzf"
    ),
  }
  for fault, change in faults.items():
    yield Case("h5", fault, h5_of(change), extract, good_is_kept)


# ---- .pose


def pose_of(change: Callable[[bytes, np.random.Generator], bytes]):
  def make(folder, random):
    for name in ("good", "bad"):
      pose.write(folder / "in" / f"{name}.pose", clips.canonical(clip(random)))
    path = folder / "in" / "bad.pose"
    path.write_bytes(change(path.read_bytes(), random))
    return path

  return make


def pose_cases() -> Iterator[Case]:
  points = 137
  body = 4 * 4 * points * 4 + 10  # bytes behind the header

  def put(form: str, at: int, value: Callable):
    def change(data: bytes, random: np.random.Generator) -> bytes:
      data = bytearray(data)
      struct.pack_into(form, data, len(data) - body + at, value(random))
      return bytes(data)

    return change

  faults = {
    "rate 0": put("<f", 0, lambda r: 0.0),
    "rate NaN": put("<f", 0, lambda r: np.nan),
    "rate 1e30": put("<f", 0, lambda r: 1e30),
    "more frames": put("<I", 4, lambda r: int(r.integers(5, 2**32))),
    "more people": put("<H", 8, lambda r: int(r.integers(2, 2**16))),
    "version": lambda d, r: struct.pack("<f", 7.0) + d[4:],
    "cut": lambda d, r: d[: int(r.integers(0, len(d) - 1))],
    "junk": lambda d, r: r.bytes(5000),
    "sparse": lambda d, r: d,
  }
  for fault, change in faults.items():
    make = pose_of(change)
    if fault == "sparse":
      whole = make

      def make(folder, random, whole=whole):
        path = whole(folder, random)
        os.truncate(path, 300 << 20)
        return path

    yield Case("pose", fault, make, extract, good_is_kept)


# ---- archives of arrays


def zipped(
  path: pathlib.Path,
  arrays: dict[str, np.ndarray | bytes],
  how: int = zipfile.ZIP_DEFLATED,
) -> None:
  with zipfile.ZipFile(path, "w", how, compresslevel=1) as archive:
    for name, value in arrays.items():
      if not isinstance(value, bytes):
        buffer = io.BytesIO()
        np.save(buffer, value, allow_pickle=True)
        value = buffer.getvalue()
      archive.writestr(f"{name}.npy", value)


def header(kind: str, shape: tuple[int, ...]) -> bytes:
  buffer = io.BytesIO()
  np.lib.format.write_array_header_1_0(
    buffer, {"descr": kind, "fortran_order": False, "shape": shape}
  )
  return buffer.getvalue()


def flags(path: pathlib.Path, offset: int, value: int) -> None:
  """Sets two bytes of the headers of the first member, here and there."""
  data = bytearray(path.read_bytes())
  for magic, at in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
    struct.pack_into("<H", data, data.index(magic) + at + offset, value)
  path.write_bytes(data)


def npz_of(change: Callable[..., dict], how: int = zipfile.ZIP_DEFLATED):
  def make(folder, random):
    path = folder / "in" / "bad.npz"
    npz.write(path, [clip(random)])
    with np.load(path) as stored:
      arrays = dict(stored)
    arrays.update(change(arrays, random))
    zipped(path, arrays, how)
    return path

  return make


def npz_cases() -> Iterator[Case]:
  def rate(value: float):
    return npz_of(lambda a, r: {"fps": np.array([value])})

  def flagged(offset: int, value: int):
    def make(folder, random):
      path = npz_of(lambda a, r: {})(folder, random)
      flags(path, offset, value)
      return path

    return make

  def bent(folder, random):
    path = npz_of(lambda a, r: {})(folder, random)
    data = bytearray(path.read_bytes())
    at = data.index(b"frames.npy") + 40 + int(random.integers(200))
    data[at : at + 20] = random.bytes(20)
    path.write_bytes(data)
    return path

  huge = 150 << 20
  faults = {
    "zeros": npz_of(
      lambda a, r: {
        "frames": header("<f4", (2 * huge // 600, 50, 3))
        + bytes(2 * huge // 600 * 600)
      }
    ),
    "one text": npz_of(
      lambda a, r: {"name": header("<U40000000", (1,)) + bytes(160_000_000)}
    ),
    "claims": npz_of(lambda a, r: {"frames": header("<f4", (1 << 40, 50, 3))}),
    "many clips": npz_of(
      lambda a, r: {
        "offsets": np.zeros(300_001, "i8"),
        "fps": np.full(300_000, 25.0),
      }
    ),
    "rate NaN": rate(np.nan),
    "rate 0": rate(0.0),
    "rate -25": rate(-25.0),
    "rate 1e300": rate(1e300),
    "pickles": npz_of(lambda a, r: {"text": np.array([{"a": 1}])}),
    "surrogates": npz_of(
      lambda a, r: {"text": header("<U1", (1,)) + b"\0\xd8\0\0"}
    ),
    "lzma": npz_of(lambda a, r: {}, zipfile.ZIP_LZMA),
    "bzip2": npz_of(lambda a, r: {}, zipfile.ZIP_BZIP2),
    "encrypted": flagged(0, 1),
    "unknown compression": flagged(2, 77),
    "bent": bent,
    "pipe": lambda folder, random: pipe(folder / "in" / "bad.npz"),
  }
  for fault, make in faults.items():
    yield Case("npz", fault, make, convert(".npz"))


def landmark_cases() -> Iterator[Case]:
  def make(bad):
    def write(folder, random):
      good = random.random((1, 20, 258)).astype(np.float32)
      path = folder / "in" / "landmarks.npz"
      zipped(path, {"good": good, "bad": bad(random)})
      return path

    return write

  faults = {
    "pickles": lambda r: np.array([{"a": 1}]),
    "claims": lambda r: header("<f4", (10**9, 20, 258)) + bytes(1000),
    "numbers": lambda r: np.zeros((2, 20, 259), "f4"),
    "texts": lambda r: np.zeros((2, 20, 258), "<U1"),
  }
  for fault, bad in faults.items():
    yield Case(
      "landmarks",
      fault,
      make(bad),
      lambda folder: ["read", f"{folder}/in"],
      lambda folder: "read good/0" in (folder / "said").read_text(),
    )


# ---- forms of text


def skels_cases() -> Iterator[Case]:
  def text(change):
    def make(folder, random):
      path = folder / "in" / "bad.skels"
      skels.write(path, [clip(random), clip(random)])
      first, second, _ = path.read_bytes().split(b"\n")
      path.write_bytes(first + b"\n" + change(second, random))
      return path

    return make

  def token(value: bytes):
    def change(line: bytes, random) -> bytes:
      tokens = line.split(b" ")
      tokens[int(random.integers(150))] = value
      return b" ".join(tokens) + b"\n"

    return change

  faults = {
    "short tokens": lambda t, r: b"1 " * (30 << 20),
    "words": lambda t, r: b"x " * (30 << 20),
    "no end": lambda t, r: b"1" * (65 << 20),
    "NaN": token(b"nan"),
    "underscore": token(b"1_000"),
    "arabic digits": token("٢".encode()),
    "too large": token(b"1e39"),
    "infinite": token(b"1e400"),
    "hexadecimal": token(b"0x10"),
    "zeros": lambda t, r: bytes(1000),
    "cut": lambda t, r: b" ".join(t.split(b" ")[: int(r.integers(1, 100))]),
  }
  for fault, change in faults.items():
    yield Case("skels", fault, text(change), convert(".skels"))
  yield Case(
    "skels",
    "pipe",
    lambda folder, random: pipe(folder / "in" / "bad.skels"),
    convert(".skels"),
  )


def text_cases() -> Iterator[Case]:
  def beside(content: bytes | None):
    def make(folder, random):
      skels.write(folder / "in" / "bad.skels", [clip(random)])
      path = folder / "in" / "bad.text"
      if content is None:
        return pipe(path)
      path.write_bytes(content)
      return path

    return make

  faults = {
    "pipe": None,
    "no UTF-8": b"a\xff\n",
    "two lines": b"a\nb\n",
    "a long line": b"x" * (3 << 20),
    "empty": b"\n",
  }
  for fault, content in faults.items():
    yield Case("text", fault, beside(content), convert(".skels"))


def bvh_cases() -> Iterator[Case]:
  def text(change):
    def make(folder, random):
      path = folder / "in" / "bad.bvh"
      bvh.write(path, clips.canonical(clip(random)))
      path.write_text(change(path.read_text(), random))
      return path

    return make

  def row(value: str):
    def change(whole: str, random) -> str:
      lines = whole.split("\n")
      numbers = lines[-2].split(" ")
      numbers[int(random.integers(300))] = value
      return "\n".join([*lines[:-2], " ".join(numbers), ""])

    return change

  faults = {
    "underscore": row("1_000"),
    "arabic digits": row("٢٣"),
    "wide digits": row("1".translate(WIDE)),
    "NaN": row("nan"),
    "hexadecimal": row("0x1p3"),
    "offset": lambda t, r: t.replace("OFFSET 0", "OFFSET 1_0", 1),
    "rate": lambda t, r: t.replace("Time: 0.04", "Time: 1e-300"),
    "years": lambda t, r: t.replace("Frames: 4", "Frames: 99999"),
    "joints": lambda t, r: "HIERARCHY\nROOT a\n{\n" + "JOINT b\n{\n" * 10**5,
    "cut": lambda t, r: t[: int(r.integers(0, len(t) - 10))],
  }
  for fault, change in faults.items():
    yield Case("bvh", fault, text(change), convert(".bvh"))


# ---- built data sets


def build_cases(secret: pathlib.Path) -> Iterator[Case]:
  def make(change):
    def write(folder, random):
      with tarfile.open(FIXTURES / "records.tar.xz") as archive:
        archive.extractall(folder, filter="data")
      shutil.move(folder / "data/prompt2sign/gsl/1.0.0", folder / "in/build")
      return change(folder / "in/build", random)

    return write

  def record(**values):
    def change(folder, random):
      (path,) = folder.glob("*-dev.tfrecord*")
      data = [bytes(each) for each in tfrecord.TFRecordFiles([path])]
      at = int(random.integers(len(data)))
      example = tf_example_pb2.Example.FromString(data[at])
      for key, value in values.items():
        feature = example.features.feature[key]
        feature.Clear()
        kind = {bytes: "bytes_list", int: "int64_list", float: "float_list"}
        for each in value if isinstance(value, list) else [value]:
          getattr(feature, kind[type(each)]).value.append(each)
      data[at] = example.SerializeToString()
      path.write_bytes(b"".join(map(framed, data)))
      return path

    return change

  def garbage(folder, random):
    (path,) = folder.glob("*-dev.tfrecord*")
    data = [bytes(each) for each in tfrecord.TFRecordFiles([path])]
    data[0] = random.bytes(int(random.integers(1, 3000)))
    path.write_bytes(b"".join(map(framed, data)))
    return path

  def described(name: str, edit):
    def change(folder, random):
      value = json.loads((folder / name).read_text())
      edit(value)
      (folder / name).write_text(json.dumps(value))
      return folder / name

    return change

  def text(name: str, content: Callable[[bytes, np.random.Generator], bytes]):
    def change(folder, random):
      path = folder / name
      path.write_bytes(content(path.read_bytes(), random))
      return path

    return change

  def features(value) -> dict:
    return value["featuresDict"]["features"]

  info, schema = "dataset_info.json", "features.json"
  faults = {
    "garbage": garbage,
    "149 numbers": record(frames=bytes(4 * 149 * 3)),
    "frames as floats": record(frames=[0.5] * 450),
    "rate of an integer": record(fps=25),
    "rate of NaN": record(fps=float("nan")),
    "no language": record(language=b""),
    "two texts": record(text=[b"a", b"b"]),
    "no UTF-8": record(text=b"\xff"),
    "a million numbers": record(text=[1] * 10**6),
    "class": described(
      schema, lambda v: features(v)["text"].update(pythonClassName="evil.Text")
    ),
    "type": described(
      schema, lambda v: features(v)["fps"]["tensor"].update(dtype="int64")
    ),
    "features cut": text(schema, lambda d, r: d[: int(r.integers(len(d)))]),
    "info cut": text(info, lambda d, r: d[: int(r.integers(len(d) - 2))]),
    "template": described(
      info, lambda v: v["splits"][0].update(filepathTemplate=str(secret))
    ),
    "lengths": described(
      info, lambda v: v["splits"][1].update(shardLengths=["9" * 30])
    ),
    "key twice": text(info, lambda d, r: d.replace(b"{", b'{"name":"x",', 1)),
    "pipe": lambda folder, random: pipe(next(folder.glob("*-dev.tfrecord*"))),
  }
  for fault, change in faults.items():
    yield Case(
      "build",
      fault,
      make(change),
      lambda folder: ["verify", f"--input={folder}/in/build"],
    )


# ---- trained runs


def run_cases() -> Iterator[Case]:
  def make(name: str, edit):
    def write(folder, random):
      with tarfile.open(FIXTURES / "text_to_pose.tar.xz") as archive:
        archive.extractall(folder, filter="data")
      (run,) = (path.parent for path in folder.rglob("config.json"))
      shutil.move(run, folder / "in" / "run")
      path = folder / "in" / "run" / name
      if edit is None:
        return pipe(path)
      if isinstance(edit, bytes):
        path.write_bytes(edit)
        return path
      value = json.loads(path.read_text())
      edit(value)
      path.write_text(json.dumps(value))
      return path

    return write

  def field(section: str, name: str, value):
    return lambda v: v[section].update({name: value})

  def language(**values):
    return lambda v: next(iter(v["languages"].values())).update(values)

  config, words = "config.json", "vocabulary.json"
  faults = {
    "width 0": (config, field("model", "width", 0)),
    "no width": (config, field("model", "width", None)),
    "heads 0": (config, field("model", "heads", 0)),
    "layers": (config, field("model", "decoder_layers", 100_000)),
    "limit": (config, field("evaluate", "length_limit", float("inf"))),
    "rate 0": (config, field("data", "fps", 0)),
    "rate -5": (config, field("data", "fps", -5)),
    "activation": (config, field("model", "activation", "evil")),
    "section": (config, lambda v: v.update(model=[])),
    "task": (config, lambda v: v.update(method="os.system")),
    "nested": (config, b'{"a":' * 10**5),
    "digits": (config, b'{"steps":' + b"1" * 5000 + b"}"),
    "pipe": (config, None),
    "longest": (words, language(longest=1.5e11)),
    "rate": (words, language(fps=1e30)),
    "rate of text": (words, language(fps="25")),
    "entries": (words, language(vocabulary=[1, 2, 3, 4])),
    "list": (words, b"[]"),
    "pipe of words": (words, None),
  }
  for fault, (name, edit) in faults.items():
    yield Case(
      "run",
      fault,
      make(name, edit),
      lambda folder: ["describe", f"{folder}/in/run"],
    )


def model_cases() -> Iterator[Case]:
  def make(change):
    def write(folder, random):
      path = folder / "in" / "bad.safetensors"
      shutil.copy(FIXTURES / "text_to_pose.safetensors", path)
      change(path, random)
      return path

    return write

  def about(edit):
    def change(path, random):
      with safetensors.safe_open(path, framework="numpy") as file:
        value = json.loads(file.metadata()["signllm_jax"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
      edit(value)
      data = safetensors.numpy.save(tensors, {"signllm_jax": json.dumps(value)})
      path.write_bytes(data)

    return change

  def head(path, random):
    path.write_bytes(struct.pack("<Q", 1 << 40) + path.read_bytes()[8:])

  faults = {
    "header": head,
    "cut": lambda path, r: os.truncate(path, int(r.integers(1, 20_000))),
    "junk": lambda path, r: path.write_bytes(r.bytes(4000)),
    "pipe": lambda path, r: pipe(path),
    "step": about(lambda v: v.update(step=10**30)),
    "limit": about(
      lambda v: v["config"]["evaluate"].update(length_limit=float("inf"))
    ),
    "rate": about(
      lambda v: [
        each.update(fps=float("nan"))
        for each in v["facts"]["languages"].values()
      ]
    ),
    "longest": about(
      lambda v: [
        each.update(longest=int(1.5e11))
        for each in v["facts"]["languages"].values()
      ]
    ),
    "config": about(lambda v: v.update(config=None)),
  }
  for fault, change in faults.items():
    yield Case(
      "model",
      fault,
      make(change),
      lambda folder: ["describe", f"{folder}/in/bad.safetensors"],
    )


def cases(secret: pathlib.Path) -> list[Case]:
  """All cases; `secret` is the file that no reader may open."""
  return [
    *openpose_cases(),
    *h5_cases(secret),
    *pose_cases(),
    *npz_cases(),
    *landmark_cases(),
    *skels_cases(),
    *text_cases(),
    *bvh_cases(),
    *build_cases(secret),
    *run_cases(),
    *model_cases(),
  ]

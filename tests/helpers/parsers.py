"""Every parser of foreign bytes, with whole files of its form to start from.

Each is a function of a path: whatever its bytes are, it returns or raises an
error of `core/errors.py`. Whole files come from our writers and, where they are
at hand, from the real data of `shared/data`.
"""

import importlib.util
import io
import json
import pathlib
import tarfile
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np
import pyarrow
import pyarrow.parquet
from helpers.hostile_files import FIXTURES, clip, keypoints
from helpers.paths import DATA
from helpers.tfrecords import framed

from data_pipeline.building import checksums, held_out
from data_pipeline.corpora import folder as folder_of_corpus
from data_pipeline.keypoints import find_clips, read_clips, sidecar_texts
from data_pipeline.lifting import lifted_folder, stage_files
from signllm_jax.core import clips
from signllm_jax.core.skeleton import HOLISTIC178, PROMPT2SIGN50
from signllm_jax.data import corpus_info, records
from signllm_jax.formats import (
  bvh,
  clip_json,
  dataset_info,
  decimals,
  dwpose,
  h5,
  landmark_parquet,
  npz,
  openpose,
  plain_arrays,
  pose,
  skels,
  slrtp,
  splits,
  tfrecord,
)
from signllm_jax.inference import text_input
from signllm_jax.runs import checkpoint_manifest, model_file, stored_config

Read = Callable[[pathlib.Path], Any]


class Parser(NamedTuple):
  """A parser and its whole files.

  Attributes:
    file: name of the file that it reads, in a folder of its own.
    read: reads that file.
    whole: writes whole files into an empty folder and returns their bytes.
    real: pattern of real files below `shared/data`.
  """

  file: str
  read: Read
  whole: Callable[[pathlib.Path], Iterable[bytes]]
  real: str = ""


def seeds(parser: Parser, folder: pathlib.Path, most: int = 30) -> list[bytes]:
  """Whole files of a parser: written ones, then real ones."""
  found = list(parser.whole(folder))
  if parser.real and DATA.exists():
    paths = sorted(DATA.glob(parser.real))
    for path in paths[:: max(1, len(paths) // most)][:most]:
      if path.stat().st_size < 1 << 17:
        found.append(path.read_bytes())
  return found


def _random() -> np.random.Generator:
  return np.random.default_rng(0)


def _holistic(random: np.random.Generator) -> clips.Clip:
  frames = random.uniform(-1, 1, (3, *HOLISTIC178.shape)).astype(np.float32)
  valid = np.ones(frames.shape[:2], bool)
  return clips.Clip(frames, valid, 25.0, "a", "b", skeleton=HOLISTIC178)


def _frames(form) -> Callable[[pathlib.Path], Iterable[bytes]]:
  def whole(folder: pathlib.Path) -> Iterable[bytes]:
    made = keypoints(_random(), "a")
    made.frames[..., :2] /= 500 if form is dwpose else 1
    form.write(folder / "a", clips.Keypoints(made.frames, name="a"))
    return [path.read_bytes() for path in sorted((folder / "a").iterdir())]

  return whole


def _written(write: Callable[[pathlib.Path], Any], name: str):
  def whole(folder: pathlib.Path) -> Iterable[bytes]:
    write(folder / name)
    return [(folder / name).read_bytes()]

  return whole


def _packed_npz(folder: pathlib.Path) -> Iterable[bytes]:
  npz.write(folder / "a.npz", [clip(_random())])
  yield (folder / "a.npz").read_bytes()
  with np.load(folder / "a.npz") as stored:
    np.savez_compressed(folder / "b.npz", **stored)
  yield (folder / "b.npz").read_bytes()


def _landmarks(folder: pathlib.Path) -> Iterable[bytes]:
  arrays = {"tea": np.zeros((2, 2, 258), "f4"), "milk": np.ones((1, 2, 258))}
  np.savez(folder / "a.npz", **arrays)
  yield (folder / "a.npz").read_bytes()
  np.savez_compressed(folder / "b.npz", **arrays)
  yield (folder / "b.npz").read_bytes()


def _array(folder: pathlib.Path) -> Iterable[bytes]:
  for array in (np.zeros(258), np.ones((2, 3), "f4"), np.array(["a"])):
    buffer = io.BytesIO()
    np.save(buffer, array)
    yield buffer.getvalue()


def _record() -> bytes:
  made = records.from_clip(clips.canonical(clip(_random())), language="GSL")
  return records.features().serialize_example(made)


def _from_archive(archive: str, pattern: str):
  def whole(folder: pathlib.Path) -> Iterable[bytes]:
    with tarfile.open(FIXTURES / archive) as tar:
      tar.extractall(folder, filter="data")
    return [path.read_bytes() for path in sorted(folder.rglob(pattern))][:4]

  return whole


def _stages(folder: pathlib.Path) -> Iterable[bytes]:
  stage_files.write(folder / "a", [clip(_random()).frames] * 5)
  return [(folder / "a" / "1.txt").read_bytes()]


def _lifted(folder: pathlib.Path) -> Iterable[bytes]:
  return [json.dumps({"kept": True, "made_from": "a", "missing": {}}).encode()]


def _clip_json(folder: pathlib.Path) -> Iterable[bytes]:
  """AlphaPose, MMPose and a list of OpenPose's frames."""
  points = [[600.0 + i, 300.0, 0.9] for i in range(133)]
  flat = [number for point in points for number in point]
  yield json.dumps([{"image_id": "3.jpg", "keypoints": flat}] * 2).encode()
  person = {
    "keypoints": [point[:2] for point in points],
    "keypoint_scores": [point[2] for point in points],
  }
  yield json.dumps([{"frame_id": 0, "instances": [person]}]).encode()
  openpose.write(folder / "a", keypoints(_random(), "a"))
  frames = [json.loads(p.read_text()) for p in sorted((folder / "a").iterdir())]
  yield json.dumps(frames).encode()


def _parquet(folder: pathlib.Path) -> Iterable[bytes]:
  rows = [(kind, i) for kind, i in landmark_parquet._NUMBERED]
  table = {
    "frame": [0] * len(rows),
    "type": [kind for kind, _ in rows],
    "landmark_index": [i for _, i in rows],
    "x": [0.5] * len(rows),
    "y": [0.25] * len(rows),
  }
  pyarrow.parquet.write_table(pyarrow.table(table), folder / "a.parquet")
  yield (folder / "a.parquet").read_bytes()


def _read_features(path: pathlib.Path) -> None:
  dataset_info.check_features(
    path.parent, records._stored_features(PROMPT2SIGN50)
  )


def _read_landmarks(path: pathlib.Path) -> None:
  for _ in read_clips.read_all(find_clips.find(path, size=(640, 480))):
    pass


def _read_manifest(path: pathlib.Path) -> None:
  try:
    checkpoint_manifest.read(path.parent)
  except checkpoint_manifest.Damaged:
    return  # typed: it sets the checkpoint aside


PARSERS = {
  "openpose": Parser(
    "a_000000000000_keypoints.json",
    lambda path: openpose.read(path.parent),
    _frames(openpose),
    "cases/**/*_keypoints.json",
  ),
  "dwpose": Parser(
    "00000001.json",
    lambda path: dwpose.read(path.parent),
    _frames(dwpose),
    "prompt2sign_2025/**/json/*.json",
  ),
  "pose": Parser(
    "a.pose",
    lambda path: (pose.read_keypoints(path), pose.read(path)),
    _written(lambda path: pose.write(path, clip(_random())), "a.pose"),
    "cases/**/*.pose",
  ),
  "json of a clip": Parser(
    "a.json",
    lambda path: clip_json.read(path, size=(1280, 720)),
    _clip_json,
  ),
  "parquet": Parser(
    "a.parquet",
    lambda path: landmark_parquet.read_isolated(
      path, fps=25.0, size=(640, 480)
    ),
    _parquet,
  ),
  "table of a corpus": Parser(
    "a.csv",
    lambda path: list(folder_of_corpus.rows(path, ("a", "b"))),
    lambda folder: [b'a,b,c\n1,2,3\n"4,""5",6,7\n'],
  ),
  "skels": Parser(
    "a.skels",
    lambda path: list(skels.read(path)),
    _written(lambda path: skels.write(path, [clip(_random())]), "a.skels"),
    "cases/**/*.skels",
  ),
  "texts": Parser(
    "a.text",
    lambda path: list(splits.read_texts(path, empty=True)),
    lambda folder: [b"guten abend\nmorgen \xc3\xa4\r\n"],
    "cases/**/*.text",
  ),
  "sidecar texts": Parser(
    "clips.files",
    lambda path: sidecar_texts.read(path.parent, {"a"}, lambda note: None),
    lambda folder: [b"a\nb\n"],
    "cases/**/clips.files",
  ),
  "texts to sign": Parser(
    "a.txt", text_input.read_file, lambda folder: [b"\xef\xbb\xbfwind\nregen"]
  ),
  "bvh": Parser(
    "a.bvh",
    bvh.read,
    _written(lambda path: bvh.write(path, clip(_random())), "a.bvh"),
  ),
  "npz": Parser("a.npz", npz.read, _packed_npz),
  "landmarks": Parser("a.npz", _read_landmarks, _landmarks),
  "npy": Parser(
    "a.npy",
    lambda path: plain_arrays.parse(path.read_bytes(), str(path)),
    _array,
    "whole_signs/**/*.npy",
  ),
  "numbers": Parser(
    "a.txt",
    lambda path: decimals.parse(path.read_bytes()),
    lambda folder: [b"0.12345 -1.00000 1e5 .5 1. +3"],
  ),
  "record": Parser(
    "a", lambda path: records.decode(path.read_bytes()), lambda f: [_record()]
  ),
  "tfrecord": Parser(
    "a",
    lambda path: list(tfrecord.TFRecordFiles([path])),
    lambda folder: [framed(b"abc") + framed(b"")],
  ),
  "description": Parser(
    "dataset_info.json",
    lambda path: dataset_info.read(path.parent),
    _from_archive("records.tar.xz", "dataset_info.json"),
  ),
  "features": Parser(
    "features.json",
    _read_features,
    _from_archive("records.tar.xz", "features.json"),
  ),
  "checksums": Parser(
    "SHA256SUMS",
    lambda path: checksums.problems(path.parent, []),
    _from_archive("records.tar.xz", "SHA256SUMS"),
  ),
  "record of a build": Parser(
    "metadata.json",
    lambda path: held_out.read_record(path.parent),
    lambda folder: [
      b'{"fps": 25.0, "held_out": {"dev": {"size": "1", "seed": 0, '
      b'"clips": ["a"]}}}'
    ],
  ),
  "stages": Parser("1.txt", stage_files._read, _stages),
  "lifted": Parser("a.json", lifted_folder._load, _lifted),
  "configuration": Parser(
    "config.json",
    lambda path: stored_config.from_json(path.read_text("utf-8", "replace")),
    _from_archive("text_to_pose.tar.xz", "config.json"),
  ),
  "vocabulary": Parser(
    "vocabulary.json",
    lambda path: corpus_info.from_json(path.read_text("utf-8", "replace")),
    _from_archive("text_to_pose.tar.xz", "vocabulary.json"),
  ),
  "manifest": Parser(
    checkpoint_manifest.NAME,
    _read_manifest,
    _from_archive("text_to_pose.tar.xz", checkpoint_manifest.NAME),
  ),
  "model": Parser(
    "a.safetensors",
    model_file.read_description,
    lambda folder: [(FIXTURES / "text_to_pose.safetensors").read_bytes()],
  ),
}
if importlib.util.find_spec("torch"):
  PARSERS["slrtp"] = Parser(
    "a.pt",
    lambda path: list(slrtp.read(path)),
    _written(lambda path: slrtp.write(path, [_holistic(_random())]), "a.pt"),
  )
# HDF5's own library crashes on some bytes, so it is read in another process.
HDF5 = Parser(
  "a.h5",
  lambda path: list(h5.read(path)),
  _written(lambda path: h5.write(path, [keypoints(_random(), "a")]), "a.h5"),
)

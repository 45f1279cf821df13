"""Small folders in the form in which corpora are downloaded."""

import json
import pathlib

import numpy as np

from signllm_jax.core import clips
from signllm_jax.core.skeleton import PROMPT2SIGN50
from signllm_jax.formats import openpose

HOW2SIGN_COLUMNS = "VIDEO_ID\tVIDEO_NAME\tSENTENCE_NAME\tSENTENCE\n"


def person(
  name: str, t: int = 6, size: tuple[int, int] = (1280, 720), seed: int = 0
) -> clips.Keypoints:
  """Keypoints of somebody in the middle of a picture."""
  random = np.random.default_rng(seed)
  frames = random.uniform(0.35, 0.65, (t, PROMPT2SIGN50.num_joints, 3))
  at = {
    "nose": (0.5, 0.2),
    "neck": (0.5, 0.3),
    "right_shoulder": (0.43, 0.3),
    "left_shoulder": (0.57, 0.3),
    "right_elbow": (0.4, 0.5),
    "left_elbow": (0.6, 0.5),
    "right_wrist": (0.45, 0.6),
    "left_wrist": (0.55, 0.6),
  }
  for joint, share in at.items():
    frames[:, PROMPT2SIGN50.joint(joint), :2] = share
  frames[..., :2] += random.normal(0, 0.002, (t, PROMPT2SIGN50.num_joints, 2))
  frames[..., :2] *= size
  frames[..., 2] = 0.9
  return clips.Keypoints(frames.astype(np.float32), 24.0, size, name)


def put_openpose(folder: pathlib.Path, name: str, **options) -> None:
  """Writes a clip as OpenPose's JSON into a folder of its own."""
  folder.mkdir(parents=True, exist_ok=True)
  openpose.write(folder / name, person(name, **options))


def how2sign(root: pathlib.Path, splits=("train", "val", "test")) -> None:
  """How2Sign: a clip and two lines of a table a split."""
  for seed, split in enumerate(splits):
    name = f"fzAbc{split}_1-5-rgb_front"
    folder = root / f"{split}_2D_keypoints" / "openpose_output" / "json"
    put_openpose(folder, name, seed=seed)
    rows = [(name, f'He said "{split}", twice.'), ("lost_1-5-rgb_front", "-")]
    (root / f"how2sign_realigned_{split}.csv").write_text(
      HOW2SIGN_COLUMNS
      + "".join(
        'v\tw\t{}\t"{}"\n'.format(n, s.replace('"', '""')) for n, s in rows
      )
    )


def phoenix14t(root: pathlib.Path) -> None:
  """PHOENIX14T: keypoints of images0001.png and the tables with bars."""
  for split in ("train", "dev", "test"):
    name = f"01April_2010_Thursday_heute-{len(split)}"
    clip = person(name, 3, (210, 260))
    folder = root / "keypoints" / split / name
    folder.parent.mkdir(parents=True, exist_ok=True)
    openpose.write(folder, clip)
    for number, path in enumerate(sorted(folder.iterdir()), 1):
      path.rename(folder / f"images{number:04d}_keypoints.json")
    table = root / "annotations" / "manual"
    table.mkdir(parents=True, exist_ok=True)
    (table / f"PHOENIX-2014-T.{split}.corpus.csv").write_text(
      "name|video|start|end|speaker|orth|translation\n"
      f"{name}|{name}/1/*.png|-1|-1|Signer04|REGEN {split.upper()}|"
      f'und "{split} regen\n'
    )


def dgs_metadata(german: str, *glosses: str) -> str:
  """A metadata.json of the DGS sentences."""
  sentence = {"german": german, "glosses": {"gloss": list(glosses)}}
  return json.dumps({"document_id": "1", "id": "1_a", "sentence": sentence})

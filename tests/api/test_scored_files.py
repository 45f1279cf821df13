"""Poses of any form against references of any form, and what is said."""

import dataclasses
import json
import pathlib

import numpy as np
import pytest
from helpers.random_clips import signing

import signllm_jax as slp
import signllm_jax.evaluate as evaluate
from data_pipeline import convert
from signllm_jax.api import pose_files, scored_files
from signllm_jax.core import common_skeleton, errors
from signllm_jax.core.skeleton import DWPOSE128, HOLISTIC178
from signllm_jax.evaluation import evaluate_clips
from signllm_jax.formats import npz
from signllm_jax.parallel import compilation_cache

TRUE = [
  dataclasses.replace(
    signing(seed, 20 + seed), name=f"c{seed}", text=f"t{seed}"
  )
  for seed in range(3)
]
MADE = [
  dataclasses.replace(signing(seed + 9, 24 - seed), name=f"c{seed}")
  for seed in range(3)
]


@pytest.fixture(autouse=True)
def _no_cache(monkeypatch):
  monkeypatch.setattr(compilation_cache, "enable", lambda: None)


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> pathlib.Path:
  """The clips as .npz, and converted to every other form."""
  folder = tmp_path_factory.mktemp("forms")
  npz.write(folder / "true.npz", TRUE)
  npz.write(folder / "made.npz", MADE)
  for form in ("pose", "bvh", "openpose"):
    convert.convert(folder / "made.npz", folder / form, form=form)
  for suffix in ("h5", "skels"):
    convert.convert(folder / "made.npz", folder / f"made.{suffix}")
  names = "".join(f"{clip.name}\n" for clip in MADE)
  (folder / "made.files").write_text(names)
  (folder / "made.text").write_text(names)
  return folder


@pytest.fixture
def few(monkeypatch):
  """Two columns, for tests that are not of the columns."""
  real = evaluate_clips.catalogue.pose_metrics
  monkeypatch.setattr(
    evaluate_clips.catalogue,
    "pose_metrics",
    lambda skeleton: real(skeleton)[:2],
  )


@pytest.mark.parametrize(
  ("form", "flat"),
  [
    ("made.npz", False),
    ("made.skels", False),
    ("pose", False),
    ("bvh", False),
    ("made.h5", True),
    ("openpose", True),
  ],
)
def test_every_form_has_the_same_score(home, few, form, flat):
  found = scored_files.evaluate_files(home / form, home / "true.npz")
  expected = slp.score(MADE, TRUE, resamples=5)["signing_distance"].value
  score = found.scores["produced"]["signing_distance"].value
  # Two-decimal pixels of JSON are the coarsest.
  assert score == pytest.approx(expected, rel=0.02)
  said = [note for note in found.notes if "50 joints" in note]
  assert bool(said) == flat
  assert found.scores["truth"]["signing_distance"].value == 0


def test_the_command_writes_the_whole_report(home, tmp_path, capsys):
  npz.write(tmp_path / "train.npz", [signing(30, 25), signing(31, 28)])
  arguments = [
    f"--produced={home / 'made.npz'}",
    f"--reference={home / 'true.npz'}",
    f"--training={tmp_path / 'train.npz'}",
    f"--out={tmp_path / 'out'}",
    "--resamples=5",
  ]
  assert evaluate.main(arguments) == 0
  said = capsys.readouterr().out
  assert "produced elsewhere" in said and "Audit" in said
  found = json.loads((tmp_path / "out/report.json").read_text())
  assert found["protocol"] == "files" and len(found["audit"]) == 5
  assert {"produced", "truth", "mean_pose", "frozen"} <= set(found["rows"])
  page = (tmp_path / "out/report.html").read_text()
  assert "copies of training" in page


def test_several_samples_and_a_comparison(home, tmp_path, few, capsys):
  npz.write(tmp_path / "again.npz", [*TRUE])
  both = [str(home / "made.npz"), str(tmp_path / "again.npz")]
  reference = f"--reference={home / 'true.npz'}"
  shared = [reference, "--resamples=5", f"--out={tmp_path / 'out'}"]
  assert evaluate.main(["--produced", *both, *shared]) == 0
  assert "produced, between seeds" in capsys.readouterr().out
  one = slp.score(MADE, TRUE, resamples=5)["dtw_mje"].value
  found = json.loads((tmp_path / "out/report.json").read_text())
  assert found["rows"]["produced"]["dtw_mje"] == pytest.approx(one / 2)
  assert evaluate.main(["--compare", *both, *shared]) == 0
  found = json.loads((tmp_path / "out/comparison.json").read_text())
  assert found["metrics"]["dtw_mje"]["difference"] == pytest.approx(one)


def test_another_skeleton_is_scored_on_the_common_part(few):
  """A holistic178 production of the same poses has no distance."""
  both = set(HOLISTIC178.joints) & set(TRUE[0].skeleton.joints)
  made = []
  for clip in TRUE:
    frames = np.zeros((len(clip), *HOLISTIC178.shape), np.float32)
    valid = np.zeros(frames.shape[:2], bool)
    for name in both:
      joint = HOLISTIC178.joint(name)
      frames[:, joint] = clip.frames[:, clip.skeleton.joint(name)] + 0.1
      valid[:, joint] = True
    made.append(
      dataclasses.replace(
        clip, frames=frames, valid=valid, skeleton=HOLISTIC178
      )
    )
  found = evaluate_clips.evaluate([made], TRUE, name="a", place="b")
  assert found.scores["produced"]["signing_distance"].value < 1e-3
  assert "holistic178, prompt2sign50" in " ".join(found.notes)
  groups, said = common_skeleton.share(TRUE, TRUE)
  assert said == "" and groups[0][0] is TRUE[0]
  front = common_skeleton.to_front(made[0])
  assert front.skeleton.dims == 2 and not front.valid[:, 0].any()  # no face
  assert DWPOSE128.name not in found.notes[0]


def test_a_clear_word(home, tmp_path, capsys):
  reference = f"--reference={home / 'true.npz'}"

  def said(*arguments: str) -> str:
    assert evaluate.main([*arguments, "--resamples=5"]) in (1, 65)
    return capsys.readouterr().err

  npz.write(tmp_path / "names.npz", [*MADE[1:], signing(40, 9)])
  assert "no production: 'c0'" in said(
    f"--produced={tmp_path / 'names.npz'}", reference
  )
  assert "no such file" in said(f"--produced={tmp_path / 'x.npz'}", reference)
  assert "without --reference" in said(f"--produced={home / 'made.npz'}")
  assert "without --produced" in said(reference, "--workdir=x")
  assert "1280x720" in said(
    f"--produced={home / 'made.npz'}", reference, "--size=wide"
  )
  folder = tmp_path / "data"
  folder.mkdir()
  for split in ("dev", "train"):
    convert.convert(home / "true.npz", folder / f"{split}.skels")
  made = f"--produced={home / 'made.npz'}"
  assert "no split 'test'; expected one of dev, train" in said(
    made, f"--reference={folder}"
  )
  with pytest.raises(errors.UsageError, match="path and clips"):
    slp.score(home / "made.npz", TRUE)  # pyright: ignore
  with pytest.raises(errors.DataError, match="no such file"):
    pose_files.read(tmp_path / "none")


def test_score_takes_paths(home, few):
  found = slp.score(home / "made.npz", home / "true.npz", resamples=5)
  assert set(found) == {"signing_distance", "dtw_mje"}

"""What an input path holds: every form and layout, texts, and bad siblings."""

import os
import pathlib
import shutil

import numpy as np
import pytest
from helpers.paths import DATA
from helpers.real_data import real

from data_pipeline.keypoints import find_clips, read_clips
from signllm_jax.core import clips, errors
from signllm_jax.core.skeleton import PROMPT2SIGN50
from signllm_jax.formats import dwpose, h5, openpose, pose


def keypoints(name: str = "a", t: int = 3, seed: int = 0) -> clips.Keypoints:
  random = np.random.default_rng(seed)
  frames = random.uniform(10, 500, (t, PROMPT2SIGN50.num_joints, 3)).astype(
    np.float32
  )
  frames[..., 2] = 1
  return clips.Keypoints(frames, size=(512, 512), name=name)


def put_pose(path: pathlib.Path) -> None:
  path.parent.mkdir(parents=True, exist_ok=True)
  frames = np.random.default_rng(0).uniform(
    0, 0.3, (3, PROMPT2SIGN50.num_joints, 3)
  )
  valid = np.ones((3, PROMPT2SIGN50.num_joints), bool)
  pose.write(path, clips.Clip(frames.astype(np.float32), valid))


def find(path, **more) -> tuple[list[find_clips.Source], list[str]]:
  notes: list[str] = []
  return find_clips.find(path, report=notes.append, **more), notes


def test_real_clips_with_their_texts():
  root = real(DATA / "how2sign_mini")
  for path in (root, root / "openpose"):
    sources, notes = find(path, fps=24, size=(1280, 720))
    assert notes == []
    texts = (root / "clips.text").read_text().splitlines()
    assert [source.text for source in sources] == texts
  clip = sources[2].read()
  assert (clip.name, clip.text) == (sources[2].name, texts[2])
  assert (len(clip), clip.fps, clip.size) == (62, 24, (1280, 720))


def test_nothing_is_read_before_it_is_asked_for(tmp_path):
  folder = tmp_path / "a"
  openpose.write(folder, keypoints())
  sources, _ = find(tmp_path)
  shutil.rmtree(folder)
  with pytest.raises(errors.DataError, match="no such file"):
    sources[0].read()


def test_every_form_in_a_folder(tmp_path):
  made = [keypoints("a"), keypoints("b", 4, 1)]
  for one in made:
    (tmp_path / "openpose").mkdir(exist_ok=True)
    openpose.write(tmp_path / "openpose" / one.name, one)
    (tmp_path / "dwpose" / one.name / "results_dwpose").mkdir(parents=True)
    dwpose.write(tmp_path / "dwpose" / one.name / "results_dwpose/json", one)
    (tmp_path / "h5").mkdir(exist_ok=True)
    h5.write(tmp_path / "h5" / f"of_{one.name}.h5", [one])
    put_pose(tmp_path / "pose" / f"{one.name}.pose")
  h5.write(tmp_path / "all.hdf5", made)
  for kind, path in (
    ("openpose", tmp_path / "openpose"),
    ("dwpose", tmp_path / "dwpose"),
    ("h5", tmp_path / "h5"),
    ("h5", tmp_path / "all.hdf5"),
    ("pose", tmp_path / "pose"),
    ("pose", tmp_path / "pose" / "a.pose"),
  ):
    sources, notes = find(path, size=(512, 512))
    names = ["a"] if path.suffix == ".pose" else ["a", "b"]
    assert [source.name for source in sources] == names
    assert {source.kind for source in sources} == {kind}
    assert notes == []
    for source, expected in zip(sources, made, strict=False):
      found = source.read()
      assert found.name == source.name
      if kind != "pose":
        np.testing.assert_allclose(found.frames, expected.frames, rtol=1e-5)


def test_frames_of_many_clips_in_one_folder(tmp_path):
  for name in ("a", "b_c"):
    openpose.write(tmp_path / name, keypoints(name))
    for path in (tmp_path / name).iterdir():
      path.rename(tmp_path / path.name)
    (tmp_path / name).rmdir()
  sources, _ = find(tmp_path)
  assert [source.name for source in sources] == ["a", "b_c"]
  assert [len(source.read()) for source in sources] == [3, 3]


def test_equal_names_are_told_apart(tmp_path):
  for folder in ("left", "right"):
    openpose.write(tmp_path / folder, keypoints("camera"))
  sources, _ = find(tmp_path)
  assert [source.name for source in sources] == ["left-camera", "right-camera"]
  assert sources[0].read().name == "left-camera"
  for folder in ("x/left", "y/left"):
    put_pose(tmp_path / "deep" / folder / "a.pose")
  with pytest.raises(errors.DataError, match="two clips named 'left-a'"):
    find_clips.find(tmp_path / "deep")


def test_texts_are_kept_as_they_stand_and_gaps_reported(tmp_path):
  folder = tmp_path / "clips"
  folder.mkdir()
  h5.write(folder / "all.h5", [keypoints(name) for name in "abc"])
  (tmp_path / "clips.files").write_bytes(b"b\r\nlost\r\na\r\n")
  (tmp_path / "clips.text").write_text('"Say ""hi"" "\nlost\n zwei\u2028eins')
  (tmp_path / "clips.gloss").write_text("HI\nLOST\n\n")
  sources, notes = find(folder)
  assert [(s.text, s.gloss) for s in sources] == [
    (" zwei\u2028eins", ""),
    ('"Say ""hi"" "', "HI"),
    ("", ""),
  ]
  assert sources[1].read().gloss == "HI"
  assert len(notes) == 2
  assert "names without a clip: lost" in notes[0]
  assert "clips without a line: c" in notes[1]


def test_texts_that_do_not_fit(tmp_path):
  h5.write(tmp_path / "all.h5", [keypoints("a")])
  (tmp_path / "clips.text").write_text("one\n")
  _, notes = find(tmp_path)
  assert notes[0] == (
    f"{tmp_path}: clips.text is ignored, as there is no clips.files"
  )
  (tmp_path / "clips.files").write_text("a\nb\n")
  with pytest.raises(errors.DataError, match=r"text: 1 lines; expected 2"):
    find_clips.find(tmp_path)
  (tmp_path / "clips.text").write_bytes(b"one\n\xff\n")
  with pytest.raises(errors.DataError, match=r"text:2: byte 1 is not UTF-8"):
    find_clips.find(tmp_path)
  (tmp_path / "clips.text").write_text("one\ntwo\n")
  (tmp_path / "clips.files").write_text("a\na\n")
  with pytest.raises(errors.DataError, match=r"files:2: name 'a' again"):
    find_clips.find(tmp_path)


def test_unknown_and_mixed_content(tmp_path):
  with pytest.raises(errors.DataError, match="no such file or folder"):
    find_clips.find(tmp_path / "no")
  with pytest.raises(errors.DataError, match="no keypoints; expected"):
    find_clips.find(tmp_path)
  (tmp_path / "a.skels").write_text("")
  with pytest.raises(errors.DataError, match=r"a\.skels holds 3-D"):
    find_clips.find(tmp_path)
  (tmp_path / "frame.json").write_text("{}")
  with pytest.raises(
    errors.DataError, match=r"no keypoints but a\.skels, frame"
  ):
    find_clips.find(tmp_path)
  with pytest.raises(
    errors.DataError, match="For frame files, give their folder"
  ):
    find_clips.find(tmp_path / "frame.json")
  put_pose(tmp_path / "a.pose")
  sources, notes = find(tmp_path)
  assert [source.name for source in sources] == ["a"]
  assert [note.partition(" is not read: ")[0] for note in notes] == [
    f"{tmp_path}/a.skels",
    f"{tmp_path}/frame.json",
  ]
  h5.write(tmp_path / "b.h5", [keypoints()])
  with pytest.raises(errors.DataError, match=r"forms \(1 of h5, 1 of pose\)"):
    find_clips.find(tmp_path)


@pytest.mark.parametrize("processes", [1, 2])
def test_bad_clips_do_not_stop_their_siblings(tmp_path, processes, monkeypatch):
  monkeypatch.setattr(read_clips, "_FEW", 1)
  h5.write(tmp_path / "a.h5", [keypoints("a"), keypoints("c")])
  (tmp_path / "b.h5").write_text("no HDF5")
  sources, _ = find(tmp_path)
  results = list(read_clips.read_all(sources, processes))
  assert [source.name for source, _ in results] == ["a", "b", "c"]
  assert [type(result) for _, result in results] == [
    clips.Keypoints,
    errors.DataError,
    clips.Keypoints,
  ]
  assert "not a whole HDF5 file" in str(results[1][1])
  assert os.fspath(results[1][1].path).endswith("b.h5")

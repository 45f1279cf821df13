import os

import numpy as np
import pytest
from helpers.real_data import golden_lift

from data_pipeline.lifting import stage_files
from signllm_jax.core import errors
from signllm_jax.core.skeleton import PROMPT2SIGN50


def five(t: int = 3) -> list[np.ndarray]:
  random = np.random.default_rng(t)
  return [
    random.normal(size=(t, PROMPT2SIGN50.num_joints, 3)).astype(np.float32)
    for _ in range(5)
  ]


def damaged(tmp_path, line: int, old: str, new: str) -> None:
  stage_files.write(tmp_path, five())
  path = tmp_path / "2.txt"
  lines = path.read_text().splitlines(keepends=True)
  assert old in lines[line - 1]
  lines[line - 1] = lines[line - 1].replace(old, new, 1)
  path.write_text("".join(lines))


def test_what_was_written_is_read(tmp_path):
  written = five()
  written[4][0, 0] = 0, -1.5e-30, 3.4e38
  stage_files.write(tmp_path / "a clip", written)
  for found, expected in zip(
    stage_files.read(tmp_path / "a clip"), written, strict=True
  ):
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_form(tmp_path):
  stage_files.write(
    tmp_path, [np.full((2, PROMPT2SIGN50.num_joints, 3), -0.5, np.float32)] * 5
  )
  assert sorted(os.listdir(tmp_path)) == [f"{i}.txt" for i in range(1, 6)]
  line = "-5.000000e-01\t" * PROMPT2SIGN50.num_values + "\n"
  assert (tmp_path / "5.txt").read_text() == 2 * line


def test_golden_stages_keep_their_digits(tmp_path):
  """The published texts have as many digits as ours."""
  names = "normalised", "pruned", "interpolated", "initial_3d", "lifted_3d"
  clip = golden_lift()[-1]
  published = [clip[name] for name in names]
  stage_files.write(tmp_path, published)
  for found, expected in zip(
    stage_files.read(tmp_path), published, strict=True
  ):
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
  "token",
  [
    "nan",
    "inf",
    "1.0",
    "1_0e+00",
    "0x1p3",
    "",
    "9.999999e+38",
    "1.000000e+999",
  ],
)
def test_not_a_number(tmp_path, token):
  first = f"{five()[1][1, 0, 0]:e}\t"
  damaged(tmp_path, 2, first, f"{token}\t")
  with pytest.raises(errors.DataError, match="number 1 is") as caught:
    stage_files.read(tmp_path)
  assert caught.value.path == tmp_path / "2.txt"
  assert caught.value.line == 2


@pytest.mark.parametrize(
  ("old", "new"), [("\t\n", "\n"), ("\t\n", "\t1\t\n"), ("\t\n", "\t" * 9999)]
)
def test_wrong_lines(tmp_path, old, new):
  damaged(tmp_path, 3, old, new)
  with pytest.raises(errors.DataError, match=r"2\.txt:3: ") as caught:
    stage_files.read(tmp_path)
  assert caught.value.line == 3


def test_cut_off_empty_or_missing(tmp_path):
  stage_files.write(tmp_path, five())
  path = tmp_path / "4.txt"
  whole = path.read_bytes()
  path.write_bytes(whole[:-700])
  with pytest.raises(errors.DataError, match=r"4\.txt:3: no end of line"):
    stage_files.read(tmp_path)
  path.write_bytes(whole[: whole.index(b"\n") + 1])
  with pytest.raises(errors.DataError, match=r"4\.txt: 1 frames; expected 3"):
    stage_files.read(tmp_path)
  path.write_bytes(b"")
  with pytest.raises(errors.DataError, match=r"4\.txt: no frames"):
    stage_files.read(tmp_path)
  path.unlink()
  with pytest.raises(errors.DataError, match=r"4\.txt: no such file"):
    stage_files.read(tmp_path)


def test_bad_stages_are_not_written(tmp_path):
  bad = five()
  bad[3][2, 7, 1] = np.nan
  with pytest.raises(errors.DataError, match=r"4\.txt frame 3: NaN"):
    stage_files.write(tmp_path / "clip", bad)
  with pytest.raises(errors.DataError, match="4 stages; expected 5"):
    stage_files.write(tmp_path / "clip", five()[:4])
  with pytest.raises(errors.DataError, match=r"2\.txt: a stage of shape"):
    stage_files.write(tmp_path / "clip", [*five()[:1], *five(2)[1:]])
  assert not (tmp_path / "clip").exists()


def test_a_folder_that_cannot_be_made(tmp_path):
  (tmp_path / "file").write_text("")
  with pytest.raises(errors.StorageError, match="cannot be made"):
    stage_files.write(tmp_path / "file" / "clip", five())

"""Strangers' clips find their references, or a clear word."""

import dataclasses

import pytest
from helpers.random_clips import signing

from signllm_jax.core import clips, errors
from signllm_jax.evaluation import matching


def _clips(*names: str, fps: float = 25.0) -> list[clips.Clip]:
  return [
    dataclasses.replace(signing(i, 10), name=name, fps=fps, text=f"t{name}")
    for i, name in enumerate(names)
  ]


def test_names_decide_and_not_the_order():
  true, made = _clips("a", "b", "c"), _clips("c", "a", "b")
  found = matching.match(made, true)
  assert [c.name for c in found.produced] == ["a", "b", "c"]
  assert (found.produced[2].frames == made[0].frames).all()
  assert found.produced[0].text == "ta" and found.notes == []


def test_folders_and_suffixes_do_not_matter():
  found = matching.match(_clips("out/a.pose", "out/b.pose"), _clips("a", "b"))
  assert [c.name for c in found.produced] == ["a", "b"]
  assert "without their folders" in found.notes[0]


def test_a_suffix_that_is_ambiguous_is_no_match():
  with pytest.raises(errors.UsageError, match="name of a reference"):
    matching.match(_clips("x/a", "y/a"), _clips("z/a", "z/b"))


def test_a_stranger_has_other_names():
  with pytest.raises(errors.UsageError, match="no produced clip has the name"):
    matching.match(_clips("x1", "x2"), _clips("a", "b"))
  found = matching.match(_clips("x1"), _clips("a"))
  assert "'x1', is scored against" in found.notes[0]


def test_a_missing_clip():
  with pytest.raises(errors.UsageError, match=r"1 of 3 .* no production: 'b'"):
    matching.match(_clips("a", "c"), _clips("a", "b", "c"))
  found = matching.match(_clips("a", "c"), _clips("a", "b", "c"), partial=True)
  assert [c.name for c in found.true] == ["a", "c"]
  assert "not comparable" in found.notes[0]


def test_a_clip_too_many_is_said():
  found = matching.match(_clips("a", "b", "z"), _clips("a", "b"))
  assert "1 produced clips have no reference" in found.notes[0]


def test_another_rate():
  found = matching.match(_clips("a", "b", fps=12.5), _clips("a", "b"))
  assert found.frames == [10, 10]
  assert [len(c) for c in found.produced] == [19, 19]
  assert "12.5 frames a second are interpolated to 25" in found.notes[0]

"""What the benchmarks make of their measurements."""

import json

import pytest

from benchmarks import communication, timing
from benchmarks import history as history_lib

HLO = """
  %a = f32[512,1024]{1,0} all-reduce(f32[512,1024]{1,0} %x), to_apply=%add
  %b = (f32[8]{0}, bf16[4,2]{1,0}) all-reduce(%y, %z), to_apply=%add
  %c = bf16[64,16]{1,0} all-gather(bf16[8,16]{1,0} %w), dimensions={0}
  ROOT %d = f32[8]{0} add(f32[8]{0} %all-reduce.1, f32[8]{0} %e)
"""


def test_collectives_are_counted_by_their_larger_side():
  assert communication.collectives(HLO) == {
    "all-reduce": 4 * 512 * 1024 + 4 * 8 + 2 * 8,
    "all-gather": 2 * 64 * 16,
  }


def test_a_collective_beside_other_work_is_counted_once():
  """The TPU compiler writes it in each of the computations it is a part of."""
  line = (
    "  %a.{} = bf16[64]{{0}} all-gather(%p.{}), channel_id={}, dimensions\n"
  )
  once = line.format(1, 1, 7) + line.format(2, 2, 7)
  assert communication.collectives(once) == {"all-gather": 2 * 64}
  twice = once + line.format(3, 3, 8)
  assert communication.collectives(twice) == {"all-gather": 2 * 2 * 64}


def test_rounds_interleave():
  order = []
  took = timing.medians(
    {"a": lambda: order.append("a"), "b": lambda: order.append("b")}, 3
  )
  assert order == ["a", "b"] * 3
  assert set(took) == {"a", "b"}


@pytest.fixture
def history(tmp_path):
  path = tmp_path / "history.jsonl"
  for value in (2.0, 1.0, 1.9):
    history_lib.record(path, [timing.Ratio("step", value)])
  return path


def test_a_ratio_is_worse_15_percent_below_the_median(history):
  processor = timing.machine()["processor"]
  runs = history_lib.read(history, processor)
  assert not history_lib.worse([timing.Ratio("step", 1.62)], runs)
  (line,) = history_lib.worse([timing.Ratio("step", 1.61)], runs)
  assert "was 1.90 in 3 runs" in line
  assert not history_lib.worse([timing.Ratio("new", 0.1)], runs)


def test_the_history_of_another_processor_does_not_count(history):
  line = json.loads(history.read_text().splitlines()[0])
  line["machine"]["processor"] = "another"
  history.write_text(json.dumps(line) + "\n")
  assert not history_lib.read(history, timing.machine()["processor"])


def test_the_history_is_drawn(history, tmp_path):
  processor = timing.machine()["processor"]
  runs = history_lib.read(history, processor)
  history_lib.plot(tmp_path / "plot.png", runs)
  assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")

"""Compares DTW and soft-DTW with other implementations.

  python -m benchmarks.dtw --json dtw.json
  python -m benchmarks.dtw --frames 40 --pairs 4 --repeats 3    # a quick try
  python -m benchmarks.dtw --skeletons dwpose128 holistic178    # with faces

Every implementation gets the same pairs of random walks of a skeleton's numbers
a frame (150 of prompt2sign50), in its fastest form. Times are medians;
compiling and the first call are not timed. A repeat runs every implementation
once, so that a slow minute of the machine affects all. Values are compared
before they are timed.

The limit is the time of the arithmetic alone: the products at the rate of one
large float32 product, and the table at the rate of a loop on all cores that
does the arithmetic of a cell on numbers in the cache (two minima and a sum; for
soft-DTW exponentials, logarithm and the backward sums; for L1 also an absolute
difference a number). "of limit" is that time divided by the measured one. The
goals hold for the default sizes and skeleton; others have none.
"""

import os
import statistics
import sys
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import dtw_baselines, timing, workload
from signllm_jax.core.skeleton import PROMPT2SIGN50, SKELETONS, Skeleton
from signllm_jax.losses import dtw, soft_dtw

OURS = "signllm_jax"
GAMMA = 0.1
PYTHON_PAIRS = 1  # pairs of the plain loop, whose time is scaled up


class Row(NamedTuple):
  """One implementation of one task.

  Attributes:
    task: "hard l2", "hard l1" or "soft".
    name: name of the implementation.
    run: computes the values [B] of the batch.
    goal: goal of our throughput as a multiple of its; None for ours.
    scale: the batch size over the number of pairs that `run` computes.
    tolerance: largest relative difference of its values from ours.
  """

  task: str
  name: str
  run: Callable[[], Any]
  goal: float | None = None
  scale: float = 1.0
  tolerance: float = 1e-3


class Missing(NamedTuple):
  """A baseline whose package is not installed."""

  task: str
  name: str
  package: str


def _pairs(
  pairs: int, frames: int, numbers: int
) -> tuple[np.ndarray, np.ndarray]:
  """Two float32 batches [pairs, frames, numbers] of random walks."""
  random = np.random.default_rng(0)
  steps = random.standard_normal((2, pairs, frames, numbers)).astype(np.float32)
  start = random.standard_normal((2, 1, 1, numbers)).astype(np.float32)
  walks = start + 0.05 * np.cumsum(steps, 2)
  return walks[0], walks[1]


def _rows(pairs: int, frames: int, numbers: int) -> list[Row | Missing]:
  x, y = _pairs(pairs, frames, numbers)
  a, b, lengths = jax.device_put((x, y, np.full(pairs, frames, np.int32)))

  def hard(metric):
    run = jax.jit(lambda a, b, n: dtw.dtw(a, n, b, n, metric).total)
    return lambda: jax.block_until_ready(run(a, b, lengths))

  def soft_total(b, a, n):
    values = soft_dtw.soft_dtw(a, n, b, n, GAMMA)
    return values.sum(), values

  soft = jax.jit(jax.value_and_grad(soft_total, has_aux=True))
  few = PYTHON_PAIRS
  rows: list[Row | Missing] = [
    Row("hard l2", OURS, hard("l2")),
    Row("hard l1", OURS, hard("l1")),
    Row(
      "soft",
      OURS,
      lambda: jax.block_until_ready(soft(b, a, lengths))[0][1],
    ),
    Row(
      "hard l1",
      "plain Python",
      lambda: [
        dtw_baselines.python_l1(*pair) for pair in zip(x[:few], y, strict=False)
      ],
      250,
      pairs / few,
    ),
  ]
  for task, name, package, make, goal, tolerance in (
    (
      "hard l2",
      "numpy + numba by hand",
      "numba",
      dtw_baselines.by_hand,
      1,
      1e-3,
    ),
    (
      "hard l2",
      "dtaidistance",
      "dtaidistance",
      dtw_baselines.dtaidistance,
      8,
      1e-3,
    ),
    ("hard l2", "tslearn", "tslearn", dtw_baselines.tslearn, 8, np.inf),
    ("soft", "ott-jax", "ott-jax", dtw_baselines.ott, 3, 1e-2),
  ):
    try:
      arguments = (a, b, GAMMA) if task == "soft" else (x, y)
      run = make(*arguments)
    except ImportError:
      rows.append(Missing(task, name, package))
    else:
      rows.append(Row(task, name, run, goal, tolerance=tolerance))
  return rows


def _rates() -> dict[str, float]:
  """Arithmetic rates of the idle machine, a second.

  Returns:
    "product": multiplications and additions of one large float32 product;
    "hard" and "soft": cells, on all cores; "l1": absolute differences.
  """
  lanes, steps = 4096, 2000
  parts = jnp.linspace(0, 1, 4 * lanes).reshape(4, lanes)

  def hard(_, x):
    return jnp.minimum(jnp.minimum(x, parts[0]), parts[1]) + parts[2]

  def l1(_, x):
    return x + jnp.abs(x - parts[0])

  def soft(_, x):
    every = jnp.exp(x) + jnp.exp(parts[0]) * x + jnp.exp(parts[1] - x)
    value = parts[2] - jnp.log(every)
    return value * parts[3] + x * parts[0] + (1 - parts[3]) * parts[1]

  rates = {"product": workload.product_rate()}
  for name, step in (("hard", hard), ("l1", l1), ("soft", soft)):
    loop = jax.jit(lambda x, step=step: jax.lax.fori_loop(0, steps, step, x))
    took = timing.best(lambda loop=loop: jax.block_until_ready(loop(parts[0])))
    rates[name] = steps * lanes / took * (os.cpu_count() or 1)
  return rates


def _limit(
  task: str, pairs: int, frames: int, numbers: int, rates: dict
) -> float:
  """Seconds that the arithmetic alone takes."""
  cells = pairs * frames**2
  if task == "hard l1":
    return numbers * cells / rates["l1"] + cells / rates["hard"]
  if task == "hard l2":
    return 2 * numbers * cells / rates["product"] + cells / rates["hard"]
  # Two products: the costs, and the gradient of one side.
  return 4 * numbers * cells / rates["product"] + cells / rates["soft"]


def _check(row: Row, own: np.ndarray) -> None:
  values = np.asarray(row.run(), float)
  gap = np.max(np.abs(values / own[: len(values)] - 1))
  if gap > row.tolerance:
    raise SystemExit(f"{row.task}: {row.name} differs from ours by {gap:.1e}")


def measure(
  pairs: int, frames: int, repeats: int, rates: dict, skeleton: Skeleton
) -> list[dict]:
  """Times every implementation on one batch.

  Args:
    pairs: pairs of a batch.
    frames: length of each sequence.
    repeats: timed calls of each implementation.
    rates: arithmetic rates, from _rates.
    skeleton: whose numbers a frame has.

  Returns:
    One record a row; "missing" names the package of one that could not run.
  """
  numbers = skeleton.num_values
  rows = _rows(pairs, frames, numbers)
  own = {
    row.task: np.asarray(row.run(), float)
    for row in rows
    if isinstance(row, Row) and row.goal is None
  }
  ready = [row for row in rows if isinstance(row, Row)]
  for row in ready:
    _check(row, own[row.task])
  took: dict[tuple[str, str], list[float]] = {}
  for _ in range(repeats):
    for row in ready:
      seconds = timing.seconds(row.run) * row.scale
      took.setdefault((row.task, row.name), []).append(seconds)
  medians = {key: statistics.median(times) for key, times in took.items()}
  records = []
  for row in rows:
    record = {"pairs": pairs, "frames": frames, "task": row.task}
    record |= {"name": row.name, "skeleton": skeleton.name}
    if isinstance(row, Missing):
      records.append(record | {"missing": row.package})
      continue
    median = medians[row.task, row.name]
    limit = _limit(row.task, pairs, frames, numbers, rates)
    goal = row.goal if skeleton == PROMPT2SIGN50 else None
    record |= {"ms": 1e3 * median, "goal": goal}
    record["ours_is_faster"] = median / medians[row.task, OURS]
    record["of_limit"] = limit / median
    records.append(record)
  return sorted(records, key=lambda record: record["task"])


def _print(records: Sequence[dict]) -> None:
  print(
    f"{'skeleton':>16} {'batch':>11}  {'task':8} {'implementation':22} "
    f"{'ms':>9} {'of limit':>8}  ours against it"
  )
  for record in records:
    batch = f"{record['pairs']} x {record['frames']}"
    start = f"{record['skeleton']:>16} {batch:>11}  {record['task']:8} "
    start += f"{record['name']:22} "
    if "missing" in record:
      install = 'pip install "signllm-jax[bench]"'
      print(f"{start}needs {record['missing']}: {install}")
      continue
    line = f"{start}{record['ms']:9.2f} {record['of_limit']:8.0%}"
    if record["name"] != OURS:
      times, goal = record["ours_is_faster"], record["goal"]
      line += f"  {times:.1f} times its throughput"
      if goal is not None:
        met = "met" if times >= goal else "MISSED"
        line += f" (goal {goal:g}: {met})"
    print(line)


def main(arguments: Sequence[str] | None = None) -> None:
  """The command line."""
  parser = timing.parser("dtw", __doc__)
  parser.add_argument("--frames", type=int, nargs="+", default=[150, 300])
  parser.add_argument("--pairs", type=int, default=32)
  parser.add_argument("--repeats", type=int, default=15)
  parser.add_argument(
    "--skeletons", nargs="+", default=[PROMPT2SIGN50.name], choices=SKELETONS
  )
  options = parser.parse_args(arguments)
  rates = _rates()
  print(
    f"{os.cpu_count()} cores, {jax.devices()[0].platform}, jax "
    f"{jax.__version__}; product {rates['product'] / 1e9:.0f} GFLOP/s, cells "
    f"{rates['hard'] / 1e9:.2f} G/s hard, {rates['soft'] / 1e9:.2f} G/s soft"
  )
  records = []
  for name in options.skeletons:
    for frames in options.frames:
      size = options.pairs, frames, options.repeats
      records += measure(*size, rates, SKELETONS[name])
  _print(records)
  endings = {name: f" ({name})" for name in SKELETONS}
  endings[PROMPT2SIGN50.name] = ""
  ratios = [
    timing.Ratio(
      f"dtw {record['task']} {record['pairs']}x{record['frames']} / "
      f"{record['name']}{endings[record['skeleton']]}",
      record["ours_is_faster"],
      record["goal"],
    )
    for record in records
    if record["name"] != OURS and "missing" not in record
  ]
  timing.write(options.json, ratios, rates=rates, records=records)


if __name__ == "__main__":
  main(sys.argv[1:])

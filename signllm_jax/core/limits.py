"""Limits of what readers accept, all in one place.

Files of unknown origin are read within these limits, and what lies beyond them
is refused before memory is taken for it. `docs/data.md` lists them.
"""

MIB = 1 << 20

# Sizes of files, bytes.
MAX_JSON = 16 * MIB  # descriptions, configurations, reports, vocabularies
MAX_FRAME_FILE = 4 * MIB  # JSON or .npy of one frame; a person takes 4,000
MAX_CLIP_FILE = 256 * MIB  # .pose and .bvh; 18 minutes of 586 points
MAX_TEXT_FILE = 256 * MIB  # clips.files, clips.text and clips.gloss
MAX_POSE_HEADER = MIB // 4  # of .pose; Holistic's takes 15,000

# Arrays, bytes when unpacked.
MAX_ARCHIVE = 4096 * MIB  # all members of a .npz of clips
MAX_PACKED = 256 * MIB  # those of its members that are compressed
MAX_ARRAY = 256 * MIB  # an array of MediaPipe's landmarks
MAX_DIRECTORY = 4 * MIB  # the list of members of a .npz

# Clips.
MAX_FRAMES = 100_000  # an hour at 25 frames a second
MIN_FPS, MAX_FPS = 0.1, 10_000.0
MAX_LINE = 64 * MIB  # bytes of a line of .skels; some 50,000 frames
MAX_TEXT = MIB  # bytes of a line of .text, .gloss, .prompt or .files
MAX_RECORD = 256 * MIB  # bytes of a record
MAX_SHARDS = 100_000  # of a split of a built data set


def is_rate(fps: float) -> bool:
  """Whether a number can be a clip's frames per second; NaN cannot."""
  return MIN_FPS <= fps <= MAX_FPS


RATES = f"{MIN_FPS:g} to {MAX_FPS:g} frames a second"

"""Limits of what readers accept, all in one place.

Files of unknown origin are read within these limits, and what lies beyond them
is refused before memory is taken for it. `docs/files.md` explains them.
"""

MIB = 1 << 20

# Files, bytes.
MAX_JSON = 16 * MIB  # descriptions, configurations, reports, vocabularies
MAX_FRAME_FILE = 4 * MIB  # JSON or .npy of one frame; a person takes 4,000
MAX_CLIP_FILE = 256 * MIB  # .pose and .bvh; 18 minutes of 586 points
MAX_TEXTS_FILE = 64 * MIB  # clips.files, clips.text and clips.gloss
MAX_INPUT = 16 * MIB  # texts to sign, one a line
MAX_POSE_HEADER = MIB // 4  # of .pose; Holistic's takes 15,000

# Lines of text.
MAX_LINE = 64 * MIB  # bytes of a line of .skels; some 50,000 frames
MAX_TEXT = MIB  # bytes of a line of .text, .gloss, .prompt or .files
MAX_LINES = 2_000_000  # of a file

# Arrays, bytes when unpacked. Deflate packs zeros a thousand times, poses
# hardly twice.
MAX_ARCHIVE = 4096 * MIB  # a .npz of clips, not compressed
MAX_PACKED = 256 * MIB  # the compressed members of a .npz
MAX_RATIO = 50  # what they may exceed MAX_PACKED by, in sizes of the file
MAX_ARRAY = 256 * MIB  # an array of MediaPipe's landmarks
MAX_DIRECTORY = 4 * MIB  # the list of members of a .npz

# Clips.
MAX_FRAMES = 100_000  # of a clip, an hour; missing frames and people count
MAX_NUMBERS = 15_000_000  # of a .bvh; 50,000 frames of 50 joints
MAX_CLIPS = 200_000  # of a .npz
MAX_PEOPLE = 100  # in a frame
MAX_PIXEL = 1e6  # beyond any image; squares stay far within float32
MIN_FPS, MAX_FPS = 0.1, 10_000.0

MAX_JOINTS = 256  # of a .bvh, with those of other names
MAX_BLANKS = 1000  # consecutive empty lines before the frames of a .bvh
MAX_VALUE = 1e9  # largest number of a .bvh

# Built data sets.
MAX_RECORD = 256 * MIB  # bytes of a record
MAX_SHARDS = 100_000  # of a split


def is_rate(fps: float) -> bool:
  """Whether a number can be a clip's frames per second; NaN cannot."""
  return MIN_FPS <= fps <= MAX_FPS


RATES = f"{MIN_FPS:g} to {MAX_FPS:g} frames a second"

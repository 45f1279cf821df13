"""The long texts of the command line's --help."""

from signllm_jax.core import languages

_LANGUAGES = " ".join(x.config_name for x in languages.LANGUAGES.values())

KEYPOINTS = """\
INPUT holds keypoints of one form:
  OpenPose JSON   files NAME_000000000000_keypoints.json, a folder a clip or
                  all in one; versions 1.0 to 1.3, BODY_25 or COCO-18
  DWPose JSON     files with person_0; give --size, as the form does not
  DWPose npz      files with bodies, hands, faces, with --skeleton=dwpose128
  .pose           of OpenPose or MediaPipe Holistic, a file a clip
  .h5             as `extract` writes it
  .pt             of SLRTP 2025, with --skeleton=holistic178
  landmarks       of MediaPipe Holistic, SIGN/RECORDING/FRAME.npy (258 or 1662
                  numbers a frame) or a .npz with an array (recordings, frames,
                  258 or 1662) a sign; give --size. The text is the sign's name
clips.files, clips.text and clips.gloss in INPUT or beside it hold names,
sentences and glosses, line by line.
"""

EXTRACT = f"""\
Reads keypoints and writes them into one .h5: a data set of float32 (T, 150) a
clip, x, y and confidence of 50 joints a frame. Missing frames stay missing
frames. Bad clips are named and left out.

{KEYPOINTS}"""

LIFT = f"""\
Lifts keypoints to 3-D. OUTPUT gets NAME.npz, the clip in the normalised unit of
the published lifting, and NAME.json, its quality. Stop it at any time; the same
command goes on with what is not there yet. Bad clips are named and left out.

{KEYPOINTS}"""

SKELS = """\
Writes lifted clips as SPLIT.skels, with SPLIT.files, .text and .gloss beside
it, a line a clip. INPUT is a folder that `lift` made. Conventions: prompt2sign
(values by 9, counter i/N) or pt (sides exchanged, shoulders 1/3 apart, counter
(i-1)/N).
"""

PROMPTS = """\
Sets texts into questions ("How do I sign '...'?") of the spoken language that
goes with a sign language: SPLIT.text -> SPLIT.prompt. Where there is no
SPLIT.gloss, makes one of lemmas. CSV quotes are removed and Unicode is composed
(NFC).
"""

BUILD = f"""\
Builds the training records of a data set, from keypoints or from text files.

The records go to OUTPUT/NAME/VERSION, which training reads by itself. They
appear there only when the build is complete; a build that is there is reused,
never overwritten. An interrupted build goes on with the lifted clips it has.
Bad clips are named and left out. At the end every record is read back and
counted, and SHA256SUMS is written. docs/data.md has the details.

data sets:
  fingerspelling/asl     words spelt with recordings of real letters; no input.
                         Also gsl dsgs tsl asq bzs cse csq eso fsl gss ise lls
                         mfs psr ssp svk swl ukl, by ISO 639-3 from asq on
  prompt2sign/LANGUAGE   your own copy of a corpus, LANGUAGE being one of
                         {_LANGUAGES}:
                         INPUT/train, dev, test   keypoints, see `lift --help`,
                         or lifted clips; without these folders all is train
                         or files exported before:
                         INPUT/train.skels   poses, one clip a line
                         INPUT/train.text    its sentence, same line
                         INPUT/train.gloss   its gloss (if there is one)
                         INPUT/train.files   its name (if there is one)
                         and the same for dev and test, if there are any;
                         else --dev=5% sets clips of train aside
"""

CONVERT = """\
Converts clips of one form to another. The suffix of OUTPUT says the form; for a
folder with a file or folder a clip, --form does. A .pose of MediaPipe Holistic
is read as keypoints, one of 3-D poses in OpenPose's layout as poses. 2-D
keypoints become poses by `lift`, not here. --skeleton takes the joints of a
smaller skeleton, e.g. prompt2sign50 of dwpose128 or holistic178.
"""

EXAMPLES = """\
examples:
  python -m data_pipeline build --dataset=fingerspelling/asl --output=data
  python -m data_pipeline build --dataset=prompt2sign/asl \\
      --input=how2sign/openpose --fps=24 --output=data --policy=drop
  python -m data_pipeline build --dataset=prompt2sign/asl \\
      --input=MP_Data --fps=15 --size=640x480 --output=data
  python -m data_pipeline build --dataset=prompt2sign/gsl \\
      --input=phoenix14t --output=data --shards=8 --dry-run
  python -m data_pipeline build --dataset=prompt2sign/gsl \\
      --input=phoenix14t --output=data --beam=DirectRunner \\
      --beam_option=--direct_running_mode=multi_processing \\
      --beam_option=--direct_num_workers=2
"""

CODES = """\
exit codes: 0 done; 1 wrong request; 42 stopped by a signal, the same command
goes on; 65 fault in the data (good clips were done); 74 fault in storage
"""

"""What is read back from the records of a build."""

from helpers.built_data import read_records
from helpers.prompt2sign import write_split

from data_pipeline.building import record_reader
from data_pipeline.cli import parser

# Text, the corpus's gloss, and whether the record's may lack a negation: içmem
# is "I do not drink" as well as "my drink".
GLOSSES = (
  ("Süt içmem.", "", True),
  ("Süt içmem.", "SÜT İÇMEK DEĞİL", False),  # the corpus's own
  ("Süt içerim.", "", False),
)


def test_glosses_that_may_lack_a_negation(tmp_path, capsys):
  """They are named by `build` and counted by the data card."""
  source = tmp_path / "source"
  write_split(source, "train", len(GLOSSES))
  texts, glosses, expected = zip(*GLOSSES, strict=True)
  for kind, lines in (("text", texts), ("gloss", glosses)):
    (source / f"train.{kind}").write_text("".join(f"{x}\n" for x in lines))
  options = [f"--input={source}", f"--output={tmp_path / 'out'}"]
  assert parser.main(["build", "--dataset=prompt2sign/tsl", *options]) == 0
  note = capsys.readouterr().err
  assert "1 glosses made by rule may lack a negation: train/files 0" in note

  built = tmp_path / "out" / "prompt2sign" / "tsl" / "1.0.0"
  (split,) = record_reader.summarise(built)
  assert split.unsure == ("train/files 0",)
  records = {each["name"]: each for each in read_records(built)["train"]}
  unsure = {
    name: record_reader.has_unsure_gloss(each) for name, each in records.items()
  }
  assert unsure == {f"train/files {i}": x for i, x in enumerate(expected)}
  # Another rule has made this gloss, and the words are no German.
  record = records["train/files 0"]
  other = {**record, "gloss": f"{record['gloss']} DEĞİL"}
  assert not record_reader.has_unsure_gloss(other)
  assert not record_reader.has_unsure_gloss({**record, "language": "DGS"})

  card = tmp_path / "card.html"
  assert parser.main(["report", f"--input={built}", f"--output={card}"]) == 0
  assert "of which 1 may lack a negation" in card.read_text()

"""The command of evaluation, on a tiny real run."""

import dataclasses
import inspect
import itertools
import json
import pathlib
import re
import shutil

import jax
import numpy as np
import pytest
from helpers import devices, small_runs
from helpers.paths import DATA

import signllm_jax.evaluate as evaluate
import signllm_jax.train as train
from signllm_jax import config
from signllm_jax.core import clips, errors
from signllm_jax.core.skeleton import PROMPT2SIGN50
from signllm_jax.evaluation import evaluate_run, signing
from signllm_jax.evaluation.metrics import catalogue
from signllm_jax.evaluation.report import (
  bootstrap,
  comparison,
  report,
  tables,
)
from signllm_jax.evaluation.report import page as page_lib
from signllm_jax.formats import skels, splits
from signllm_jax.inference import decoding, load, pt_protocol
from signllm_jax.inference import producer as producer_lib
from signllm_jax.parallel import compilation_cache

REAL = DATA / "phoenix14t_mini"
ROWS = [
  "produced",
  "truth",
  "mean_pose",
  "frozen",
  "other_clip",
  "nearest_train",
]
METRICS = (
  *catalogue.pose_metrics(PROMPT2SIGN50),
  catalogue.hidden_parts({}, PROMPT2SIGN50),
)
KEYS = [metric.key for metric in METRICS]
pytestmark = pytest.mark.skipif(
  not REAL.exists(), reason="../shared/data is not there"
)


def _write(folder: pathlib.Path, split: str, listed: list[clips.Clip]) -> None:
  folder.mkdir(exist_ok=True)
  skels.write(folder / f"{split}.skels", listed)
  for suffix, field in (("text", "text"), ("files", "name")):
    lines = "".join(f"{getattr(clip, field)}\n" for clip in listed)
    (folder / f"{split}.{suffix}").write_text(lines)


def _cut(split: str) -> list[clips.Clip]:
  """Five real clips, 10 to 14 frames each."""
  real = itertools.islice(splits.read_split(REAL, split), 5)
  return [
    dataclasses.replace(clip, frames=clip.frames[:t], valid=clip.valid[:t])
    for t, clip in enumerate(real, 10)
  ]


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> pathlib.Path:
  """Holds `data` and a run of 40 steps, `a`."""
  home = tmp_path_factory.mktemp("home")
  for split in ("train", "dev"):
    _write(home / "data", split, _cut(split))
  experiment = config.Experiment(
    name="tiny",
    steps=40,
    compilation_cache=False,
    data=config.Data(folder=str(home / "data"), batch_size=8, bucket=16),
    model=small_runs.model(dropout=0.0),
    optim=config.Optim(warmup_steps=5, learning_rate=2e-3),
    evaluate=config.Evaluate(every=0, batch_size=8, clips=0),
  )
  with devices.only(1):
    assert train.train(experiment, str(home / "a"), dry_run=False) == 0
  return home


@pytest.fixture(autouse=True)
def _no_cache(monkeypatch):
  monkeypatch.setattr(compilation_cache, "enable", lambda: None)


@pytest.fixture(scope="module")
def made(home) -> report.Report:
  return evaluate_run.evaluate(home / "a", split="dev", seeds=3, resamples=20)


def _main(home, *arguments: str) -> int:
  return evaluate.main(["--split=dev", "--resamples=20", *arguments])


def _elsewhere(home, tmp_path, dev: list[clips.Clip]) -> pathlib.Path:
  """Run `a`, its data with another dev split."""
  shutil.copytree(home / "a", tmp_path / "run")
  shutil.copytree(home / "data", tmp_path / "data")
  _write(tmp_path / "data", "dev", dev)
  file = tmp_path / "run" / "config.json"
  settings = json.loads(file.read_text())
  settings["data"]["folder"] = str(tmp_path / "data")
  file.write_text(json.dumps(settings))
  return tmp_path / "run"


def test_the_command_writes_three_reports(home, tmp_path, capsys):
  arguments = (f"--workdir={home / 'a'}", f"--out={tmp_path / 'out'}")
  assert _main(home, *arguments) == 0
  said = capsys.readouterr().out
  names = ["report.html", "report.json", "report.md"]
  assert sorted(p.name for p in (tmp_path / "out").iterdir()) == names
  found = json.loads((tmp_path / "out/report.json").read_text())
  assert found["sequences"] == 5 and found["split"] == "dev"
  assert not found["leaky"] and found["checkpoint"]["step"] == 40
  assert list(found["rows"]) == list(found["intervals"]) == ROWS
  for row, scores in found["rows"].items():
    assert list(scores) == KEYS
    for key, value in scores.items():
      low, high = found["intervals"][row][key]
      if value is None:  # the split repeats no text
        assert key == "spread" and low is high is None
      else:
        assert low <= value <= high or key == "frechet"
  assert found["rows"]["truth"]["dtw_mje"] == 0
  assert [s["text"] for s in found["produced"]] == [c.text for c in _cut("dev")]
  trained = {clip.text for clip in _cut("train")}
  assert {s["nearest_training_text"] for s in found["produced"]} <= trained
  markdown = (tmp_path / "out/report.md").read_text()
  for text in (said, markdown):
    assert "not comparable across evaluators" in text
    assert "18.61 / 22.76" in text and "arXiv 2405.10718" in text
    assert "Only 5 sequences" in text and "deterministic" in text
    assert "leaky" not in text.lower()
  for metric in METRICS:
    assert f"`{metric.signature('free', 5)}`" in markdown


def test_the_page_stands_alone(made):
  page = page_lib.render(made, examples=1)
  assert page == page_lib.render(made, examples=1)
  assert "one pass stands for all 3 seeds" in page
  assert "<script" not in page and page.count("<svg") == 3
  links = re.findall(r'(?:src|href|srcset)="([^"]{5})', page)
  assert links and set(links) <= {"data:", "#"} | {
    link for link in links if link.startswith("#")
  }
  for tag in re.findall(r"<img[^>]*>", page):
    assert re.search(r'alt="Two skeletons .*frames"', tag)
  assert page.count("<img") == 2  # the worst and the best
  for tag, child in re.findall(r"(<svg[^>]*>)\s*(<[^>]*>)", page):
    assert 'role="img"' in tag and child == "<title>"
  pictures = "".join(re.findall(r"<svg.*?</svg>", page, re.DOTALL))
  assert not re.search(r"(fill|stroke|color): *#", pictures)
  for needed in (
    "default-src 'none'",
    "prefers-color-scheme: dark",
    "width=device-width",
    "prefers-reduced-motion",
    '<html lang="en">',
  ):
    assert needed in page


def test_texts_cannot_break_the_page(made):
  hostile = '<b>&"\n'
  true = [dataclasses.replace(c, text=hostile, name=hostile) for c in made.true]
  page = page_lib.render(dataclasses.replace(made, true=true), examples=1)
  assert "<b>" not in page and "&lt;b&gt;&amp;&#34;" in page


def test_baselines_and_truth_keep_their_scores(made):
  weights = bootstrap.resample(5, 20)
  for row in ROWS[1:]:
    made_of_it = report.build(
      made.facts,
      made.metrics,
      made.true,
      {"produced": made.rows[row]},
      weights,
    )
    scores = made_of_it.scores["produced"]
    assert repr(scores) == repr(made.scores[row])
  found = {row: made.scores[row]["dtw_mje"].value for row in ROWS}
  assert min(found, key=found.__getitem__) == "truth"
  assert all(found[row] > 0 for row in ROWS if row != "truth")


def test_the_model_is_given_texts_only(home, monkeypatch):
  for door in ("produce", "batches", "stream"):
    signature = inspect.signature(getattr(producer_lib.Producer, door))
    assert list(signature.parameters)[:2] == ["self", "texts"]
  for door, more in (
    ("stream", {"draws"}),
    ("batches", {"seed"}),
    ("produce", {"should_stop", "seed"}),
  ):
    parameters = inspect.signature(
      getattr(producer_lib.Producer, door)
    ).parameters
    assert set(parameters) == {"self", "texts"} | more
  seen = []
  real = decoding.decode

  def watched(model, inputs, limit, leak):
    seen.append(leak)
    return real(model, inputs, limit, leak)

  monkeypatch.setattr(decoding, "decode", watched)
  evaluate_run.evaluate(home / "a", split="dev", resamples=1)
  assert seen == [None]
  evaluate_run.evaluate(home / "a", split="dev", resamples=1, protocol="pt")
  assert len(seen) == 2 and isinstance(seen[1], pt_protocol.PTProtocol)


def test_produced_clips_do_not_depend_on_the_truth(home, made, tmp_path):
  """The same texts with other poses and lengths."""
  other = [
    dataclasses.replace(clip, text=true.text, name=true.name)
    for clip, true in zip(_cut("train")[::-1], _cut("dev"), strict=True)
  ]
  path = _elsewhere(home, tmp_path, other)
  found = {
    protocol: evaluate_run.evaluate(
      path, split="dev", resamples=1, protocol=protocol
    )
    for protocol in ("free", "pt")
  }
  frames = {
    name: [clip.frames.tobytes() for clip in one.rows["produced"]]
    for name, one in {"was": made, **found}.items()
  }
  assert frames["free"] == frames["was"]
  assert frames["pt"] != frames["was"]
  assert [len(c) for c in found["pt"].rows["produced"]] == list(
    range(14, 9, -1)
  )


def test_leaky_protocol_equals_pt(home):
  """Against one pass over its own inputs: true first frame, true counters."""
  producer = load.load_producer(home / "a")
  data = signing.load_split(
    config.Data(folder=str(home / "data")), producer.info, "dev"
  )
  statistics = producer.model.statistics

  def model():
    return producer.model.structure.merge(producer.model.leaves)

  made = producer.produce_pt_protocol(data.sources, data.true)
  assert [len(clip) for clip in made] == [len(clip) for clip in data.true]
  clip, true, n = made[-1], data.true[-1], len(data.true[-1])

  def numbers(frame, valid):
    scaled = statistics.normalise(frame.reshape(-1))
    return np.where(np.repeat(valid, 3), scaled, 0)

  inputs = np.zeros((1, n, PROMPT2SIGN50.num_values + 1), np.float32)
  inputs[0, 0] = model().start_frames(1)[0]
  inputs[0, 1, :-1] = numbers(true.frames[0], true.valid[0])
  for t in range(2, n):
    inputs[0, t, :-1] = numbers(clip.frames[t - 1], clip.valid[t - 1])
  inputs[0, :, -1] = np.arange(n) / n
  source = producer.info.vocabulary.encode(data.sources[-1])[None]
  once = jax.jit(lambda *given: model()(*given))
  out = statistics.denormalise(once(source, inputs).frames[0, :, :-1])
  expected = np.where(np.repeat(clip.valid, 3, -1), out, 0)
  np.testing.assert_allclose(
    clip.frames, expected.reshape(clip.frames.shape), atol=2e-5
  )


@pytest.mark.slow
def test_every_line_of_the_leaky_protocol_says_so(home, tmp_path, capsys):
  out = tmp_path / "out"
  arguments = (f"--workdir={home / 'a'}", "--protocol=pt", f"--out={out}")
  assert _main(home, *arguments) == 0
  said = capsys.readouterr().out
  markdown = (out / "report.md").read_text()
  for text in (said, markdown):
    scores = text.partition("ublished figures")[0].splitlines()
    lines = [line for line in scores if line.startswith("|")]
    of_rows = [line for line in lines if not re.match(r"\|[- :|]+$", line)]
    assert of_rows
    assert all("leaky" in line or "protocol" in line for line in of_rows)
    assert "leaky protocol of PT" in text.splitlines()[0]
  signatures = [line for line in markdown.splitlines() if "|protocol:" in line]
  assert len(signatures) == len(KEYS)
  assert all("protocol:pt (leaky)" in line for line in signatures)
  found = json.loads((out / "report.json").read_text())
  assert found["leaky"] and found["protocol"] == "pt"
  assert found["rows"]["produced"]["length_ratio"] == 1
  audit = {each["key"]: each for each in found["audit"]}
  assert audit["lengths"]["verdict"] == "found"
  assert len(audit["lengths"]["clips"]) == 5
  page = (out / "report.html").read_text()
  assert page.count("leaky") > 12


def test_comparison_of_a_run_with_itself(home, tmp_path, capsys):
  a = str(home / "a")
  assert _main(home, "--compare", a, a, f"--out={tmp_path}") == 0
  said = capsys.readouterr().out
  assert "Paired bootstrap over the same 5 sequences" in said
  assert (tmp_path / "comparison.md").read_text() in said
  found = json.loads((tmp_path / "comparison.json").read_text())
  shown = [key for key in KEYS if found["metrics"][key]["a"] is not None]
  assert "dtw_mje" in shown
  for key in shown:
    one = found["metrics"][key]
    assert one["difference"] == 0 and one["p"] == 1


def test_comparison_with_a_baseline(made):
  frozen = dataclasses.replace(made, sums={"produced": made.sums["frozen"]})
  weights = bootstrap.resample(5, 200)
  found = comparison.compare(made, frozen, weights).differences
  assert found["motion_share"].difference > 0
  for one in found.values():
    assert one.difference == pytest.approx(one.a - one.b, nan_ok=True)
    assert 2 / 201 <= one.p <= 1 or np.isnan(one.p)
  for key in ("dtw_mje", "motion_share"):
    back = comparison.compare(frozen, made, weights).differences[key]
    assert back.difference == -found[key].difference
    assert back.low == pytest.approx(-found[key].high)
    assert back.p == found[key].p


def test_seeds_give_mean_scores_and_a_row_of_their_intervals(made):
  draws = {"produced": [made.rows[row] for row in ("frozen", "truth")]}
  found = report.build(
    made.facts,
    made.metrics,
    made.true,
    made.rows,
    bootstrap.resample(5, 20),
    draws,
  )
  assert list(found.scores) == ["produced", "over_seeds", *ROWS[1:]]
  alone = [
    made.scores[row]["dtw_mje"].value for row in ("produced", "frozen", "truth")
  ]
  mean = found.scores["produced"]["dtw_mje"]
  assert mean.value == pytest.approx(np.mean(alone))
  assert found.scores["over_seeds"]["dtw_mje"] == pytest.approx(
    bootstrap.over_seeds(alone)
  )
  assert "produced, between seeds" in tables.to_markdown(found)
  assert page_lib.render(found, examples=1).count("<svg") == 3


def test_runs_on_other_data_are_not_compared(made):
  other = dataclasses.replace(made, true=made.true[::-1])
  with pytest.raises(errors.UsageError, match="two runs on the same data"):
    comparison.compare(made, other, bootstrap.resample(5, 20))


def test_damaged_checkpoint_is_not_evaluated(home, tmp_path, capsys):
  path = shutil.copytree(home / "a", tmp_path / "run")
  files = [p for p in (path / "checkpoints/40").rglob("*") if p.is_file()]
  victim = max(files, key=lambda p: p.stat().st_size)
  content = bytearray(victim.read_bytes())
  content[len(content) // 2] ^= 1
  victim.write_bytes(content)
  assert _main(home, f"--workdir={path}") == 74
  assert "checkpoints/40: damaged" in capsys.readouterr().err


def test_one_sequence_has_scores_but_no_intervals(home, tmp_path):
  path = _elsewhere(home, tmp_path, _cut("dev")[:1])
  found = evaluate_run.evaluate(path, split="dev", resamples=20)
  assert "other_clip" not in found.rows
  values = report.to_json(found)
  assert values["rows"]["produced"]["dtw_mje"] > 0
  assert values["intervals"]["produced"]["dtw_mje"] == [None, None]
  assert "[" not in tables.markdown(tables.cells(found, found.metrics))
  assert page_lib.render(found).count("<img") == 1


@pytest.mark.parametrize(
  ("arguments", "code", "message"),
  [
    ([], 1, "expected exactly one of --workdir and --compare"),
    (["--workdir=x", "--compare", "y", "z"], 1, "both --workdir and --compare"),
    (["--workdir=nowhere"], 1, "not the work directory of a run"),
    (["--workdir=RUN", "--split=test"], 65, "test.skels"),
    (["--workdir=RUN", "--seeds=0"], 1, "--seeds=0"),
    (["--workdir=RUN", "--resamples=0"], 1, "--resamples=0"),
    (["--workdir=RUN", "--out=FILE/a"], 74, "cannot be written"),
  ],
)
def test_wrong_requests(home, tmp_path, capsys, arguments, code, message):
  (tmp_path / "file").write_text("x")
  arguments = [
    word.replace("RUN", str(home / "a")).replace("FILE", str(tmp_path / "file"))
    for word in arguments
  ]
  before = sorted(home.rglob("*"))
  assert _main(home, *arguments) == code
  assert message in capsys.readouterr().err
  assert sorted(home.rglob("*")) == before  # no empty folder is left


@pytest.mark.slow
def test_a_browser_shows_the_page_without_error_or_network(made, tmp_path):
  sync_api = pytest.importorskip("playwright.sync_api")
  chromium = shutil.which("chromium") or shutil.which("google-chrome")
  if not chromium:
    pytest.skip("Chromium is not installed")
  file, faults = tmp_path / "report.html", []
  file.write_text(page_lib.render(made, examples=1))
  with sync_api.sync_playwright() as playwright:
    browser = playwright.chromium.launch(
      executable_path=chromium, args=["--no-sandbox"]
    )
    page = browser.new_page()
    page.on(
      "request",
      lambda asked: (
        asked.url.startswith((file.as_uri(), "data:"))
        or faults.append(f"asked for {asked.url}")
      ),
    )
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda said: faults.append(said.text))
    page.goto(file.as_uri())
    drawn = page.evaluate(
      "[...document.images].map(i => i.complete && i.naturalWidth)"
    )
    plots = page.locator("svg").all()
    assert len(drawn) == 2 and all(drawn)
    assert len(plots) == 3 and all(plot.is_visible() for plot in plots)
    assert page.locator("table").first.inner_text().count("produced") >= 1
    browser.close()
  assert faults == []

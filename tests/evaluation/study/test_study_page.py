"""A rater's session on the page of a study, in a real browser."""

import collections
import dataclasses
import importlib.resources

import pytest
from helpers import browsers
from helpers.browsers import browser as browser
from helpers.random_clips import signing

import signllm_jax.evaluate as evaluate
from signllm_jax.evaluation import evaluate_clips
from signllm_jax.evaluation.study import analysis, kit, questions

PAIRS = 3

pytestmark = browsers.MARKS


@pytest.fixture(scope="module")
def study(tmp_path_factory):
  folder = tmp_path_factory.mktemp("study")
  true = [
    dataclasses.replace(signing(s, 12), name=f"s{s}", text=f"sentence {s}")
    for s in range(PAIRS)
  ]
  made = [
    dataclasses.replace(signing(s + 9, 12), name=f"s{s}") for s in range(3)
  ]
  scored = evaluate_clips.evaluate([made], true, name="ours", place="test")
  kit.write(folder, [scored], pairs=PAIRS)
  return folder


@pytest.fixture
def page(browser, study):
  """The page of a file, as raters open it; it asks for nothing else."""
  with browsers.watched(browser, ("file:", "data:", "blob:")) as page:
    page.goto((study / "study.html").as_uri())
    yield page


def begin(page, rater: str) -> None:
  page.get_by_label("Your name or number").fill(rater)
  page.get_by_role("button", name="Begin").click()


def answer(page, number: int) -> None:
  """Answers all questions about a pair with the keyboard, then goes on."""
  page.get_by_text(f"Pair {number} of {PAIRS}", exact=True).wait_for()
  for text in page.locator("textarea").all():
    text.fill(f'wind, "{number}"')
  for field in page.locator("fieldset:has(.scale)").all():
    field.locator("input").first.focus()
    page.keyboard.press("4")
  page.locator(".choice label", has_text="the same").click()
  page.get_by_role("button", name="Next").click()


def test_a_session_is_completed_and_analysed(page, study, tmp_path, capsys):
  """Left in the middle and opened again, it goes on; the CSV is analysed."""
  begin(page, "Anna ü")
  page.keyboard.press("a")
  page.wait_for_function(
    "!document.querySelector('video[data-letter=A]').paused"
  )
  page.get_by_role("button", name="Next").click()  # nothing is answered yet
  assert page.locator("input:invalid").count() > 0
  answer(page, 1)
  page.reload()
  for number in range(2, PAIRS + 1):
    answer(page, number)
  with page.expect_download() as waiting:
    page.get_by_role("button", name="Save the answers").click()
  path = tmp_path / waiting.value.suggested_filename
  waiting.value.save_as(path)
  assert path.name == "ratings-Anna_ü.csv"
  ratings = analysis.read_ratings(path, analysis.read_key(study))
  counts = collections.Counter(rating.question for rating in ratings)
  each = {q.key: 2 * PAIRS for q in questions.SCALES}
  assert counts == each | {"paraphrase": 2 * PAIRS, "preferred": 2 * PAIRS}
  assert {r.answer for r in ratings if r.question == "preferred"} == {"0.5"}
  assert {r.answer for r in ratings if r.question == "fluency"} == {"4"}
  assert {r.rater for r in ratings} == {"Anna ü"}
  assert evaluate.main([f"--study={study}", "--ratings", str(path)]) == 0
  assert "Ratings of 1 rater\n" in capsys.readouterr().out


def test_sides_and_order_differ_between_raters(page):
  films = []
  for rater in "abcdefgh":
    page.evaluate("localStorage.clear()")
    page.reload()
    begin(page, rater)
    first = page.locator("video").first
    films.append(first.get_attribute("src"))
  assert len(set(films)) > 2


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_axe_finds_nothing(browser, study, scheme, width):
  """On the first page, on a pair and at the end; nothing is cut off."""
  package = pytest.importorskip("axe_playwright_python")
  script = importlib.resources.files(package) / "axe.min.js"
  context = browser.new_context(
    color_scheme=scheme,
    bypass_csp=True,
    viewport={"width": width, "height": 800},
  )
  page = context.new_page()
  page.goto((study / "study.html").as_uri())
  page.add_script_tag(content=script.read_text(encoding="utf-8"))

  def audit() -> None:
    found = page.evaluate("axe.run()")
    assert [
      (fault["id"], [node["html"] for node in fault["nodes"]])
      for fault in found["violations"]
    ] == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width

  audit()
  begin(page, "anna")
  audit()
  for number in range(1, PAIRS + 1):
    answer(page, number)
  audit()
  context.close()

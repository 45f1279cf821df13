"""The page in a real browser, without a network but its own server."""

import json
import pathlib
import shutil
import subprocess
import tarfile

import pytest
from serving import make_home, serving

sync_api = pytest.importorskip("playwright.sync_api")
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")

pytestmark = [
  pytest.mark.slow,
  pytest.mark.skipif(not CHROMIUM, reason="Chromium is not installed"),
]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
  home = make_home(tmp_path_factory.mktemp("home"))
  copy = home / "copy"
  shutil.copytree(home / "run", copy)
  with serving(home / "run", f"--compare={copy}") as running:
    yield running


@pytest.fixture(scope="module")
def browser():
  with sync_api.sync_playwright() as playwright:
    found = playwright.chromium.launch(
      executable_path=CHROMIUM, args=["--no-sandbox"]
    )
    yield found
    found.close()


@pytest.fixture
def page(browser, server, request):
  """The page after its greeting; fails on errors and on foreign requests."""
  context = browser.new_context(**getattr(request, "param", {}))
  page, faults = context.new_page(), []
  own = f"http://127.0.0.1:{server.port}/"
  page.on(
    "request",
    lambda asked: (
      asked.url.startswith((own, f"blob:{own}"))
      or faults.append(f"asked for {asked.url}")
    ),
  )
  page.on("pageerror", lambda error: faults.append(str(error)))
  page.on(
    "console",
    lambda said: said.type in ("error", "warning") and faults.append(said.text),
  )
  page.goto(own)
  page.wait_for_selector("#play:enabled")
  yield page
  context.close()
  assert faults == []


def picture(page) -> bytes:
  return page.locator("canvas").first.screenshot()


def sign(page, text: str) -> None:
  page.fill("#text", text)
  page.press("#text", "Enter")
  status = page.locator("#status", has_text=f"Signed “{text}”")
  status.wait_for(state="attached")


def pause(page) -> None:
  if page.get_attribute("#play", "aria-label") == "Pause":
    page.click("#play")


def test_type_sign_turn_pause_step(page):
  sign(page, "norden")
  assert page.locator("#tokens button").all_text_contents()[0] == "n"
  # Produced, the other model's and true: a body each.
  assert page.locator(".body canvas").count() == 3
  pause(page)
  page.locator("#time").fill("0")
  first = picture(page)
  page.click("#forth")
  assert page.input_value("#time") == "1"
  assert picture(page) != first
  page.click("#back")
  assert picture(page) == first
  body = page.locator(".body canvas").first
  body.hover()
  page.mouse.down()
  page.mouse.move(300, 300)
  page.mouse.up()
  assert picture(page) != first
  assert page.get_attribute("#front", "aria-pressed") == "false"
  page.click("#front")
  assert picture(page) == first
  page.click("#signer")
  assert picture(page) != first
  assert page.get_attribute("#signer", "aria-pressed") == "true"


def test_keyboard_alone(page):
  pause(page)
  body = page.locator(".body canvas").first
  body.focus()
  page.keyboard.press("Home")  # now the ring around it is there
  first = picture(page)
  for key in ("ArrowLeft", "+"):
    page.keyboard.press(key)
    assert picture(page) != first
  page.keyboard.press("Home")
  assert picture(page) == first
  for _ in range(20):
    page.keyboard.press(",")
  assert page.input_value("#time") == "0"
  page.keyboard.press(".")
  assert page.input_value("#time") == "1"
  page.keyboard.press(" ")
  assert page.get_attribute("#play", "aria-label") == "Pause"


def test_playing_moves_and_tokens_follow(page):
  sign(page, "sonne")
  page.select_option("#speed", "0.25")
  seen = set()
  for _ in range(40):
    seen.add(page.locator('#tokens [aria-current="true"]').text_content())
    page.wait_for_timeout(60)
  assert len(seen) > 1


@pytest.mark.parametrize("name", ["GIF", "NumPy"])
def test_download(page, name):
  sign(page, "wind")
  with page.expect_download() as waiting:
    page.get_by_role("button", name=name, exact=True).click()
  download = waiting.value
  assert download.suggested_filename.startswith("wind.")
  assert pathlib.Path(download.path()).stat().st_size > 1000


def test_question_mode(page):
  page.get_by_text("Question", exact=True).click()
  page.fill("#text", "How do I sign “regen”?")
  page.click("#sign")
  page.locator("#status", has_text="“regen”").wait_for(state="attached")


@pytest.mark.parametrize("page", [{"reduced_motion": "reduce"}], indirect=True)
def test_reduced_motion_does_not_play_by_itself(page):
  assert page.get_attribute("#play", "aria-label") == "Play"


@pytest.mark.parametrize(
  "page", [{"viewport": {"width": 360, "height": 700}}], indirect=True
)
def test_phone_does_not_scroll_sideways(page):
  width = page.evaluate("document.documentElement.scrollWidth")
  assert width <= 360


def test_refusal_is_told_and_named(browser, server):
  context = browser.new_context()
  page = context.new_page()
  page.goto(f"http://127.0.0.1:{server.port}/#text=x😀")
  problem = page.get_by_role("alert")
  problem.filter(has_text="knows none").wait_for()
  assert page.get_attribute("#text", "aria-invalid") == "true"
  context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(browser, server, scheme, tmp_path):
  context = browser.new_context(color_scheme=scheme, bypass_csp=True)
  page = context.new_page()
  page.goto(f"http://127.0.0.1:{server.port}/")
  page.wait_for_selector("#play:enabled")
  page.add_script_tag(content=axe(tmp_path))
  found = page.evaluate("axe.run()")
  serious = [
    (fault["id"], [node["html"] for node in fault["nodes"]])
    for fault in found["violations"]
    if fault["impact"] in ("serious", "critical")
  ]
  assert serious == []
  assert len(found["passes"]) > 20, json.dumps(found)[:500]
  context.close()


def axe(folder: pathlib.Path) -> str:
  """axe-core's script, of npm."""
  npm = shutil.which("npm")
  if npm is None:
    pytest.skip("npm is not installed, so axe-core cannot be fetched")
  done = subprocess.run(
    [npm, "pack", "axe-core@4", "--silent"], cwd=folder, capture_output=True
  )
  archives = list(folder.glob("axe-core-*.tgz"))
  if done.returncode or not archives:
    pytest.skip("axe-core cannot be fetched")
  with tarfile.open(archives[0]) as archive:
    script = archive.extractfile("package/axe.min.js")
    assert script is not None
    return script.read().decode()

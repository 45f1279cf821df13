"""The page in a real browser, without a network but its own server."""

import http.server
import importlib.resources
import json
import pathlib
import shutil
import threading

import pytest
from helpers import browsers, invented_faces
from helpers.browsers import browser as browser
from helpers.flow_models import write_flow_model
from helpers.serving import make_home, serving

from signllm_jax.core.skeleton import DWPOSE128, HOLISTIC178

pytestmark = browsers.MARKS


@pytest.fixture(scope="module")
def home(tmp_path_factory):
  return make_home(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def server(home):
  copy = home / "copy"
  shutil.copytree(home / "run", copy)
  with serving(home / "run", f"--compare={copy}") as running:
    yield running


@pytest.fixture
def page(browser, server, request):
  """The page after its greeting; fails on errors and on foreign requests."""
  own = f"http://127.0.0.1:{server.port}/"
  options = getattr(request, "param", {})
  with browsers.watched(browser, (own, f"blob:{own}"), **options) as page:
    page.goto(own)
    page.wait_for_selector("#play:enabled")
    yield page


def picture(page) -> bytes:
  return page.locator("canvas").first.screenshot()


def sign(page, text: str) -> None:
  page.fill("#text", text)
  page.press("#text", "Enter")
  status = page.locator("#status", has_text=f"Signed “{text}”")
  status.wait_for(state="attached")


def save(page, form: str) -> None:
  """Chooses a form of the first clip in the menu."""
  if page.locator("#downloads").is_hidden():
    page.click("#download")
  page.get_by_role("button", name=form, exact=True).first.click()


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
    save(page, name)
  download = waiting.value
  assert download.suggested_filename.startswith("wind.")
  assert pathlib.Path(download.path()).stat().st_size > 1000


def test_the_menu_says_which_clip_it_saves(page, tmp_path):
  sign(page, "wind")
  page.click("#download")
  assert page.get_attribute("#download", "aria-expanded") == "true"
  titles = page.locator("#downloads p").all_text_contents()
  assert titles == [
    "Save “wind”, signed by run as",
    "Save “wind”, signed by copy as",
  ]
  with page.expect_request("**/v1/download") as waiting:
    page.get_by_role("button", name="NumPy", exact=True).last.click()
  assert waiting.value.post_data_json["model"] == "copy"
  page.keyboard.press("Escape")
  assert page.locator("#downloads").is_hidden()
  assert page.evaluate("document.activeElement.id") == "download"
  names = set()
  for form in ("GIF", "skels", "OpenPose JSON", "DWPose JSON", "NumPy"):
    with page.expect_download() as saved:
      save(page, form)
    names.add(saved.value.suggested_filename)
  assert names == {
    *("wind.gif", "wind.npz", "wind-skels.zip"),
    *("wind-openpose.zip", "wind-dwpose.zip"),
  }


def test_question_mode(page):
  page.get_by_text("Question", exact=True).click()
  page.fill("#text", "How do I sign “regen”?")
  page.click("#sign")
  page.locator("#status", has_text="“regen”").wait_for(state="attached")


@pytest.mark.parametrize("page", [{"reduced_motion": "reduce"}], indirect=True)
def test_reduced_motion_does_not_play_by_itself(page):
  assert page.get_attribute("#play", "aria-label") == "Play"


PHONES = ((360, 640), (390, 844), (412, 732))


@pytest.mark.parametrize("size", [(1366, 768), (1280, 720), *PHONES])
def test_figure_and_play_are_seen_without_scrolling(browser, server, size):
  width, height = size
  context = browser.new_context(viewport={"width": width, "height": height})
  page = context.new_page()
  page.goto(f"http://127.0.0.1:{server.port}/#text=norden")
  page.wait_for_selector("#play:enabled")
  page.wait_for_selector("#sign:not([aria-busy])")
  assert page.evaluate("document.documentElement.scrollWidth") <= width
  play = page.locator("#play").bounding_box()
  assert play["y"] + play["height"] <= height
  bar = page.locator(".bar").bounding_box()
  body = page.locator(".body canvas").first.bounding_box()
  assert body["y"] + min(body["height"], 180) <= bar["y"]
  context.close()


def words(page) -> str:
  return page.locator("body").inner_text() + page.evaluate(
    "[...document.querySelectorAll('[aria-label], [title], [aria-valuetext]')]"
    ".map((n) => ['aria-label', 'title', 'aria-valuetext']"
    ".map((a) => n.getAttribute(a)).join(' ')).join(' ') + location.href"
  )


@pytest.fixture
def refused(browser, server):
  """A page whose console may tell of refused requests."""
  context = browser.new_context()
  page = context.new_page()
  page.goto(f"http://127.0.0.1:{server.port}/")
  page.wait_for_selector("#play:enabled")
  yield page
  context.close()


def test_after_a_refusal_nothing_of_the_last_signing_stays(refused):
  page = refused
  sign(page, "norden")
  page.select_option("#speed", "0.25")
  page.click("#download")
  assert "“norden”" in words(page)
  page.fill("#text", "x😀")
  page.press("#text", "Enter")
  page.get_by_role("alert").filter(has_text="knows none").wait_for()
  page.evaluate("document.querySelector('#examples').replaceChildren()")
  left = words(page)
  assert "norden" not in left and "Signed" not in left
  assert page.locator("canvas").count() == 0
  assert page.locator("#tokens button").count() == 0
  assert page.text_content("#clock") == "0.00 / 0.00 s"
  for control in ("#play", "#time", "#back", "#forth", "#download"):
    assert page.is_disabled(control)
  sign(page, "wind")  # and the page goes on
  assert page.is_enabled("#play")


def test_a_failed_change_of_the_same_text_leaves_it(refused):
  page = refused
  sign(page, "norden")
  page.route("**/v1/sign/stream", lambda route: route.abort())
  page.click("#smooth")
  page.get_by_role("alert").filter(has_text="cannot be reached").wait_for()
  assert page.locator("canvas").count() > 0
  assert page.is_enabled("#download")


def test_the_clock_is_no_live_region(page):
  sign(page, "norden")
  live = page.evaluate(
    """() => {
      const found = document.querySelector("#clock").closest(
        "output, [aria-live], [role=status], [role=timer], [role=alert]");
      return found === null;
    }"""
  )
  assert live


def test_refusal_is_told_and_named(browser, server):
  context = browser.new_context()
  page = context.new_page()
  page.goto(f"http://127.0.0.1:{server.port}/#text=x😀")
  problem = page.get_by_role("alert")
  problem.filter(has_text="knows none").wait_for()
  assert page.get_attribute("#text", "aria-invalid") == "true"
  page.fill("#text", "😀" * 4000)  # 8,000 units of JavaScript, 4,000 characters
  with page.expect_response("**/v1/sign/stream") as answer:
    page.press("#text", "Enter")
  assert answer.value.request.post_data_json["text"] == "😀" * 4000
  page.wait_for_selector("#sign:not([aria-busy])")
  assert "at most 5,000" not in problem.text_content()
  page.fill("#text", "w" * 5001)
  page.press("#text", "Enter")
  problem.filter(has_text="5,001 characters; at most 5,000").wait_for()
  context.close()


@pytest.fixture(scope="module")
def front(browser):
  """A site of another origin that frames what a test names."""
  asked = {}

  class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
      self.send_response(200)
      self.send_header("content-type", "text/html")
      self.end_headers()
      self.wfile.write(asked["html"].encode())

    def log_message(self, format, *args):
      pass

  with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page) as site:
    threading.Thread(target=site.serve_forever, daemon=True).start()
    yield f"http://localhost:{site.server_port}", asked
    site.shutdown()


def test_a_front_end_of_an_allowed_origin(browser, home, front):
  """It embeds a signing and asks the API; another origin may do neither."""
  origin, asked = front
  with serving(home / "run", f"--allow_origin={origin}") as running:
    own = f"http://127.0.0.1:{running.port}"
    asked["html"] = (
      f"<!doctype html><title>x</title><iframe title='s' width='400' "
      f"height='500' src='{own}/embed?text=wind'></iframe>"
    )
    context = browser.new_context()
    page = context.new_page()
    page.goto(origin)
    frame = page.frame_locator("iframe")
    frame.locator(".moving svg").first.wait_for()
    assert frame.locator("h1").text_content() == "wind"
    first = page.screenshot()
    page.wait_for_timeout(300)
    assert page.screenshot() != first  # it moves
    sign = (
      "async (own) => (await (await fetch(own + '/v1/sign', {method: 'POST',"
      "headers: {'content-type': 'application/json'},"
      "body: JSON.stringify({text: 'wind'})})).json()).length"
    )
    assert page.evaluate(sign, own) > 0
    page.goto(origin.replace("localhost", "127.0.0.1"))
    page.wait_for_timeout(500)
    assert not any(f.url.startswith(own) for f in page.frames[1:])
    with pytest.raises(browsers.sync_api.Error, match="Failed to fetch"):
      page.evaluate(sign, own)
    still = browser.new_context(reduced_motion="reduce").new_page()
    still.goto(f"{own}/embed?text=wind&theme=dark")
    assert still.locator(".still svg").first.is_visible()
    assert still.locator(".moving svg").first.is_hidden()
    still.context.close()
    context.close()


@pytest.fixture(scope="module")
def with_face(tmp_path_factory):
  """A 2-D model with a face, compared with a 3-D one."""
  folder = tmp_path_factory.mktemp("faces")
  flat, deep = (
    write_flow_model(
      folder / f"{each.name}.safetensors", each, invented_faces.stand(each)
    )
    for each in (DWPOSE128, HOLISTIC178)
  )
  with serving(flat, f"--compare={deep}") as running:
    yield running


def audit(page) -> list:
  """Runs axe-core, as axe-playwright-python brings it; returns the passes."""
  package = pytest.importorskip("axe_playwright_python")
  script = importlib.resources.files(package) / "axe.min.js"
  page.add_script_tag(content=script.read_text(encoding="utf-8"))
  found = page.evaluate("axe.run()")
  faults = [
    (fault["id"], fault["impact"], [node["html"] for node in fault["nodes"]])
    for fault in found["violations"]
  ]
  assert faults == []
  return found["passes"]


@pytest.fixture
def audited(browser, scheme, width):
  context = browser.new_context(
    color_scheme=scheme,
    bypass_csp=True,
    viewport={"width": width, "height": 800},
  )
  yield context.new_page()
  context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("served", ["server", "generative", "with_face"])
def test_axe_finds_nothing(audited, request, served):
  server, page = request.getfixturevalue(served), audited
  page.goto(f"http://127.0.0.1:{server.port}/#text=wind")
  page.wait_for_selector("#play:enabled")
  page.wait_for_selector("#sign:not([aria-busy])")
  assert len(audit(page)) > 20
  page.fill("#text", "x😀")  # a refusal has colours of its own
  page.press("#text", "Enter")
  page.get_by_role("alert").filter(has_text="knows none").wait_for()
  audit(page)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("served", ["server", "with_face"])
def test_axe_finds_nothing_on_the_embedded_page(
  audited, request, served, scheme
):
  """A signing, and a refusal."""
  server, page = request.getfixturevalue(served), audited
  own = f"http://127.0.0.1:{server.port}/embed?theme={scheme}&text="
  for text in ("wind", "😀"):
    page.goto(own + text)
    assert len(audit(page)) > 5


def test_finishes_are_asked_for_and_kept(page):
  sign(page, "norden")
  with page.expect_request("**/v1/sign/stream") as waiting:
    page.click("#bones")
  assert waiting.value.post_data_json["constant_bones"] is True
  assert page.get_attribute("#bones", "aria-pressed") == "true"
  with page.expect_request("**/v1/download") as waiting:
    save(page, "NumPy")
  asked = waiting.value.post_data_json
  assert (asked["constant_bones"], asked["smooth"]) == (True, False)


def test_sentence_is_signed_word_by_word(page):
  sign(page, "wind regen")
  letters = page.locator("#tokens button").all_text_contents()
  assert letters[0] == "w"
  assert page.locator("#tokens li.apart").all_text_contents() == ["r"]


def test_gloss_moves_in_step_with_the_motion(browser, server):
  """With the answer of a model that writes glosses, at the network's place."""
  context = browser.new_context()
  page = context.new_page()

  def answer(route) -> None:
    lines = [json.loads(line) for line in route.fetch().text().splitlines()]
    length = lines[-1]["length"]
    lines[-1]["gloss"] = "NORD WIND"
    lines[-1]["tokens"] = [
      {"token": "NORD", "start": 0, "end": length / 2},
      {"token": "WIND", "start": length / 2, "end": length},
    ]
    route.fulfill(
      content_type="application/x-ndjson",
      body="".join(json.dumps(line) + "\n" for line in lines),
    )

  page.route("**/v1/sign/stream", answer)
  page.goto(f"http://127.0.0.1:{server.port}/#text=wind")
  page.wait_for_selector("#play:enabled")
  pause(page)
  said = page.locator("#status").text_content()
  assert "as NORD WIND" in said
  current = page.locator('#tokens [aria-current="true"]')
  page.locator("#time").fill("0")
  assert current.text_content() == "NORD"
  page.locator("#tokens button", has_text="WIND").click()
  assert current.text_content() == "WIND"
  context.close()


def test_a_text_is_shown_as_its_frames_come(browser, home):
  with serving(home / "run") as alone:  # of two models the slower decides
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"http://127.0.0.1:{alone.port}/")
    page.wait_for_selector("#play:enabled")
    page.evaluate(
      """() => new MutationObserver(() => {
        window.early ??= Number(document.querySelector("#time").max);
      }).observe(document.querySelector("#columns"), { childList: true })"""
    )
    page.fill("#text", "norden " * 20)
    page.press("#text", "Enter")
    page.locator("#status", has_text="Signed “norden norden").wait_for(
      state="attached"
    )
    page.wait_for_selector("#sign:not([aria-busy])")
    frames = int(page.get_attribute("#time", "max")) + 1
    assert f"{frames} frames" in page.text_content("#status")
    assert 0 < page.evaluate("window.early") + 1 < frames
    context.close()


@pytest.fixture(scope="module")
def generative(tmp_path_factory):
  folder = tmp_path_factory.mktemp("flow")
  with serving(write_flow_model(folder / "flow.safetensors")) as running:
    yield running


def test_another_way_keeps_the_place_and_its_seed_is_in_the_address(
  browser, generative
):
  context = browser.new_context()
  page = context.new_page()
  own = f"http://127.0.0.1:{generative.port}/"
  page.goto(f"{own}#text=nacht&seed=6")
  page.wait_for_selector("#another:enabled")
  assert page.text_content("#seed") == "Seed 6"
  pause(page)
  page.locator("#time").fill("1")
  first = picture(page)
  page.fill("#text", "typed, not signed")
  page.focus("#another")
  page.keyboard.press("Enter")
  said = page.locator("#status", has_text="Signed “nacht”, seed 7")
  said.wait_for(state="attached")
  assert page.input_value("#time") == "1"
  assert page.get_attribute("#play", "aria-label") == "Play"
  assert page.evaluate("document.activeElement.id") == "another"
  assert page.evaluate("location.hash") == "#text=nacht&seed=7"
  other = picture(page)
  assert other != first
  with page.expect_download() as waiting:
    save(page, "NumPy")
  assert waiting.value.suggested_filename == "nacht-seed-7.npz"
  page.click("#bones")  # postprocessing keeps the seed
  page.wait_for_selector("#sign:not([aria-busy])")
  assert page.text_content("#seed") == "Seed 7"
  page.locator(".body canvas").focus()
  page.keyboard.press("a")
  page.locator("#seed", has_text="Seed 8").wait_for()
  page.goto("about:blank")
  page.goto(f"{own}#text=nacht&seed=7")
  page.wait_for_selector("#another:enabled")
  pause(page)
  page.locator("#time").fill("1")
  assert picture(page) == other
  sign(page, "wind")
  assert page.text_content("#seed") == "Seed 0"
  context.close()


def test_a_deterministic_model_offers_no_other_way(page):
  assert page.locator("#ways").is_hidden()
  page.locator(".body canvas").first.focus()
  with page.expect_request("**/v1/sign/stream") as waiting:
    page.keyboard.press("a")
    sign(page, "wind")
  assert "seed" not in waiting.value.post_data_json


def test_skeletons_with_faces_are_drawn(browser, tmp_path):
  """A 2-D one, which is not turned, beside one with depth; and alone."""
  flat, deep = (
    write_flow_model(
      tmp_path / f"{each.name}.safetensors", each, invented_faces.stand(each)
    )
    for each in (DWPOSE128, HOLISTIC178)
  )
  for arguments, canvases, turns in (
    ([f"--compare={deep}"], 6, True),
    ([], 3, False),
  ):
    with serving(flat, *arguments) as running:
      context = browser.new_context(reduced_motion="reduce")
      page, faults = context.new_page(), []
      page.on("pageerror", lambda error, to=faults: to.append(str(error)))
      page.goto(f"http://127.0.0.1:{running.port}/#text=norden")
      page.wait_for_selector("#play:enabled")
      page.wait_for_selector("#sign:not([aria-busy])")
      assert page.locator("canvas").count() == canvases
      first = picture(page)
      assert len(set(first)) > 100
      page.click("#closer")
      assert picture(page) != first  # zoomed
      page.click("#farther")
      assert picture(page) == first
      assert page.locator("#signer").is_visible() == turns
      page.keyboard.press("s")
      assert picture(page) == first  # the 2-D figure never turns
      assert page.locator("#faceless").is_hidden()
      roles = page.locator(".body canvas").evaluate_all(
        "nodes => nodes.map((node) => node.getAttribute('role'))"
      )
      assert roles == ["img", "application"][: len(roles)]
      assert faults == []
      context.close()


# Pixels of the hands' cards that are not the card's colour: the most on an edge
# and the fewest inside, over all frames.
COUNT = """() => {
  const time = document.querySelector("#time");
  const edges = [], inside = [];
  for (let t = 0; t <= Number(time.max); t += 1) {
    time.value = t;
    time.dispatchEvent(new Event("input"));
    for (const canvas of document.querySelectorAll(".hand canvas")) {
      const { width, height } = canvas;
      const context = canvas.getContext("2d");
      const data = context.getImageData(0, 0, width, height).data;
      const card = data.slice(0, 3).join();
      let edge = 0, drawn = 0;
      for (let i = 0; i < width * height; i += 1) {
        if (data.slice(4 * i, 4 * i + 3).join() === card) continue;
        const x = i % width, y = Math.floor(i / width);
        if (x < 1 || y < 1 || x >= width - 1 || y >= height - 1) edge += 1;
        else drawn += 1;
      }
      edges.push(edge);
      inside.push(drawn);
    }
  }
  return [Math.max(...edges), Math.min(...inside)];
}"""


def test_no_fingertip_is_outside_its_card(browser, home):
  """Every frame, from the front and turned: no finger on an edge."""
  with serving(home / "run") as running:
    context = browser.new_context(reduced_motion="reduce")
    page = context.new_page()
    page.goto(f"http://127.0.0.1:{running.port}/#text=norden")
    page.wait_for_selector("#play:enabled")
    page.wait_for_selector("#sign:not([aria-busy])")
    for turn in ("#front", "#signer"):
      page.click(turn)
      seen = page.evaluate(COUNT)
      assert seen[0] == 0 and seen[1] > 200, turn
    context.close()

"""A real browser, and pages that may ask for nothing foreign."""

import contextlib
import shutil
from collections.abc import Iterator
from typing import Any

import pytest

sync_api = pytest.importorskip("playwright.sync_api")
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
MARKS = [
  pytest.mark.slow,
  pytest.mark.skipif(not CHROMIUM, reason="Chromium is not installed"),
]


@pytest.fixture(scope="module")
def browser():
  with sync_api.sync_playwright() as playwright:
    found = playwright.chromium.launch(
      executable_path=CHROMIUM, args=["--no-sandbox"]
    )
    yield found
    found.close()


@contextlib.contextmanager
def watched(browser, own: tuple[str, ...], **options: Any) -> Iterator[Any]:
  """A page; fails on errors and on requests that do not begin with `own`."""
  context = browser.new_context(**options)
  page, faults = context.new_page(), []
  page.on(
    "request",
    lambda asked: (
      asked.url.startswith(own) or faults.append(f"asked for {asked.url}")
    ),
  )
  page.on("pageerror", lambda error: faults.append(str(error)))
  page.on(
    "console",
    lambda said: said.type in ("error", "warning") and faults.append(said.text),
  )
  yield page
  context.close()
  assert faults == []

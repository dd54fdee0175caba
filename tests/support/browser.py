"""Web pages in a browser without a window, and what goes wrong in them."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ERRORS = ("error", "warning")
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def require_chromium() -> str:
    """The browser's path; a test that needs it is skipped where there is none, but fails in CI."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        leave = pytest.fail if os.environ.get("CI") else pytest.skip
        leave("needs Chromium; on Debian: apt-get install chromium")
    return found


@contextmanager
def open_browser() -> Iterator[object]:
    """A headless browser with an empty profile."""
    chromium = require_chromium()
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=list(FLAGS))
        yield browser
        browser.close()


def _go(page: object, address: str) -> None:
    """Open an address; once more if a browser on a busy machine does not see the page end to load."""
    from playwright.sync_api import TimeoutError as Timeout

    try:
        page.goto(address)
    except Timeout:
        page.goto(address)


@contextmanager
def visits(browser, forgives: str | None = None) -> Iterator[Callable[..., object]]:
    """Opens addresses, each in a window of its own; at the end no complaint but those with `forgives` may be there."""
    complaints, pages = [], []

    def visit(address: str, width: int = 1280, **options: object) -> object:
        page = browser.new_page(viewport={"width": width, "height": 900}, **options)
        page.on("console", lambda message: complaints.append(message.text) if message.type in ERRORS else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("requestfailed", lambda request: complaints.append(f"failed: {request.url[:80]}"))
        pages.append(page)
        _go(page, address)
        return page

    yield visit
    for page in pages:
        page.close()
    assert [text for text in complaints if forgives is None or forgives not in text] == []

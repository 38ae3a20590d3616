"""The documentation site in a real browser: search, light and dark, and a phone."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.support.browser import DESKTOP, PHONE, running_browser
from tests.system.documentation.test_build import site

__all__ = ["site"]

pytestmark = pytest.mark.long


class Quiet(SimpleHTTPRequestHandler):
    """Serves a folder without a log."""

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve a folder while the block runs."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(scope="module")
def pages(site: Path) -> Iterator[dict[str, Page]]:
    """The page of metrics on a desk, light and dark, and on a phone, without an error and without a foreign request."""
    with served(site) as address, running_browser() as browser:
        opened = {}
        problems: list[str] = []
        for name, scheme, size in (("light", "light", DESKTOP), ("dark", "dark", DESKTOP), ("phone", "light", PHONE)):
            page = browser.new_context(color_scheme=scheme, viewport=size).new_page()  # type: ignore[arg-type]
            page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
            page.on("request", lambda sent: None if sent.url.startswith(address) else problems.append(sent.url))
            page.goto(f"{address}/docs/metrics.html")
            opened[name] = page
        yield opened
        assert problems == []


def test_search_finds_a_section(pages: dict[str, Page]) -> None:
    """A reader types a word, and is led to the section that has it."""
    page = pages["light"]
    page.keyboard.press("Control+k")
    page.keyboard.type("overflow")
    expect(page.get_by_text("SeriesOverflow").first).to_be_visible(timeout=30_000)


def test_the_colours_are_those_of_the_system(pages: dict[str, Page]) -> None:
    """Who works in the dark gets a dark page."""
    colour = "Math.max(...getComputedStyle(document.body).backgroundColor.match(/\\d+/g).slice(0, 3).map(Number))"
    assert pages["light"].evaluate(colour) > 200
    assert pages["dark"].evaluate(colour) < 60


def test_a_phone_shows_the_page_in_its_width(pages: dict[str, Page]) -> None:
    """The wide tables scroll by themselves, and not the page."""
    assert pages["phone"].evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert pages["phone"].evaluate("[...document.querySelectorAll('table')].some(one => one.scrollWidth > innerWidth)")

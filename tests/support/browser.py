"""A real browser for the dashboard's page; tests that use it are skipped if Chromium is not installed."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Error,
    Page,
    Request,
    ViewportSize,
    sync_playwright,
)

from tests.support.dev_server import DevServer

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP evil.example 127.0.0.1",
    "--explicitly-allowed-ports=10080",  # it is in the range of free_port(), and Chromium refuses it
]
DESKTOP: ViewportSize = {"width": 1440, "height": 1000}
PHONE: ViewportSize = {"width": 390, "height": 844}


@contextmanager
def running_browser() -> Iterator[Browser]:
    """Run Chromium, or skip the test."""
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("install Debian's package chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=FLAGS)
        yield browser
        browser.close()


class DashboardPage:
    """The dashboard in its own tab, with all errors of the page.

    Args:
        context: the tab's settings, such as its size.
        server: the dev server that serves it.
    """

    def __init__(self, context: BrowserContext, server: DevServer) -> None:
        self.server = server
        self.page: Page = context.new_page()
        self.complaints: list[str] = []
        self.addresses: list[str] = []
        self.page.on("console", self._heard)
        self.page.on("pageerror", self._broke)
        self.page.on("request", self._asked)

    def open(self, query: str = "") -> DashboardPage:
        """Go to the page, and wait until it has drawn its first panel."""
        self.page.goto(f"{self.server.url}/dashboard{query}")
        self.page.wait_for_selector("[data-state]")
        return self

    def draw_all(self) -> dict[int, str]:
        """Scroll to every panel of the open rows, and return the state of each: drawn, empty or error."""
        panels = self.page.locator("article.panel:not(.text):visible")
        for number in range(panels.count()):
            panels.nth(number).evaluate("panel => panel.scrollIntoView({ block: 'center' })")
            panels.nth(number).and_(self.page.locator("[data-state]")).wait_for()
        self.page.evaluate("scrollTo(0, 0)")
        states: list[list[Any]] = panels.evaluate_all("all => all.map(one => [one.id, one.dataset.state])")
        return {int(name.removeprefix("panel-")): state for name, state in states}

    def panel(self, title: str) -> Any:
        """Return the first panel of that title."""
        return self.page.locator("article.panel", has=self.page.get_by_role("heading", name=title, exact=True)).first

    def last_values(self, title: str) -> dict[str, str]:
        """Return the legend of a graph: the name of each series and its last value as printed."""
        script = "rows => rows.map(row => [row.querySelector('th').innerText, row.querySelector('td').innerText])"
        return dict(self.panel(title).locator(".legend tbody tr").evaluate_all(script))

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.complaints.append(f"{message.type}: {message.text} {message.location}")

    def _broke(self, error: Error) -> None:
        self.complaints.append(f"uncaught: {error.message}")

    def _asked(self, request: Request) -> None:
        self.addresses.append(request.url)

"""Tabs with the dashboard, and requests for it to show."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser

from tests.support.browser import DESKTOP, DashboardPage
from tests.support.dev_server import DevServer

__all__ = ["ACME", "Open", "send", "tab"]

ACME = {"X-Tenant": "acme"}
Open = Callable[..., DashboardPage]


@pytest.fixture
def tab(browser: Browser, server: DevServer) -> Iterator[Open]:
    """Return a function that opens the dashboard in a new tab; the tab must have no errors at the end."""
    opened: list[DashboardPage] = []

    def open_one(query: str = "", at: DevServer = server, **settings: Any) -> DashboardPage:
        settings = {"viewport": DESKTOP, "color_scheme": "light", **settings}
        dashboard = DashboardPage(browser.new_context(**settings), at)
        opened.append(dashboard)
        return dashboard.open(query)

    yield open_one
    for dashboard in opened:
        dashboard.page.context.close()
        assert dashboard.complaints == []
        assert [address for address in dashboard.addresses if not address.startswith(dashboard.server.url)] == []


def send(server: DevServer, times: int = 10) -> None:
    """Send the same few requests of every kind, several times, and wait until they were scraped.

    A page that is opened before the first scrape loads itself again.
    """
    with httpx.Client(base_url=server.url, headers=ACME, timeout=30) as client:
        for number in range(times):
            client.post("/api/content", json={"slug": f"entry-{number}", "title": "Title", "body": "Body"})
            client.get(f"/api/content/entry-{number}")
            client.get("/api/content/missing")
        for _ in range(300):
            if "database" not in client.get("/dashboard/source.json").json()["form"]:
                return
            time.sleep(0.1)
    raise AssertionError("the requests were not scraped")

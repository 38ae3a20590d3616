"""The query API of the dashboard: what it refuses, what it passes on, and what it stops."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl

import httpx
import pytest
from starlette.types import Message

from lib.kairo_metrics.dev.dashboard.app import Dashboard
from lib.kairo_metrics.dev.dashboard.document import Document
from lib.kairo_metrics.dev.dashboard.history import NAME, History, labels_of
from lib.kairo_metrics.dev.dashboard.scraper import Scraper
from lib.kairo_metrics.dev.dashboard.upstream import Call, Reply, Upstream

API = "/dashboard/api/v1"
DEEP = "(" * 9_000 + "1" + ")" * 9_000

ASK = """
import asyncio, sys
sys.modules[sys.argv[1]] = None  # as if it were not installed
import httpx
from lib.kairo_metrics.dev.dashboard.app import Dashboard
from lib.kairo_metrics.dev.dashboard.document import Document
from lib.kairo_metrics.dev.dashboard.history import History
from lib.kairo_metrics.dev.dashboard.scraper import Scraper
history = History(keep_ms=1)
app = Dashboard(None, Document("Shop"), Scraper(None, "token", {}, history, always=False), history)
async def ask():
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
        print((await client.get("/dashboard/api/v1/query?query=up")).json()["error"])
asyncio.run(ask())
"""


@pytest.mark.parametrize("module", ["re2", "promql_parser"])
def test_a_missing_library_is_named(module: str) -> None:
    """Without the parser or RE2 the answer says which one is missing and how to install it."""
    ran = subprocess.run([sys.executable, "-c", ASK, module], capture_output=True, text=True, check=False)
    assert f"can't import {module}; it needs two packages: pip install promql-parser google-re2" in ran.stdout, (
        ran.stderr
    )


async def _nowhere(*_: Any) -> None:
    raise AssertionError("only the dashboard is asked")


class Prometheus(Upstream):
    """Notes what it is asked, in place of the requests."""

    def __init__(self) -> None:
        super().__init__("http://127.0.0.1:1")
        self.asked: list[tuple[str, list[tuple[str, str]]]] = []

    def get(self, path: str, query: str, _call: Call | None = None) -> Reply:
        self.asked.append((path, parse_qsl(query)))
        return Reply(200, b"{}")


@pytest.mark.parametrize(
    "query",
    [
        f"query={DEEP}",
        f"query=up&query={DEEP}",
        f"query={DEEP}&query=up",
        f"match[]={DEEP}",
        "query=" + "1%2B" * 200 + "1",
        "query=%01",
    ],
)
async def test_a_query_for_a_prometheus_has_the_same_limits(query: str) -> None:
    """A query that is too deep or too long does not reach PROMETHEUS_URL, whichever parameter has it."""
    prometheus = Prometheus()
    app = Dashboard(_nowhere, Document("Shop"), prometheus, History(keep_ms=1))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
        for path in ("query", "query_range", "series", "labels", "label/job/values"):
            answer = await client.get(f"{API}/{path}?{query}")
            assert (answer.status_code, answer.json()["errorType"]) == (422, "execution")
    assert prometheus.asked == []


async def test_a_query_for_a_prometheus_is_passed_on_with_a_time_limit() -> None:
    """Other parameters arrive as they are, and Prometheus gives up when the dashboard does."""
    prometheus = Prometheus()
    app = Dashboard(_nowhere, Document("Shop"), prometheus, History(keep_ms=1))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
        assert (await client.get(f"{API}/query", params={"query": 'up{a="+&%é"}', "time": "1"})).status_code == 200
        assert (await client.get(f"{API}/label/caf%C3%A9/values")).status_code == 404
    assert prometheus.asked == [("query", [("timeout", "20s"), ("query", 'up{a="+&%é"}'), ("time", "1")])]


class SlowHistory(History):
    """A history in which a selector that matches takes for ever, if nobody stops it."""

    def __init__(self) -> None:
        super().__init__(keep_ms=60_000)
        self.add(1_000, {labels_of({NAME: "jobs"}): 1.0})
        self.is_read = threading.Event()
        self.has_stopped = threading.Event()

    def select(self, _name: str | None, matches: Callable[..., bool], *_bounds: int) -> Any:
        self.is_read.set()
        try:
            while matches(labels_of({NAME: "jobs"})):
                pass
        finally:
            self.has_stopped.set()


async def test_a_query_whose_client_has_left_is_stopped() -> None:
    """When the browser closes the page, its query stops computing long before its time limit."""
    history = SlowHistory()
    app = Dashboard(_nowhere, Document("Shop"), Scraper(_nowhere, "t", {}, history, always=False), history)
    await _ask_and_leave(app, history.is_read, history.has_stopped)


async def test_a_query_for_a_prometheus_whose_client_has_left_is_stopped() -> None:
    """When the browser closes the page, the connection to Prometheus ends, and so its computing."""
    is_asked, is_closed = threading.Event(), threading.Event()

    class Slow(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            is_asked.set()
            if self.connection.recv(1) == b"":
                is_closed.set()

    with ThreadingHTTPServer(("127.0.0.1", 0), Slow) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            prometheus = Upstream(f"http://127.0.0.1:{server.server_port}")
            await _ask_and_leave(
                Dashboard(_nowhere, Document("Shop"), prometheus, History(keep_ms=1)), is_asked, is_closed
            )
        finally:
            server.shutdown()
            thread.join()


async def _ask_and_leave(app: Dashboard, has_begun: threading.Event, has_stopped: threading.Event) -> None:
    """Send a query, leave when it has begun, and see that it stops."""
    has_left = asyncio.Event()

    async def receive() -> Message:
        await has_left.wait()
        return {"type": "http.disconnect"}

    async def send(_message: Message) -> None:
        pass

    scope = {
        "type": "http", "method": "GET", "path": f"{API}/series", "query_string": b"match[]=jobs", "headers": [],
        "server": ("localhost", 80), "scheme": "http", "root_path": "",
    }  # fmt: skip
    asked = asyncio.create_task(app(scope, receive, send))
    assert await asyncio.to_thread(has_begun.wait, 5)
    has_left.set()
    assert await asyncio.to_thread(has_stopped.wait, 4)
    await asked


@pytest.mark.parametrize(("page", "answer"), [("jobs_total 3\n", "<!doctype html>"), ("", "theirs")])
async def test_the_first_request_of_all_gets_the_dashboard_of_an_app_with_a_page(page: str, answer: str) -> None:
    """An app that takes every path is asked for its page before it is known whose `/dashboard` is."""

    async def app(scope: Any, _receive: Any, send: Any) -> None:
        await asyncio.sleep(0)
        has_page = scope["path"] == "/api/metrics" and page
        await send({"type": "http.response.start", "status": 200 if has_page else 404, "headers": []})
        await send({"type": "http.response.body", "body": page.encode() if has_page else b"theirs"})

    history = History(keep_ms=60_000)
    dashboard = Dashboard(
        app, Document("Shop"), Scraper(app, "t", {}, history, always=False), history, is_certain=False
    )
    async with httpx.AsyncClient(transport=httpx.ASGITransport(dashboard), base_url="http://localhost") as client:
        first, second = await asyncio.gather(client.get("/dashboard"), client.get("/dashboard"))
    assert first.text.lower().startswith(answer)
    assert second.text == first.text

"""A Prometheus instead of the built-in history: its login stays private, and wrong addresses are named."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from lib.kairo_metrics.dev.dashboard.upstream import Upstream


@contextmanager
def answering(
    status: int, body: str, kind: str = "application/json", **headers: str
) -> Iterator[tuple[str, list[Any]]]:
    """Run a server with the same response to every request; yield its address and the requests."""
    requests: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            requests.append((self.path, dict(self.headers)))
            self.send_response(status)
            for name, value in {"Content-Type": kind, **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_port}", requests
        finally:
            server.shutdown()
            thread.join()


def test_a_login_goes_to_the_prometheus_and_nowhere_else() -> None:
    """User and password in PROMETHEUS_URL are sent as a login, not shown, and not sent to a redirect's target."""
    with answering(200, '{"status": "success", "data": []}') as (address, requests):
        upstream = Upstream(f"http://me:p%40ss@{address}/base/")
        assert upstream.get("query", "query=up").status == 200
        assert upstream.address == f"http://{address}/base"
        [(path, headers)] = requests
        assert path == "/base/api/v1/query?query=up"
        assert headers["Authorization"] == "Basic bWU6cEBzcw=="
        with answering(302, "", Location=f"http://{address}/elsewhere") as (redirecting, _):
            reply = Upstream(f"http://me:secret@{redirecting}").get("query", "query=up")
        assert reply.status == 502
        assert len(requests) == 1


@pytest.mark.parametrize(
    ("status", "body", "kind", "reason"),
    [
        (
            200,
            "<html>Welcome</html>",
            "text/html",
            "is not the address of a Prometheus: it answers 200: <html>Welcome</html>",
        ),
        (401, "Unauthorized", "text/plain", "is not the address of a Prometheus: it answers 401: Unauthorized"),
    ],
)
def test_what_is_no_prometheus_is_named(status: int, body: str, kind: str, reason: str) -> None:
    """A wrong PROMETHEUS_URL is an error, and not an empty result."""
    with answering(status, body, kind) as (address, _):
        reply = Upstream(f"http://{address}").get("query", "query=up")
    assert reply.status == 502
    assert reason in json.loads(reply.body)["error"]


def test_a_prometheus_that_is_away_is_named() -> None:
    """The page names the address that does not answer, without its login."""
    reply = Upstream("http://me:secret@127.0.0.1:1").get("query", "query=up")
    error = json.loads(reply.body)["error"]
    assert error.startswith("Prometheus at http://127.0.0.1:1 does not answer:")

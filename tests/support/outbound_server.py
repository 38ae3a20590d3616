"""A real HTTP server whose paths do what servers do to a client, and what a test has seen counted of it."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from lib.kairo_metrics.instruments.catalogue import OWN

__all__ = ["HERE", "OK", "Counts", "counted", "outbound_server", "seconds"]

HERE = "127.0.0.1"
# What one request with 200 counts.
OK = {(HERE, "GET", "200"): 1}

Counts = dict[tuple[str, ...], float]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        self.server.paths.append(f"{self.command} {self.path}")
        path = self.path.partition("?")[0].strip("/")
        if path.isdigit():
            self.answer(int(path))
        elif path == "hop":
            self.answer(302, {"Location": f"http://localhost:{self.server.server_port}/200"})
        elif path == "circle":
            self.answer(302, {"Location": "/circle"})
        elif path == "cut":  # a chunk shorter than was promised
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.wfile.write(b"100\r\nhello")
            self.close_connection = True
        elif path == "hang":
            self.server.released.wait(20)
            self.close_connection = True
        elif path == "hangs-up":
            self.close_connection = True
        elif path == "packed":
            self.answer(200, {"Content-Encoding": "gzip"}, gzip.compress(b"hello"))
        elif path == "login":
            self.answer(
                200 if "Authorization" in self.headers else 401, {"WWW-Authenticate": 'Digest realm="r", nonce="n"'}
            )
        else:
            self.answer(200, {"X-Path": self.path})

    do_POST = do_PUT = do_DELETE = do_HEAD = do_GET  # noqa: N815  the names that http.server asks for

    def answer(self, status: int, headers: dict[str, str] | None = None, body: bytes = b"hello") -> None:
        length = int(self.headers.get("Content-Length", "0"))
        self.rfile.read(length)
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.paths: list[str] = []
        self.released = threading.Event()

    def handle_error(self, *_: Any) -> None:
        """Say nothing of clients that have left."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


@contextmanager
def outbound_server() -> Iterator[_Server]:
    """Run the server; its `url`, and the `paths` that it was asked for."""
    with _Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.released.set()
            server.shutdown()
            thread.join()


def _samples(name: str) -> Counts:
    return {
        tuple(sample.labels.values()): sample.value
        for family in OWN.collect()
        for sample in family.samples
        if sample.name == name
    }


@contextmanager
def counted() -> Iterator[Callable[[], tuple[Counts, Counts]]]:
    """Give a function that returns what was added since, and checks that each request has a duration.

    Requests are by host, method and status, errors by host, method and type.
    """
    names = [
        "outbound_http_requests_total",
        "outbound_http_errors_total",
        "outbound_http_request_duration_seconds_count",
    ]
    before = [_samples(name) for name in names]

    def added() -> tuple[Counts, Counts]:
        requests, errors, durations = (
            {key: value - old.get(key, 0) for key, value in _samples(name).items() if value != old.get(key, 0)}
            for name, old in zip(names, before, strict=True)
        )
        assert sum(durations.values()) == sum(requests.values())
        return requests, errors

    yield added


def seconds() -> float:
    """Return the time that all requests so far have taken."""
    return sum(_samples("outbound_http_request_duration_seconds_sum").values())

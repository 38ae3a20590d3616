"""Handler classes of http.server, their server, and a client."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from prometheus_client import Counter

__all__ = ["WORK", "Quiet", "QuietServer", "ask", "handler_class", "served"]


WORK = Counter("work_of_handlers_total", "Work.")


class Quiet(BaseHTTPRequestHandler):
    """A handler that keeps the test's output short."""

    def log_message(self, *_args: Any) -> None: ...


class QuietServer(ThreadingHTTPServer):
    daemon_threads = False  # so that it waits for the flushes when it is closed

    def handle_error(self, *_args: Any) -> None: ...


def handler_class() -> type[BaseHTTPRequestHandler]:
    class handler(Quiet):  # noqa: N801  Vercel's name for it
        def do_GET(self) -> None:
            WORK.inc()
            self.send_response_only(100)
            self.end_headers()
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"hello")

        def do_HEAD(self) -> None:
            self.do_GET()

        def do_PUT(self) -> None:
            self.send_error(409, "taken")

        def do_POST(self) -> None:
            raise KeyError("no")

        def do_PATCH(self) -> None:
            self.do_POST()

    return handler


@contextmanager
def served(handler: type[BaseHTTPRequestHandler]) -> Iterator[int]:
    """Serve a class by the standard library's server, and give the port."""
    with QuietServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


def ask(port: int, method: str, path: str = "/") -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request(method, path)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()

"""A WSGI app as a handler class of `http.server`, as Vercel serves it."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from wsgiref.handlers import SimpleHandler
from wsgiref.simple_server import WSGIRequestHandler
from wsgiref.util import is_hop_by_hop

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication

__all__ = ["wsgi_handler"]

Headers = list[tuple[str, str]]


def wsgi_handler(app: WSGIApplication) -> type[WSGIRequestHandler]:
    """Return a handler class that answers every request with the app.

    Args:
        app: the app, instrumented or not.
    """

    class Handler(WSGIRequestHandler):
        def handle(self) -> None:
            self.raw_requestline = self.rfile.readline()
            if self.parse_request():
                _Response(self).run(app)

        def get_environ(self) -> dict[str, Any]:
            return {**super().get_environ(), "CONTENT_TYPE": self.headers.get("content-type", "")}

    return Handler


class _Response(SimpleHandler):
    """One response, written as HTTP/1.0."""

    environ: dict[str, Any]
    os_environ: dict[str, str] = {}  # noqa: RUF012 (the variables of the process hold secrets)

    def __init__(self, handler: WSGIRequestHandler) -> None:
        files: tuple[Any, Any] = handler.rfile, handler.wfile
        super().__init__(*files, handler.get_stderr(), handler.get_environ())
        self._connection: socket.socket = handler.connection

    def run(self, application: WSGIApplication) -> None:
        # The class that this extends logs an exception itself, and drops those of the app's own connections.
        self.setup_environ()
        self.result = application(self.environ, self.start_response)
        self.finish_response()

    def start_response(self, status: str, headers: Headers, exc_info: Any = None) -> Callable[[bytes], None]:
        # PEP 3333 forbids the headers of a connection; Vercel lets them pass.
        return super().start_response(status, [pair for pair in headers if not is_hop_by_hop(pair[0])], exc_info)

    def finish_content(self) -> None:
        super().finish_content()
        # The client has its whole response before `close()`, in which an instrumented app flushes.
        with suppress(OSError):  # the client has gone
            self._connection.shutdown(socket.SHUT_WR)

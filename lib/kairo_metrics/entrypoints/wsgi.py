"""Measuring the requests of a WSGI app (PEP 3333), and flushing after each of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from ..delivery.pipeline import Pipeline
from ..frameworks.facts import REQUEST_KEY, RequestFacts
from ..frameworks.route import Route
from ..frameworks.watch import watch
from .calls import CURRENT, Call
from .http_record import HTTPRecord
from .in_place import entry_of, in_place_of
from .request_rules import RequestRules
from .response_end import content_length, end_connection, with_content_length
from .traces import ExemplarSource, exemplar_of, trace_of
from .wsgi_body import measured_body

__all__ = ["WSGIApp", "WSGIEntry", "measured_wsgi"]

Environ = dict[str, Any]
Headers = list[tuple[str, str]]
Write = Callable[[bytes], Any]
StartResponse = Callable[..., Write]
WSGIApp = Callable[[Environ, StartResponse], Iterable[bytes]]

# What a framework needs to find a route. Apps on the way to the one that answers may change it.
_MATCHED = (
    "REQUEST_METHOD",
    "SCRIPT_NAME",
    "PATH_INFO",
    "HTTP_HOST",
    "SERVER_NAME",
    "SERVER_PORT",
    "wsgi.url_scheme",
)
# What fits into the buffer of a connection leaves at once; a larger part waits for a slow client.
_SENT_AT_ONCE_BYTES = 64 * 1024


def measured_wsgi(
    app: WSGIApp, pipeline: Pipeline, exemplar: ExemplarSource = trace_of, rules: RequestRules | None = None
) -> Any:
    """Return the app, with its requests measured and a flush after each.

    The flush is part of the body's `close()`: the platform keeps an instance awake until that ends, and the client has
    its response before.

    Args:
        app: the app.
        pipeline: flushes after each request.
        exemplar: returns the exemplar labels of a request.
        rules: what is counted of a request.
    """
    rules = rules or RequestRules()
    if known := entry_of(app, WSGIEntry):
        rules.give_way_to(known.rules)
        return app
    watch(app)
    return in_place_of(app, WSGIEntry(app, pipeline, exemplar, rules), _method)


def _method(entry: WSGIEntry, own_call: Callable[..., Iterable[bytes]]) -> Callable[..., Iterable[bytes]]:
    def call(self: Any, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        return entry.serve(partial(own_call, self), environ, start_response)

    return call


class WSGIEntry:
    """Measures the calls of one app."""

    def __init__(self, app: WSGIApp, pipeline: Pipeline, exemplar: ExemplarSource, rules: RequestRules) -> None:
        self._app = app
        self.pipeline = pipeline
        self._exemplar = exemplar
        self.rules = rules

    def serve(self, call: WSGIApp, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Serve one request."""
        method, prefix, path = environ["REQUEST_METHOD"], environ.get("SCRIPT_NAME", ""), environ.get("PATH_INFO", "")
        if not (prefix.isascii() and path.isascii()):
            prefix, path = _text(prefix), _text(path)
        whole_path = prefix + path
        outer = CURRENT.get()
        if REQUEST_KEY in environ or (outer is not None and outer.is_serving(method, path, whole_path)):
            # An app around this one is instrumented, too, perhaps as ASGI. It knows the whole route, and it flushes.
            return call(environ, start_response)
        facts = environ[REQUEST_KEY] = RequestFacts()
        before = {name: environ[name] for name in _MATCHED if name in environ}
        record = self.rules.record(method, facts, Route(self._app, facts, before, environ))
        if not self.rules.are_plain:
            from .wsgi_request import begin_wsgi

            begin_wsgi(record, method, path, whole_path, environ)
        has_exemplar = self._exemplar is not trace_of or "HTTP_TRACEPARENT" in environ  # few requests have one
        exemplar = exemplar_of(self._exemplar, environ) if has_exemplar else None
        served = Call((method, whole_path), exemplar)
        return _Response(record, served, self.pipeline, environ, start_response).run(call)


class _Response:
    """One response: what passes between the app and the server.

    Attributes:
        end: counts the request; called when its last byte is sent.
    """

    def __init__(
        self, record: HTTPRecord, served: Call, pipeline: Pipeline, environ: Environ, start_response: StartResponse
    ) -> None:
        self._record = record
        self.end = record.end
        self._pipeline = pipeline
        self._environ = environ
        self._server_start = start_response
        self._head: tuple[str, Headers] | None = None  # given by the app, and not yet passed on
        self._has_body = False
        self._write: Write | None = None  # what the server's `start_response` returned
        self._has_sent = False
        self._missing_bytes: int | None = None  # of the length that the headers announce
        self.served = served

    def run(self, call: WSGIApp) -> Iterable[bytes]:
        """Call the app, and return the body."""
        self._pipeline.thread_ticker.begin()
        try:
            with self.served:
                body = call(self._environ, self._start_response)
            self._has_body = True
            if self._head is not None:
                status, headers = self._head
                self._pass_head(status, with_content_length(self._environ["REQUEST_METHOD"], status, headers, body))
        except BaseException as err:
            self.fail(err)
            self.finish()
            raise
        return measured_body(body, self, self._environ.get("wsgi.file_wrapper"))

    def pass_on(self, chunk: bytes) -> bytes:
        """Return a part of the body, which the server sends next. A test client may not ask whether it was the last."""
        self._has_sent = self._has_sent or bool(chunk)
        if self._record.sizes is not None:
            self._record.sizes.sent += len(chunk)
        if self._missing_bytes is not None:
            self._missing_bytes -= len(chunk)
            if self._missing_bytes <= 0 and len(chunk) <= _SENT_AT_ONCE_BYTES:
                self.end()
        return chunk

    def fail(self, error: BaseException) -> None:
        """Count a request whose exception reaches the server, which answers with 500 if nothing was sent."""
        if not self._has_sent:
            self._record.status = None
        self.end(error)

    def finish(self) -> None:
        """Count the request unless that was done, let the client go, and flush."""
        self._count()
        if self._write is not None:
            end_connection(self._write)
        if self.served.is_outermost:
            self._pipeline.flusher.after_call()

    def drop(self) -> None:
        """Do the same for a complete body that is not closed. What an unread one leaves goes with the next flush."""
        is_complete = self._record.is_answered or self._missing_bytes == 0
        if is_complete and not self.served.is_over:
            self.finish()
        else:
            self._count()

    def _count(self) -> None:
        self.end()
        if not self.served.is_over:
            self.served.is_over = True
            self._pipeline.thread_ticker.end()  # asked again: a forked child has another one

    def _start_response(self, status: str, headers: Any, exc_info: Any = None) -> Write:
        code = status[:3]  # frameworks let an app give any text: Flask has "0 late" for "late"
        self._record.begin_response(int(code) if code.isdecimal() else 0, headers if isinstance(headers, list) else ())
        is_first = self._write is None and (self._head is None or exc_info is not None)
        if is_first and not self._has_body and isinstance(headers, list):
            self._head = status, headers  # until it is known whether the body is one chunk
        else:
            if self._head is not None and exc_info is None:
                self._pass_head(*self._head)  # the server refuses the second one, as it does without metrics
            self._pass_head(status, headers, exc_info)
        return self._write_directly

    def _pass_head(self, status: str, headers: Any, exc_info: Any = None) -> None:
        # An iterator, which some servers take, can be read but once.
        self._head, self._missing_bytes = None, content_length(headers) if isinstance(headers, list) else None
        self._write = self._server_start(status, headers, exc_info) if exc_info else self._server_start(status, headers)

    def _write_directly(self, data: bytes) -> Any:
        if self._head is not None:
            self._pass_head(*self._head)
        if self._write is None:
            raise AssertionError("write is called after start_response")
        self._has_sent = True
        if self._record.sizes is not None:
            self._record.sizes.sent += len(data)
        return self._write(data)


def _text(path: str) -> str:
    """Return a path as ASGI has it: WSGI decodes its bytes as Latin-1."""
    return path.encode("latin-1", "replace").decode("utf-8", "replace")

"""Measuring one HTTP request of an ASGI app, and flushing after its response."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from typing import Any

from ..delivery.flusher import Flusher
from ..errors import StoreError
from ..frameworks.facts import REQUEST_KEY, RequestFacts
from ..frameworks.route import route_of
from ..frameworks.watch import watch
from ..instruments.catalogue import Catalogue, catalogue
from .traces import ExemplarSource, exemplified, trace_of

__all__ = ["ASGIApp", "Instrumented", "is_wsgi"]

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]

UNKNOWN = "__unknown__"
_MEASURED = "kairo_metrics.measured"
# RFC 9110 and RFC 5789. A client may send any other method; all of those are one label value.
_METHODS = frozenset({"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"})
_SERVER_ERROR = 500
# RFC 9110, section 15. An app may answer with any number, and may let the client choose it.
_STATUSES = range(100, 600)
# The status that nginx logs for a client that has closed the connection before the response.
_CLIENT_LEFT = 499


def is_wsgi(app: Any) -> bool:
    """Return whether an app has the two parameters of WSGI, `environ` and `start_response`; an ASGI app has three."""
    try:
        return len(inspect.signature(app).parameters) == len(("environ", "start_response"))
    except (TypeError, ValueError):  # some callables have no signature
        return False


class Instrumented:
    """An ASGI app whose requests are counted and timed, with a flush after each response.

    The flush is part of the same call, after the app has returned: the platform keeps an instance awake until the call
    ends, and the client has its response before.

    Args:
        app: the app.
        flusher: flushes after each response.
        exemplar: returns the exemplar labels of a request.
    """

    def __init__(self, app: ASGIApp, flusher: Flusher, exemplar: ExemplarSource = trace_of) -> None:
        watch(app)
        self.app = app
        self._flusher = flusher
        self._exemplar = exemplar
        self._catalogue = catalogue()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, websocket or lifespan."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, self._flushing_at_shutdown(send))
            return
        if _MEASURED in scope:
            # An app around this one is instrumented, too. It knows the whole route, and it flushes.
            await self.app(scope, receive, send)
            return
        scope[_MEASURED] = True
        try:
            if scope["type"] == "http":
                with exemplified(self._exemplar, scope):
                    await _Request(self.app, self._catalogue, scope, receive, send).run()
            else:
                await self.app(scope, receive, send)
        finally:
            await self._flusher.after_response()

    def _flushing_at_shutdown(self, send: Send) -> Send:
        async def send_and_flush(message: Message) -> None:
            # After this message the server may end the process.
            if message["type"] in {"lifespan.shutdown.complete", "lifespan.shutdown.failed"}:
                with suppress(StoreError):  # the flusher logs it
                    await self._flusher.aflush()
            await send(message)

        return send_and_flush

    def __getattr__(self, name: str) -> Any:
        """Return the wrapped app's attribute: `app.state`, `app.routes`, `app.url_path_for`."""
        if name == "app":  # `copy` asks for it before it is set
            raise AttributeError(name)
        return getattr(self.app, name)


class _Request:
    """One request: what is known about it while it is served."""

    def __init__(self, app: ASGIApp, catalogue: Catalogue, scope: Scope, receive: Receive, send: Send) -> None:
        self._app = app
        self._catalogue = catalogue
        self._receive = receive
        self._scope = scope
        self._scope_before = dict(scope)
        self._facts = scope[REQUEST_KEY] = RequestFacts()
        self._method = scope["method"] if scope["method"] in _METHODS else UNKNOWN
        self._send = send
        self._started_s = time.perf_counter()
        self._status: int | None = None
        self._client_left = False
        self._measured = False

    async def run(self) -> None:
        try:
            await self._app(self._scope, self._receive_message, self._send_message)
        except asyncio.CancelledError:
            self._status = self._status or _CLIENT_LEFT
            self._measure()
            raise
        except Exception as err:
            self._measure()
            if self._status != _CLIENT_LEFT:
                self._errors(type(err).__name__).inc()
            raise
        self._measure()
        if self._status is None or self._status >= _SERVER_ERROR:
            error, status = self._facts.error, self._status_text()
            kind = status if status == UNKNOWN else f"http_{status}"
            self._errors(kind if error is None else type(error).__name__).inc()

    async def _receive_message(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.disconnect" and self._status is None:
            self._client_left = True
        return message

    async def _send_message(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            # A client that has left gets no response, so the app's status is not counted, nor as an error.
            self._status = _CLIENT_LEFT if self._client_left else message["status"]
            if self._status == _SERVER_ERROR and self._scope.get("http_version", "").startswith("1"):
                message = _closing(message)
        await self._send(message)
        if message["type"] == "http.response.body" and not message.get("more_body", False):
            # The last byte is sent. What the app does after it, such as background tasks, does not delay the client.
            self._measure()

    def _measure(self) -> None:
        if self._measured:
            return
        self._measured = True
        seconds = time.perf_counter() - self._started_s
        method, route = self._method, self._route()
        self._catalogue.requests.labels(method, route, self._status_text()).inc()
        self._catalogue.request_duration.labels(method, route).observe(seconds)
        # It begins at zero with a route's first request, so that an error rate has data before the first error.
        self._errors("http_500")

    def _status_text(self) -> str:
        status = self._status or _SERVER_ERROR
        return str(int(status)) if status in _STATUSES else UNKNOWN

    def _errors(self, kind: str) -> Any:
        return self._catalogue.errors.labels(self._method, self._route(), kind)

    def _route(self) -> str:
        return route_of(self._app, self._facts, self._scope_before, self._scope)


def _closing(message: Message) -> Message:
    """Add the header that tells the client that its connection ends with this response.

    Starlette answers 500 and then raises, and uvicorn closes the connection when it sees the exception. Behind the
    flush that is later, and the client may have sent its next request on the connection.
    """
    headers = list(message.get("headers", ()))
    if not any(name.lower() == b"connection" for name, _ in headers):
        headers.append((b"connection", b"close"))
    return {**message, "headers": headers}

"""Measuring one HTTP request of an ASGI app, and flushing once it has its answer."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from typing import Any

from ..delivery.flusher import Flusher
from ..errors import StoreError
from ..instruments.catalogue import API_ERRORS, HTTP_REQUEST_DURATION, HTTP_REQUESTS
from .routes import UNMATCHED, route_template
from .traces import ExemplarSource, exemplified, trace_of

__all__ = ["ASGIApp", "Instrumented", "is_wsgi"]

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]

UNKNOWN = "__unknown__"
_MEASURED = "kairo_metrics.measured"
# RFC 9110 and RFC 5789. A client may send any word; the others are one label value.
_METHODS = frozenset({"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"})
_SERVER_ERROR = 500
# RFC 9110, section 15. An app may answer with any number, and let its client choose it.
_STATUSES = range(100, 600)
# What nginx logs for a client that left before its answer.
_CLIENT_LEFT = 499


def is_wsgi(app: Any) -> bool:
    """Tell a WSGI app by its two parameters, `environ` and `start_response`; an ASGI app has three."""
    try:
        return len(inspect.signature(app).parameters) == len(("environ", "start_response"))
    except (TypeError, ValueError):  # not every callable shows its parameters
        return False


class Instrumented:
    """An ASGI app whose requests are counted, timed, and flushed after their answer.

    The flush runs inside the same call, after the app has returned: the platform keeps an instance awake
    until then, while the client has long had its response.
    """

    def __init__(self, app: ASGIApp, flusher: Flusher, exemplar: ExemplarSource = trace_of) -> None:
        self.app = app
        self._flusher = flusher
        self._exemplar = exemplar

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, websocket or lifespan."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, self._flushing_at_shutdown(send))
            return
        if _MEASURED in scope:
            # An outer app is instrumented, too: it has the whole route, and it flushes.
            await self.app(scope, receive, send)
            return
        scope[_MEASURED] = True
        try:
            if scope["type"] == "http":
                with exemplified(self._exemplar, scope):
                    await _Request(self.app, scope, receive, send).run()
            else:
                await self.app(scope, receive, send)
        finally:
            await self._flusher.after_response()

    def _flushing_at_shutdown(self, send: Send) -> Send:
        async def send_and_flush(message: Message) -> None:
            # Once the server has this message, it may be gone.
            if message["type"] in {"lifespan.shutdown.complete", "lifespan.shutdown.failed"}:
                with suppress(StoreError):  # logged by the flusher
                    await self._flusher.aflush()
            await send(message)

        return send_and_flush

    def __getattr__(self, name: str) -> Any:
        """Let the wrapped app's own attributes through: `app.state`, `app.routes`, `app.url_path_for`."""
        if name == "app":  # a copy under construction has none yet
            raise AttributeError(name)
        return getattr(self.app, name)


class _Request:
    """What is learnt of one request while it is served."""

    def __init__(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        self._app = app
        self._receive = receive
        self._scope = scope
        self._before = dict(scope)
        self._method = scope["method"] if scope["method"] in _METHODS else UNKNOWN
        self._send = send
        self._started_s = time.perf_counter()
        self._status: int | None = None
        self._client_left = False
        self._measured = False

    async def run(self) -> None:
        try:
            await self._app(self._scope, self._hear, self._watch)
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
            status = self._status_text()
            self._errors(status if status == UNKNOWN else f"http_{status}").inc()

    async def _hear(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.disconnect" and self._status is None:
            self._client_left = True
        return message

    async def _watch(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            # Whatever the app says to a client that has left: nobody hears it, and it is no error of ours.
            self._status = _CLIENT_LEFT if self._client_left else message["status"]
            if self._status == _SERVER_ERROR and self._scope.get("http_version", "").startswith("1"):
                message = _closing(message)
        await self._send(message)
        if message["type"] == "http.response.body" and not message.get("more_body", False):
            # The last byte is out. What the app still does, background tasks, is not the client's time.
            self._measure()

    def _measure(self) -> None:
        if self._measured:
            return
        self._measured = True
        seconds = time.perf_counter() - self._started_s
        method, route = self._method, self._route()
        HTTP_REQUESTS.labels(method, route, self._status_text()).inc()
        HTTP_REQUEST_DURATION.labels(method, route).observe(seconds)
        # Exists at zero from a route's first request on, so that an error rate can be computed before
        # the first error.
        self._errors("http_500")

    def _status_text(self) -> str:
        status = self._status or _SERVER_ERROR
        return str(int(status)) if status in _STATUSES else UNKNOWN

    def _errors(self, kind: str) -> Any:
        return API_ERRORS.labels(self._method, self._route(), kind)

    def _route(self) -> str:
        try:
            return route_template(self._app, self._before, self._scope)
        except Exception:  # noqa: BLE001  a framework's look-up that fails must not fail the request
            return UNMATCHED


def _closing(message: Message) -> Message:
    """Tell the client that its connection ends with this answer.

    Starlette answers 500 and then raises, and on that uvicorn closes the connection. Without us that happens
    at once; behind us only after the flush, when the client may have sent its next request on it.
    """
    headers = list(message.get("headers", ()))
    if not any(name.lower() == b"connection" for name, _ in headers):
        headers.append((b"connection", b"close"))
    return {**message, "headers": headers}

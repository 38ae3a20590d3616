"""Measuring the requests and websockets of an ASGI app, and flushing after each of them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import AbstractContextManager, suppress
from contextvars import Token
from functools import lru_cache, partial
from typing import Any

from ..delivery.loop_ticker import loop_is_running
from ..delivery.pipeline import Pipeline
from ..errors import StoreError
from ..frameworks.facts import REQUEST_KEY, RequestFacts
from ..frameworks.route import Route
from ..frameworks.watch import watch
from .calls import CURRENT, Call
from .http_record import HTTPRecord
from .in_place import entry_of, in_place_of
from .request_rules import RequestRules
from .traces import ExemplarSource, exemplar_of, trace_of

__all__ = ["ASGIApp", "ASGIEntry", "measured_asgi"]

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]

_SERVER_ERROR = 500
# The last two are extensions: the server sends a file by itself.
_BODY = frozenset({"http.response.body", "http.response.pathsend", "http.response.zerocopysend"})
# A cancelled request is flushed, then answered by the server with an error, and then counted.
_SHUTDOWN_ROUNDS = 3
_SHUTDOWN_PAUSE_S = 0.02


def measured_asgi(
    app: ASGIApp, pipeline: Pipeline, exemplar: ExemplarSource = trace_of, rules: RequestRules | None = None
) -> Any:
    """Return the app, with its requests and websockets measured and a flush after each.

    The flush is part of the same call, after the app has returned: the platform keeps an instance awake until the call
    ends, and the client has its response before.

    Args:
        app: the app.
        pipeline: flushes after each request.
        exemplar: returns the exemplar labels of a request.
        rules: what is counted of a request.
    """
    rules = rules or RequestRules()
    if known := entry_of(app, ASGIEntry):
        rules.give_way_to(known.rules)
        return app
    watch(app)
    return in_place_of(app, ASGIEntry(app, pipeline, exemplar, rules), _method)


def _method(entry: ASGIEntry, own_call: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    async def call(self: Any, scope: Scope, receive: Receive, send: Send) -> None:
        await entry.serve(own_call, self, scope, receive, send)

    return call


class ASGIEntry:
    """Measures the calls of one app."""

    def __init__(self, app: ASGIApp, pipeline: Pipeline, exemplar: ExemplarSource, rules: RequestRules) -> None:
        self._app = app
        self.pipeline = pipeline
        self._exemplar = exemplar
        self.rules = rules

    async def serve(
        self, own_call: Callable[..., Awaitable[None]], app: Any, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Serve one request, websocket or lifespan.

        Args:
            own_call: the `__call__` of the app's own class.
            app: the app, or what stands for it.
            scope: the scope.
            receive: the server's.
            send: the server's.
        """
        kind = scope["type"]
        if kind == "lifespan":
            await own_call(app, scope, receive, self._flushing_at_shutdown(send))
            return
        if REQUEST_KEY in scope or kind not in {"http", "websocket"}:
            # An app around this one is instrumented, too. It knows the whole route, and it flushes.
            await own_call(app, scope, receive, send)
            return
        if (readable := _read_often(scope)) is not scope:
            scope.update(readable)
        served = Call((scope.get("method", ""), scope["path"]), exemplar_of(self._exemplar, scope))
        ticker = self.pipeline.ticker
        facts = RequestFacts()
        route = Route(self._app, facts, dict(scope), scope)
        scope[REQUEST_KEY] = facts
        try:
            with served as around, ticker:
                if kind == "http":
                    record = self.rules.record(scope["method"], facts, route)
                    if not self.rules.are_plain:
                        from .asgi_request import begin_asgi

                        begin_asgi(record, scope)
                    # Requests are many at a time, so this is a block and no coroutine, which would be one object more.
                    with _Request(record, receive, send, self.pipeline, around) as request:
                        await own_call(app, scope, request.receive, request.send)
                elif self.rules.skip_websocket(scope):
                    await own_call(app, scope, receive, send)
                else:
                    from .websocket import WebSocket  # few apps have websockets

                    await WebSocket(facts, route, receive, send).run(partial(own_call, app), scope)
        finally:
            served.is_over = True
            if served.is_outermost and ticker is self.pipeline.loop_ticker:  # in trio the ticker's thread flushes
                # A platform waits for the end of a request, and not for that of a websocket.
                await self.pipeline.flusher.after_response(keeps_awake=kind == "http")

    def _flushing_at_shutdown(self, send: Send) -> Send:
        async def send_and_flush(message: Message) -> None:
            # After this message the server may end the process.
            if message["type"] in {"lifespan.shutdown.complete", "lifespan.shutdown.failed"}:
                await self._flush_at_shutdown()
            await send(message)

        return send_and_flush

    async def _flush_at_shutdown(self) -> None:
        """Flush, also what requests count that the server has just cancelled: it does not wait for their end."""
        for _ in range(_SHUTDOWN_ROUNDS):
            with suppress(StoreError):  # the flusher logs it
                await self.pipeline.flusher.aflush()
            if loop_is_running():
                await asyncio.sleep(_SHUTDOWN_PAUSE_S)
            if not self.pipeline.flusher.pending:
                return


class _Request(AbstractContextManager["_Request"]):
    """One request, and what passes between the server and the app while a block of it runs.

    Args:
        record: is told of it.
        receive: the server's.
        send: the server's.
        pipeline: flushes what a cancelled request counts later.
        around: leads back to what was current before the call.
    """

    __slots__ = ("_around", "_pipeline", "_receive", "_record", "_send")

    def __init__(
        self, record: HTTPRecord, receive: Receive, send: Send, pipeline: Pipeline, around: Token[Call | None]
    ) -> None:
        self._record = record
        self._receive = receive
        self._send = send
        self._pipeline = pipeline
        self._around = around

    def __exit__(self, _kind: object, err: BaseException | None, _traceback: object) -> None:
        if isinstance(err, asyncio.CancelledError):
            from .cancellation import end_cancelled

            end_cancelled(self._record, err, self._pipeline.flusher.flush_beside)
        else:
            self._record.end(err)

    async def receive(self) -> Message:
        """Take a message from the server."""
        message = await self._receive()
        if message["type"] == "http.disconnect":
            self._record.client_left = True
        elif self._record.sizes is not None:
            self._record.sizes.received += len(message.get("body", b""))
        return message

    async def send(self, message: Message) -> None:
        """Pass a message on to the server."""
        if message["type"] == "http.response.start":
            uvicorn = _uvicorn_behind(self._receive, self._send)
            # It drops what is sent to a client that has left, and tells only an app that receives.
            self._record.client_left = self._record.client_left or getattr(uvicorn, "disconnected", False)
            message = _read_often(message)
            self._record.begin_response(message["status"], message.get("headers", ()))
            if message["status"] == _SERVER_ERROR and uvicorn is not None:
                message = _closing(message)
        is_last = message["type"] in _BODY and not message.get("more_body", False)
        try:
            await (self._send_last if is_last else self._send)(message)
        except OSError:
            self._record.client_left = True  # ASGI 2.4, "Disconnected Client - send exception"
            raise
        if self._record.sizes is not None:
            from .body_sizes import note_sent

            note_sent(self._record.sizes, message)
        if is_last:
            self._record.end_response()

    async def _send_last(self, message: Message) -> None:
        """Pass the end of the response on, outside of the call.

        uvicorn then starts a timer for the connection, and the timer keeps what is current. A busy event loop has
        hundreds of cancelled timers, so the garbage collector would come more often, for hundreds of calls.
        """
        current = CURRENT.get()
        try:
            CURRENT.reset(self._around)
        except (ValueError, RuntimeError):  # the app sends it from a task of its own, or again
            await self._send(message)
            return
        try:
            await self._send(message)
        finally:
            CURRENT.set(current)


def _read_often(message: Message) -> Message:
    """Return a scope or a message whose headers may be read more than once: by the standard any iterable holds them."""
    headers = message.get("headers")
    return message if headers is None or isinstance(headers, list | tuple) else {**message, "headers": list(headers)}


def _uvicorn_behind(receive: Receive, send: Send) -> Any:
    """Return uvicorn's object for the request, if it serves; Vercel has a copy of it, and passes on `receive`."""
    for end in (receive, send):
        owner = getattr(end, "__self__", None)
        if owner is not None and _is_uvicorns(type(owner)):  # type: ignore[arg-type]
            return owner
    return None


@lru_cache(maxsize=64)
def _is_uvicorns(kind: type) -> bool:
    return "uvicorn" in kind.__module__


def _closing(message: Message) -> Message:
    """Add the header that tells the client that its connection ends with this response.

    Starlette answers 500 and then raises, and uvicorn closes the connection when it sees the exception. Behind the
    flush that is later, and the client may have sent its next request on the connection. Other servers keep the
    connection open, and some proxies (CloudFront) refuse an answer with this header.
    """
    headers = list(message.get("headers", ()))
    if not any(name.lower() == b"connection" for name, _ in headers):
        headers.append((b"connection", b"close"))
    return {**message, "headers": headers}

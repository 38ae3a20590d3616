"""A handler class of `http.server` as an ASGI app: each request is served in a thread, as on Vercel.

The app speaks HTTP with the handler, through a pair of sockets: a handler reads and writes its connection itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import socket
import threading
from http.server import BaseHTTPRequestHandler
from types import SimpleNamespace
from typing import IO, Any

import h11
from starlette.requests import ClientDisconnect
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from .request_body import BodyTooLargeError, read_body, receive_from

__all__ = ["HandlerApp"]

_CHUNK_BYTES = 65_536
_LONGEST_HEAD_BYTES = 262_144
# Of a body without Content-Length, as in Vercel's runtime. One with a length goes to the handler as it comes.
_LONGEST_BODY_BYTES = 104_857_600
# Headers of one connection (RFC 9110, section 7.6.1), and those that the server in front answers or sets itself.
_OF_THE_CONNECTION = {b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"transfer-encoding"}
_NOT_PASSED_IN = {*_OF_THE_CONNECTION, b"upgrade", b"expect"}
_NOT_PASSED_OUT = {*_OF_THE_CONNECTION, b"date", b"server"}
_LENGTHS = {b"content-length", b"transfer-encoding"}
_UNPRINTABLE = re.compile(rb"[^\x21-\x7e]")
_log = logging.getLogger("uvicorn.error")


class HandlerApp:
    """Serves each request with a new object of a handler class, in a thread of its own.

    An exception of the handler is logged, and answered with 500 if the response has not begun. A client that leaves
    closes the handler's connection.

    Args:
        handler_class: the class, instrumented or not.
    """

    def __init__(self, handler_class: type[BaseHTTPRequestHandler]) -> None:
        # A pair of sockets has no such algorithm to disable.
        attributes: dict[str, Any] = {"disable_nagle_algorithm": False}
        if handler_class.log_request is BaseHTTPRequestHandler.log_request:
            attributes["log_request"] = lambda *_: None  # the server in front logs the requests
        self._class = type(handler_class.__name__, (handler_class,), attributes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; a handler class has no lifespan."""
        if scope["type"] != "http":
            return
        with contextlib.ExitStack() as stack:
            if any(name == b"transfer-encoding" for name, _ in scope["headers"]):
                # Handlers read as much as Content-Length says.
                try:
                    file = stack.enter_context(await read_body(receive, _LONGEST_BODY_BYTES))
                except ClientDisconnect:
                    return
                except BodyTooLargeError:
                    refusal = f"A body without Content-Length may have {_LONGEST_BODY_BYTES} bytes at most.\n"
                    await PlainTextResponse(refusal, 413)(scope, receive, send)
                    return
                scope, receive = _with_length(scope, file), receive_from(file, receive)
            parser = h11.Connection(h11.CLIENT, _LONGEST_HEAD_BYTES)
            try:
                head = parser.send(_head(scope)) or b""
            except h11.LocalProtocolError as err:
                await PlainTextResponse(f"The request is malformed: {err}\n", 400)(scope, receive, send)
                return
            near, far = socket.socketpair()
            stack.enter_context(near)
            near.setblocking(False)  # noqa: FBT003 (it takes no name)
            handling = _Handling(self._class, far, scope)
            handling.start()
            await _Exchange(scope, receive, send, near, parser).run(head, handling)


def _with_length(scope: Scope, file: IO[bytes]) -> Scope:
    headers = [pair for pair in scope["headers"] if pair[0] != b"content-length"]
    return {**scope, "headers": [*headers, (b"content-length", b"%d" % file.tell())]}


class _Handling(threading.Thread):
    """The thread in which a handler serves its connection.

    Attributes:
        error: the exception of the handler, known before its connection ends.
        has_ended: set in the event loop.
    """

    def __init__(self, handler_class: type[BaseHTTPRequestHandler], connection: socket.socket, scope: Scope) -> None:
        # A daemon: a handler that never ends must not keep the server from ending.
        super().__init__(name="handler", daemon=True)
        self._class = handler_class
        self._connection = connection
        self._client = tuple(scope.get("client") or ("", 0))
        self._server: Any = _server(scope)
        self._loop = asyncio.get_running_loop()
        self.error: BaseException | None = None
        self.has_ended = asyncio.Event()

    def run(self) -> None:
        with self._connection:
            try:
                self._class(self._connection, self._client, self._server)
            except BaseException as err:  # noqa: BLE001 (a handler may raise anything; the server in front logs it)
                self.error = err
        with contextlib.suppress(RuntimeError):  # the loop is closed: the server has ended
            self._loop.call_soon_threadsafe(self.has_ended.set)


class _Exchange:
    """The request that the handler gets, and its response."""

    def __init__(
        self, scope: Scope, receive: Receive, send: Send, connection: socket.socket, parser: h11.Connection
    ) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self._connection = connection
        self._parser = parser
        self._loop = asyncio.get_running_loop()
        self._has_begun = False
        self._has_length = False
        self._is_complete = False
        self._client_left = False

    async def run(self, head: bytes, handling: _Handling) -> None:
        sending = asyncio.create_task(self._send_request(head))
        error: BaseException | None = None
        try:
            try:
                await self._pass_response(handling)
            except h11.RemoteProtocolError as err:
                error = err
            if not self._has_begun and not self._client_left:
                self._is_complete = True
                await PlainTextResponse("Internal Server Error\n", 500)(self._scope, self._receive, self._send)
            while await self._read():
                pass  # what the handler writes after its response
            await handling.has_ended.wait()
        finally:
            sending.cancel()
            await asyncio.wait([sending])
        error = handling.error or error
        if error is None or (self._client_left and isinstance(error, ConnectionError | h11.RemoteProtocolError)):
            return
        if not self._is_complete:
            raise error  # the server logs it and closes the connection, which tells the client that a part is missing
        _log.error("%s %s failed", self._scope["method"], self._scope["path"], exc_info=error)

    async def _send_request(self, head: bytes) -> None:
        """Send the request to the handler, and end its connection when the client leaves."""
        with contextlib.suppress(OSError):  # the handler does not read the whole body
            await self._loop.sock_sendall(self._connection, head)
            more = True
            while more:
                message = await self._receive()
                if message["type"] == "http.disconnect":
                    self._note_disconnect()
                    return
                await self._loop.sock_sendall(self._connection, message.get("body", b""))
                more = message.get("more_body", False)
            self._connection.shutdown(socket.SHUT_WR)  # a handler that reads on must not wait for more
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._note_disconnect()

    def _note_disconnect(self) -> None:
        if not self._is_complete:  # after the response, servers send the same message
            self._client_left = True
            with contextlib.suppress(OSError):
                self._connection.shutdown(socket.SHUT_RDWR)

    async def _pass_response(self, handling: _Handling) -> None:
        """Pass the response on while the handler writes it."""
        while True:
            event: Any = self._parser.next_event()
            match event:
                case h11.NEED_DATA:
                    self._parser.receive_data(await self._read())
                case h11.Response():
                    self._has_begun = True
                    self._has_length = not _LENGTHS.isdisjoint(name for name, _ in event.headers)
                    headers = [(name, value) for name, value in event.headers if name not in _NOT_PASSED_OUT]
                    await self._send({"type": "http.response.start", "status": event.status_code, "headers": headers})
                case h11.Data():
                    await self._send({"type": "http.response.body", "body": bytes(event.data), "more_body": True})
                case h11.EndOfMessage():
                    break
        if self._scope["method"] == "HEAD":
            while await self._read():
                pass  # the parser ends at the head; the handler may write a body, until the client leaves
        # Without a length the response ends with the connection, also if an exception has ended that.
        if not self._client_left and (self._has_length or handling.error is None):
            self._is_complete = True
            await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _read(self) -> bytes:
        try:
            return await self._loop.sock_recv(self._connection, _CHUNK_BYTES)
        except ConnectionError:  # the handler has closed its connection, with a part of the request unread
            return b""


def _head(scope: Scope) -> h11.Request:
    target = scope.get("raw_path") or scope["path"].encode()
    if scope.get("query_string"):
        target += b"?" + scope["query_string"]
    target = _UNPRINTABLE.sub(lambda sign: b"%%%02X" % sign[0][0], target)
    headers = [(name, value) for name, value in scope["headers"] if name not in _NOT_PASSED_IN]
    if not any(name == b"host" for name, _ in headers):  # a client with HTTP/1.0
        headers.append((b"host", b"localhost"))
    return h11.Request(method=scope["method"], target=target, headers=[*headers, (b"connection", b"close")])


def _server(scope: Scope) -> SimpleNamespace:
    """Return what handlers may ask of their server, and `base_environ` as in `wsgiref`."""
    name, port = scope.get("server") or ("localhost", None)
    environ = {
        "SCRIPT_NAME": "",
        "SERVER_NAME": name,
        "SERVER_PORT": str(port or 80),
        "HTTPS": "on" if scope.get("scheme") == "https" else "",
    }
    return SimpleNamespace(
        server_name=name, server_port=port or 80, server_address=(name, port or 80), base_environ=environ
    )

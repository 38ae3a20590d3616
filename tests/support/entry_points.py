"""Every kind of entry point, as one table: how it is built, measured and called, and where its calls are counted."""

from __future__ import annotations

import asyncio
import io
import re
import socket
import threading
from collections.abc import Callable, Coroutine, Iterable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from typing import Any

from lib.kairo_metrics import instrument, measured
from tests.support.wsgi_client import call_wsgi

__all__ = ["APPS", "ENTRY_POINTS", "Act", "EntryPoint", "Got"]

_LABELS = re.compile(r'(\w+)="([^"]*)"')


@dataclass
class Act:
    """What an app does in each call.

    Args:
        work: called first.
        status: of the response.
        parts: of the body.
        error: raised, if there is one.
        error_after: the number of parts that are sent before it; None for an exception before the response begins.
        until: waited for at the end.
        headers: of the response.
        reads: whether the app reads the request's body.
    """

    work: Callable[[], object] = lambda: None
    status: int = 200
    parts: tuple[bytes, ...] = (b"hello",)
    error: BaseException | None = None
    error_after: int | None = None
    until: threading.Event | None = None
    headers: tuple[tuple[str, str], ...] = ()
    reads: bool = False

    def begin(self) -> None:
        self.work()
        if self.error is not None and self.error_after is None:
            raise self.error

    def body(self) -> Iterator[bytes]:
        for number, part in enumerate(self.parts):
            if self.error is not None and self.error_after == number:
                raise self.error
            yield part
        if self.error is not None and self.error_after == len(self.parts):
            raise self.error

    def wait(self) -> None:
        if self.until is not None:
            self.until.wait()


@dataclass(frozen=True, slots=True)
class Got:
    """What the client, or the caller of a function, got."""

    status: int = 0
    body: bytes = b""


Call = Callable[..., Coroutine[Any, Any, Got]]
Headers = Iterable[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class EntryPoint:
    """A kind of entry point.

    Args:
        build: returns an app, class or function that does what an `Act` says.
        measure: the one line.
        call: calls what was measured, as its server does: `method`, `path`, whether the client `leaves` early, and the
            request's `headers` and `body`.
        calls: the counter of its calls, and the label with the outcome.
        errors: the counter of its errors.
        outcomes: of a call that succeeds, and of one that raises.
    """

    build: Callable[[Act], Any]
    call: Call
    measure: Callable[..., Any] = instrument
    calls: tuple[str, str] = ("http_requests_total", "status")
    errors: str = "api_errors_total"
    outcomes: tuple[str, str] = ("200", "500")

    def outcomes_in(self, found: dict[str, float]) -> dict[str, float]:
        """Return the number of calls with each outcome."""
        return _sums(found, *self.calls)

    def errors_in(self, found: dict[str, float]) -> dict[str, float]:
        """Return the number of errors of each type."""
        return _sums(found, self.errors, "type")


def _sums(found: dict[str, float], family: str, label: str) -> dict[str, float]:
    sums: dict[str, float] = {}
    for sample, value in found.items():
        if sample.startswith(f"{family}{{") and value:
            name = dict(_LABELS.findall(sample))[label]
            sums[name] = sums.get(name, 0) + value
    return sums


def _asgi(act: Act) -> Any:
    async def app(_scope: Any, receive: Any, send: Any) -> None:
        act.begin()
        while act.reads and (await receive()).get("more_body"):
            pass
        headers = [(name.encode(), value.encode()) for name, value in act.headers]
        await send({"type": "http.response.start", "status": act.status, "headers": headers})
        for part in act.body():
            await send({"type": "http.response.body", "body": part, "more_body": True})
        await asyncio.to_thread(act.wait)
        await send({"type": "http.response.body", "body": b""})

    return app


async def _call_asgi(  # noqa: PLR0913  the parts of a request
    app: Any, method: str = "GET", path: str = "/a", *, leaves: bool = False, headers: Headers = (), body: bytes = b""
) -> Got:
    messages: list[Any] = []
    parts = [body[:2], body[2:]]

    async def receive() -> Any:
        part = parts.pop(0) if parts else b""
        return (
            {"type": "http.disconnect"} if leaves else {"type": "http.request", "body": part, "more_body": bool(parts)}
        )

    async def send(message: Any) -> None:
        messages.append(message)
        if leaves and message.get("body"):
            raise OSError("the client has gone")

    scope = {"type": "http", "method": method, "path": path, "query_string": b"", "root_path": ""}
    scope["headers"] = [(name.lower().encode(), value.encode()) for name, value in headers]
    try:
        await app(scope, receive, send)
    except OSError:
        if not leaves:
            raise
    return Got(messages[0]["status"], b"".join(message.get("body", b"") for message in messages))


def _wsgi(act: Act) -> Any:
    def app(environ: Any, start_response: Any) -> Iterable[bytes]:
        act.begin()
        if act.reads:
            environ["wsgi.input"].read()
        start_response(f"{act.status} Status", list(act.headers))
        return parts()

    def parts() -> Iterator[bytes]:
        yield from act.body()
        act.wait()

    return app


async def _call_wsgi(  # noqa: PLR0913  as above
    app: Any, method: str = "GET", path: str = "/a", *, leaves: bool = False, headers: Headers = (), body: bytes = b""
) -> Got:
    if leaves:
        await asyncio.to_thread(_leave_wsgi, app, method, path)
        return Got()
    environ = {"HTTP_" + name.upper().replace("-", "_"): value for name, value in headers}
    if "HTTP_CONTENT_LENGTH" in environ:
        environ["CONTENT_LENGTH"] = environ.pop("HTTP_CONTENT_LENGTH")
    answer = await asyncio.to_thread(call_wsgi, app, method, path, **environ, **{"wsgi.input": io.BytesIO(body)})
    return Got(int(answer.status[:3]), answer.body)


def _leave_wsgi(app: Any, method: str, path: str) -> None:
    """Do what a server does that can't send the first part."""
    body = app({"REQUEST_METHOD": method, "PATH_INFO": path, "SCRIPT_NAME": ""}, lambda *_head: None)
    next(iter(body))
    body.close()


def _handler(act: Act) -> Any:
    class handler(BaseHTTPRequestHandler):  # noqa: N801  Vercel's builder looks for this name
        def do_GET(self) -> None:
            act.begin()
            if act.reads:
                self.rfile.read()
            self.send_response(act.status)
            for name, value in act.headers:
                self.send_header(name, value)
            self.end_headers()
            for part in act.body():
                self.wfile.write(part)
            act.wait()

        do_POST = do_HEAD = do_OPTIONS = do_GET  # noqa: N815  http.server's names

        def log_message(self, *_arguments: object) -> None:
            """Print nothing."""

    return handler


async def _call_handler(  # noqa: PLR0913  as above
    handler: Any,
    method: str = "GET",
    path: str = "/a",
    *,
    leaves: bool = False,
    headers: Headers = (),
    body: bytes = b"",
) -> Got:
    head = "".join(f"{line}\r\n" for line in (f"{method} {path} HTTP/1.0", *map(": ".join, headers)))
    return await asyncio.to_thread(_serve_one, handler, f"{head}\r\n".encode() + body, leaves)


def _serve_one(handler: Any, request: bytes, leaves: bool) -> Got:
    """Let the class handle one connection, as a thread of `http.server` does."""
    client, server = socket.socketpair()
    with client, server:
        client.sendall(request)
        if leaves:
            client.close()
        else:
            client.shutdown(socket.SHUT_WR)
        try:
            handler(server, ("127.0.0.1", 1), None)
        except BrokenPipeError:
            if not leaves:
                raise
        if leaves:
            return Got()
        server.close()
        head, _, body = b"".join(iter(lambda: client.recv(1 << 16), b"")).partition(b"\r\n\r\n")
    return Got(int(head.split()[1]), body)


def _function(act: Act) -> Any:
    def entry_point() -> Any:
        act.begin()
        act.wait()
        return Got(0, b"".join(act.body()))

    return entry_point


async def _call_function(function: Any, *_request: str) -> Got:
    returned: Got = await asyncio.to_thread(function)
    return returned


def _async_function(act: Act) -> Any:
    async def entry_point() -> Any:
        act.begin()
        await asyncio.to_thread(act.wait)
        return Got(0, b"".join(act.body()))

    return entry_point


async def _call_async_function(function: Any, *_request: str) -> Got:
    returned: Got = await function()
    return returned


def _block(act: Act) -> Any:
    def script() -> Any:
        with measured("entry_point"):
            act.begin()
            act.wait()
            return Got(0, b"".join(act.body()))

    return script


def _as_it_is(script: Any, **_settings: Any) -> Any:
    """Return a script that has its block of `measured` inside."""
    return script


def _measured(function: Any, **_settings: Any) -> Any:
    return measured(function)


_FUNCTION: Any = (("function_invocations_total", "outcome"), "function_errors_total", ("success", "error"))

APPS = {
    "asgi": EntryPoint(_asgi, _call_asgi),
    "wsgi": EntryPoint(_wsgi, _call_wsgi),
    "handler class": EntryPoint(_handler, _call_handler),
}
ENTRY_POINTS = {
    **APPS,
    "function": EntryPoint(_function, _call_function, _measured, *_FUNCTION),
    "async function": EntryPoint(_async_function, _call_async_function, _measured, *_FUNCTION),
    "block": EntryPoint(_block, _call_function, _as_it_is, *_FUNCTION),
}

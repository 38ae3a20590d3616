"""Handler classes and WSGI apps behind the servers: what they get, and what becomes of what they answer."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any
from wsgiref.validate import validator

import h11
import pytest
from starlette.types import Message, Scope

from lib.kairo_metrics.hosting import handler_app
from lib.kairo_metrics.hosting.handler_app import HandlerApp
from lib.kairo_metrics.hosting.wsgi_handler import wsgi_handler

Environ = dict[str, Any]
StartResponse = Callable[..., Any]


@dataclass
class Answer:
    """What a client got."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    completed: threading.Event = field(default_factory=threading.Event)

    @property
    def is_complete(self) -> bool:
        return self.completed.is_set()


async def ask(
    app: HandlerApp, target: str = "/api/x", body: bytes = b"", answer: Answer | None = None, **changes: Any
) -> Answer:
    """Send one request as a server does, and fill the answer; the client stays until that is complete."""
    answer, parts = answer or Answer(), [body]
    has_all = asyncio.Event()
    path, _, query = target.partition("?")
    scope: Scope = {
        "type": "http", "method": "GET", "path": path, "raw_path": path.encode(), "query_string": query.encode(),
        "headers": [(b"host", b"shop.example"), (b"content-length", b"%d" % len(body))], "scheme": "https",
        "client": ("192.0.2.1", 1234), "server": ("127.0.0.1", 3000), **changes,
    }  # fmt: skip

    async def receive() -> Message:
        if parts:
            return {"type": "http.request", "body": parts.pop(), "more_body": False}
        await has_all.wait()
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            answer.status = message["status"]
            answer.headers = {name.decode(): value.decode() for name, value in message["headers"]}
            return
        answer.body += message["body"]
        if not message.get("more_body"):
            answer.completed.set()
            has_all.set()

    await app(scope, receive, send)
    return answer


def handler(do_get: Callable[[Any], None]) -> HandlerApp:
    """Return the app of a handler class with this method."""
    return HandlerApp(type("handler", (BaseHTTPRequestHandler,), {"do_GET": do_get}))


def wsgi(app: Callable[[Environ, StartResponse], Iterable[bytes]]) -> HandlerApp:
    return HandlerApp(wsgi_handler(app))


async def test_a_wsgi_app_gets_a_whole_environ(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environ has what PEP 3333 asks for, as Python's own validator checks, and no variable of the process."""
    monkeypatch.setenv("SECRET_OF_THE_PROCESS", "1")
    seen: list[Environ] = []

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        seen.append(environ)
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [environ["wsgi.input"].read(100)]

    answer = await ask(wsgi(validator(app)), "/api/caf%C3%A9?a=%2B", b"the body")
    assert (answer.status, answer.body, answer.is_complete) == (200, b"the body", True)
    expected = {
        "PATH_INFO": "/api/café".encode().decode("latin-1"), "QUERY_STRING": "a=%2B", "SCRIPT_NAME": "",
        "CONTENT_LENGTH": "8", "CONTENT_TYPE": "", "HTTP_HOST": "shop.example", "REMOTE_ADDR": "192.0.2.1",
        "SERVER_NAME": "127.0.0.1", "SERVER_PORT": "3000", "wsgi.url_scheme": "https", "wsgi.multithread": True,
    }  # fmt: skip
    assert {name: seen[0].get(name) for name in expected} == expected
    assert "SECRET_OF_THE_PROCESS" not in seen[0]


async def test_a_wsgi_app_answers_in_every_way() -> None:
    """`write`, a generator, a replaced head, an empty body and a header that Vercel forgives all arrive."""

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [("X-First", "1")])
        match environ["QUERY_STRING"]:
            case "write":
                start_response("200 OK", [], (None, None, None))(b"written, ")
            case "replaced":
                start_response("503 Away", [("Connection", "close"), ("X-Second", "2")], (None, None, None))
            case "empty":
                return []
        return (part for part in (b"part 1, ", b"", b"part 2"))

    app_ = wsgi(app)
    assert (await ask(app_, "/?write")).body == b"written, part 1, part 2"
    replaced = await ask(app_, "/?replaced")
    assert (replaced.status, replaced.headers) == (503, {"x-second": "2"})
    empty = await ask(app_, "/?empty")
    assert (empty.headers, empty.body, empty.is_complete) == ({"x-first": "1", "content-length": "0"}, b"", True)


async def test_the_client_does_not_wait_for_close() -> None:
    """A stream is complete for the client before the app's `close()`, in which metrics are flushed."""
    answer = Answer()
    waited: list[bool] = []

    class Body:
        def __iter__(self) -> Iterator[bytes]:
            return iter([b"a", b"b"])

        def close(self) -> None:
            waited.append(answer.completed.wait(5))

    def app(_environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [])
        return Body()

    assert (await ask(wsgi(app), answer=answer)).body == b"ab"
    assert waited == [True]


@pytest.mark.parametrize("error", [ZeroDivisionError(), ConnectionResetError("the database"), SystemExit(1)])
async def test_every_exception_is_500(error: BaseException, caplog: pytest.LogCaptureFixture) -> None:
    """An exception before the response is 500 and in the log, one of the app's own connections as well."""

    def app(_environ: Environ, _start_response: StartResponse) -> Iterable[bytes]:
        raise error

    def do_get(_self: Any) -> None:
        raise error

    for tried in (wsgi(app), handler(do_get)):
        caplog.clear()
        answer = await ask(tried)
        assert (answer.status, answer.is_complete) == (500, True)
        logged = [(record.levelno, record.exc_info and record.exc_info[1]) for record in caplog.records]
        assert logged == [(logging.ERROR, error)]


@pytest.mark.parametrize("written", [b"", b"hello\n", b"HTTP/1.1 nonsense\r\n\r\n"])
async def test_what_is_no_response_is_500(written: bytes, caplog: pytest.LogCaptureFixture) -> None:
    """A handler that answers nothing, or not in HTTP, is 500 and in the log."""
    answer = await ask(handler(lambda self: self.wfile.write(written)))
    assert (answer.status, answer.is_complete) == (500, True)
    assert [record.getMessage() for record in caplog.records] == ["GET /api/x failed"]


async def test_an_exception_after_the_response_changes_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """A client that has its whole response keeps it; the exception that follows is in the log."""

    def app(_environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        class Body(list[bytes]):
            def close(self) -> None:
                raise RuntimeError("the end failed")

        start_response("200 OK", [("Content-Length", "2")])
        return Body([b"ok"])

    answer = await ask(wsgi(app))
    assert (answer.status, answer.body, answer.is_complete) == (200, b"ok", True)
    assert [record.getMessage() for record in caplog.records] == ["GET /api/x failed"]


async def test_a_response_that_is_too_short_is_an_error() -> None:
    """The server closes the connection after an exception, so a client sees that a part is missing."""

    def do_get(self: Any) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "10")
        self.end_headers()
        self.wfile.write(b"half")

    with pytest.raises(h11.RemoteProtocolError, match="received 4 bytes, expected 10"):
        await ask(handler(do_get))


async def test_a_handler_that_reads_on_does_not_wait() -> None:
    """After the body a handler reads the end, whatever it asks for."""

    def do_get(self: Any) -> None:
        body = self.rfile.read()
        self.send_response(200)
        self.end_headers()
        self.wfile.write(body)

    assert (await ask(handler(do_get), body=b"all of it")).body == b"all of it"


async def test_a_body_without_length_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A body without Content-Length, which waits in a file, is refused when it is too long; others get their length."""
    monkeypatch.setattr(handler_app, "_LONGEST_BODY_BYTES", 10)
    tried = handler(lambda self: self.send_error(404, self.headers["Content-Length"]))
    chunked = [(b"host", b"x"), (b"transfer-encoding", b"chunked")]
    assert b"Message: 10." in (await ask(tried, body=b"x" * 10, headers=chunked)).body
    assert (await ask(tried, body=b"x" * 11, headers=chunked)).status == 413


async def test_a_handler_with_http_1_1_is_served() -> None:
    """A handler class that speaks HTTP/1.1, without Nagle's algorithm, answers in chunks."""

    def do_get(self: Any) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.write(b"2\r\nhi\r\n0\r\n\r\n")

    attributes = {"do_GET": do_get, "protocol_version": "HTTP/1.1", "disable_nagle_algorithm": True}
    answer = await ask(HandlerApp(type("handler", (BaseHTTPRequestHandler,), attributes)))
    assert (answer.headers, answer.body) == ({}, b"hi")


async def test_a_request_that_no_handler_can_get_is_400() -> None:
    """A header that HTTP forbids is refused; a path with bytes that are not ASCII arrives escaped."""
    tried = handler(lambda self: self.send_error(404, self.path))
    assert (await ask(tried, headers=[(b"host", b"x"), (b"a", b"\x00")])).status == 400
    assert b"/caf%C3%A9" in (await ask(tried, raw_path="/café".encode())).body

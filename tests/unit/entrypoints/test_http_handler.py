"""What a measured handler class records, and what its client sees."""

from __future__ import annotations

import http.client
import io
import socket
import ssl
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import trustme
from prometheus_client import Counter

from lib.kairo_metrics import instrument
from tests.support.instance import samples
from tests.support.recording import Recording

WORK = Counter("work_of_handlers_total", "Work.")
REQUESTS = "http_requests_total"


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


@pytest.mark.parametrize(
    ("method", "status", "counted", "errors"),
    [
        ("GET", 200, "200", {}),
        ("HEAD", 200, "200", {}),
        ("PUT", 409, "409", {}),
        ("DELETE", 501, "501", {"http_501": 1}),
        ("POST", None, "500", {"KeyError": 1}),
        ("PATCH", None, "500", {"KeyError": 1}),
    ],
)
async def test_each_answer_passes_and_is_counted(
    recording: Recording, method: str, status: int | None, counted: str, errors: dict[str, int]
) -> None:
    """A client gets the class's answer, and one request is counted with its status and its exception."""
    handler = instrument(handler_class())
    with served(handler) as port:
        if status is None:
            with pytest.raises(http.client.RemoteDisconnected):
                ask(port, method)
        else:
            assert ask(port, method)[0] == status
    assert await samples(recording.store, REQUESTS) == {
        f'{REQUESTS}{{method="{method}",route="__unmatched__",status="{counted}"}}': 1
    }
    seen = await samples(recording.store, "api_errors_total")
    assert {key.split('type="')[1].rstrip('"}'): value for key, value in seen.items() if value} == errors


async def test_a_malformed_request_is_counted(recording: Recording) -> None:
    """A request that the server itself refuses is counted, under no method."""
    with (
        served(instrument(handler_class())) as port,
        socket.create_connection(("127.0.0.1", port), 30) as connection,
        connection.makefile("rb") as answer,
    ):
        connection.sendall(b"GET / HTTP/1.x\r\n\r\n")
        assert b"Bad request version" in answer.read()
    assert await samples(recording.store, REQUESTS) == {
        f'{REQUESTS}{{method="__unknown__",route="__unmatched__",status="400"}}': 1
    }


@pytest.mark.parametrize("buffer_bytes", [0, 1000])
async def test_the_client_has_its_answer_before_the_flush(
    recording: Recording, monkeypatch: pytest.MonkeyPatch, buffer_bytes: int
) -> None:
    """The client sees the end of an answer without Content-Length while the flush has not begun."""
    answered, flushed = threading.Event(), threading.Event()
    flusher = type(recording.pipeline.flusher)
    own = flusher.after_call

    def wait_for_the_client(self: Any) -> None:
        assert answered.wait(30)
        own(self)
        flushed.set()

    monkeypatch.setattr(flusher, "after_call", wait_for_the_client)
    handler = handler_class()
    handler.wbufsize = buffer_bytes
    with served(instrument(handler)) as port:
        assert ask(port, "GET") == (200, b"hello")
        assert not flushed.is_set()
        answered.set()
        assert flushed.wait(30)
    assert await samples(recording.store, "work_of_handlers_total") == {"work_of_handlers_total": 1}


async def test_another_connection_that_breaks_is_an_error(recording: Recording) -> None:
    """An app that loses the connection to its database has failed, though its client is still there."""

    class Failing(Quiet):
        def do_GET(self) -> None:
            one, other = socket.socketpair()
            with one, other, one.makefile("wb", 0) as database:
                other.close()
                database.write(b"select 1")

    with served(instrument(Failing)) as port, pytest.raises(http.client.RemoteDisconnected):
        ask(port, "GET")
    errors = await samples(recording.store, "api_errors_total")
    assert errors['api_errors_total{method="GET",route="__unmatched__",type="BrokenPipeError"}'] == 1


@pytest.mark.parametrize("buffer_bytes", [0, 1000])
async def test_what_was_written_before_an_exception_is_sent(recording: Recording, buffer_bytes: int) -> None:
    """The client gets the part of an answer that was written before the app raised, as without metrics."""

    class Breaking(Quiet):
        wbufsize = buffer_bytes

        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"a part")
            raise KeyError("no")

    with served(instrument(Breaking)) as port:
        assert ask(port, "GET") == (200, b"a part")
    errors = await samples(recording.store, "api_errors_total")
    assert errors['api_errors_total{method="GET",route="__unmatched__",type="KeyError"}'] == 1


async def test_a_connection_that_stays_open_serves_on(recording: Recording) -> None:
    """A handler of HTTP/1.1 keeps its connection over several requests, each of which is counted."""

    class handler(Quiet):  # noqa: N801
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"ok")

    with served(instrument(handler)) as port:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        for _ in range(3):
            connection.request("GET", "/")
            assert connection.getresponse().read() == b"ok"
        connection.close()
    assert await samples(recording.store, REQUESTS) == {
        f'{REQUESTS}{{method="GET",route="__unmatched__",status="200"}}': 3
    }


def test_the_class_stays_itself(recording: Recording) -> None:
    """The same class comes back, once measured it is not measured again, and the standard library's is not changed."""
    assert recording
    own: Any = handler_class()
    assert instrument(own) is own
    method = own.do_GET
    assert instrument(own).do_GET is method
    library_method = SimpleHTTPRequestHandler.do_GET
    assert issubclass(instrument(SimpleHTTPRequestHandler), SimpleHTTPRequestHandler)
    assert SimpleHTTPRequestHandler.do_GET is library_method


async def test_a_subclass_is_measured(recording: Recording) -> None:
    """Methods that a subclass adds are measured, and those that call the base class count one request."""
    base: Any = instrument(handler_class())

    class Sub(base):  # type: ignore[misc]
        def do_GET(self) -> None:  # noqa: N802
            super().do_GET()

        def do_OPTIONS(self) -> None:  # noqa: N802
            self.send_response(204)
            self.end_headers()

    with served(Sub) as port:
        assert ask(port, "GET")[0] == 200
        assert ask(port, "OPTIONS")[0] == 204
    assert await samples(recording.store, REQUESTS) == {
        f'{REQUESTS}{{method="GET",route="__unmatched__",status="200"}}': 1,
        f'{REQUESTS}{{method="OPTIONS",route="__unmatched__",status="204"}}': 1,
    }


@pytest.mark.parametrize("buffer_bytes", [0, 1000])
async def test_a_client_that_leaves_is_no_error(recording: Recording, buffer_bytes: int) -> None:
    """A handler that can't write because the client has left is counted as 499 or its status, and not as an error."""
    wrote = threading.Event()

    class handler(Quiet):  # noqa: N801
        wbufsize = buffer_bytes

        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            try:
                while True:
                    self.wfile.write(b"x" * 65_536)
            finally:
                wrote.set()

    with served(instrument(handler)) as port:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        connection.request("GET", "/")
        connection.getresponse().read(10)
        connection.close()
        assert wrote.wait(30)
    assert await recording.samples(REQUESTS) == {f'{REQUESTS}{{method="GET",route="__unmatched__",status="200"}}': 1}
    assert not any((await recording.samples("api_errors_total")).values())


@pytest.mark.parametrize("buffer_bytes", [0, 1000])
async def test_a_client_of_tls_that_leaves_is_no_error(recording: Recording, buffer_bytes: int) -> None:
    """A handler that serves TLS answers in full, and one whose client has left has not failed."""
    server_tls, client_tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority = trustme.CA()
    authority.issue_cert("127.0.0.1").configure_cert(server_tls)
    authority.configure_trust(client_tls)

    class handler(Quiet):  # noqa: N801
        wbufsize = buffer_bytes

        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"hello")

        def do_POST(self) -> None:
            self.send_response(201)
            self.end_headers()
            while True:
                self.wfile.write(b"x" * 65_536)

    with QuietServer(("127.0.0.1", 0), instrument(handler)) as server:
        server.socket = server_tls.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        for method in ("GET", "POST"):
            connection = http.client.HTTPSConnection("127.0.0.1", server.server_port, timeout=30, context=client_tls)
            connection.request(method, "/")
            assert connection.getresponse().read(5 if method == "POST" else None) in {b"hello", b"xxxxx"}
            connection.close()
        server.shutdown()
        thread.join()
    assert await recording.samples(REQUESTS) == {
        f'{REQUESTS}{{method="GET",route="__unmatched__",status="200"}}': 1,
        f'{REQUESTS}{{method="POST",route="__unmatched__",status="201"}}': 1,
    }
    assert not any((await recording.samples("api_errors_total")).values())


@pytest.mark.parametrize("has_request", [True, False])
async def test_a_method_is_called_without_a_socket(recording: Recording, has_request: bool) -> None:
    """A unit test that serves a request of its own, or calls a method alone, gets what it gets without metrics."""
    sent = io.BytesIO()

    class Request:
        sendall = sent.write

        def makefile(self, *_args: Any) -> io.BytesIO:
            return io.BytesIO(b"GET / HTTP/1.0\r\n\r\n")

    own: Any = instrument(handler_class())
    if has_request:
        own(Request(), ("127.0.0.1", 1), None)
    else:
        handler = own.__new__(own)
        handler.command, handler.path, handler.wfile = "GET", "/", sent
        handler.request_version, handler.requestline = "HTTP/1.0", "GET / HTTP/1.0"
        handler.do_GET()
    assert sent.getvalue().endswith(b"hello")
    assert await recording.samples(REQUESTS) == {f'{REQUESTS}{{method="GET",route="__unmatched__",status="200"}}': 1}


async def test_a_handshake_of_a_websocket_is_an_answer(recording: Recording) -> None:
    """A handler that switches to the protocol of websockets has answered with 101, which is no error."""

    class handler(Quiet):  # noqa: N801
        def do_GET(self) -> None:
            self.send_response(101)
            self.end_headers()
            self.wfile.write(b"a frame")

    with served(instrument(handler)) as port, socket.create_connection(("127.0.0.1", port), 30) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nUpgrade: websocket\r\n\r\n")
        assert connection.makefile("rb").read().endswith(b"a frame")
    assert await recording.samples(REQUESTS) == {f'{REQUESTS}{{method="GET",route="__unmatched__",status="101"}}': 1}
    assert not any((await recording.samples("api_errors_total")).values())


@pytest.mark.parametrize(
    ("file", "route"),
    [
        ("api/hello.py", "/api/hello"),
        ("api/shop/index.py", "/api/shop"),
        ("api/items/[id].py", "/api/items/{id}"),
        ("server.py", "__unmatched__"),
        ("src/api/hello.py", "__unmatched__"),
    ],
)
async def test_the_route_is_the_path_of_the_function(
    recording: Recording, monkeypatch: pytest.MonkeyPatch, tmp_path: Any, file: str, route: str
) -> None:
    """On Vercel a file in `api/` is a route, so its handler class is counted under that, whatever the path."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "user_function", _module(tmp_path / file))
    own = handler_class()
    own.__module__ = "user_function"
    with served(instrument(own)) as port:
        assert ask(port, "GET", "/rewritten/42?a=1")[0] == 200
    assert await samples(recording.store, REQUESTS) == {f'{REQUESTS}{{method="GET",route="{route}",status="200"}}': 1}


def _module(file: Any) -> Any:
    return type("Module", (), {"__file__": str(file)})

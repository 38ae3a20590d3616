"""A measured handler class and its connection: buffers, TLS, clients that leave, and tests without a socket."""

# ruff: noqa: N802  the methods have the names that http.server calls
from __future__ import annotations

import http.client
import io
import socket
import ssl
import threading
from typing import Any

import pytest
import trustme

from lib.kairo_metrics import instrument
from tests.support.handler_classes import Quiet, QuietServer, ask, handler_class, served
from tests.support.instance import samples
from tests.support.recording import Recording

REQUESTS = "http_requests_total"


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

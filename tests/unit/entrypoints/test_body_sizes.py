"""The bytes of bodies, where they do not pass by the app's own code, or have frames around them."""

from __future__ import annotations

import asyncio
import io
import socket
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from wsgiref.util import FileWrapper

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.kairo_metrics import instrument
from lib.kairo_metrics.entrypoints.body_sizes import BodySizes
from lib.kairo_metrics.entrypoints.counted_stream import CountedReader
from tests.support.recording import Recording
from tests.support.wsgi_client import call_wsgi

pytestmark = pytest.mark.usefixtures("fresh_catalogue", "recording")


async def sums(recording: Recording) -> list[float]:
    """Return the bytes of the request and of the response."""
    found = [await recording.samples(f"http_{which}_size_bytes_sum") for which in ("request", "response")]
    return [value for one in found for value in one.values()]


@pytest.mark.parametrize("with_length", [True, False])
async def test_a_file_that_an_asgi_server_sends_has_its_length(
    recording: Recording, tmp_path: Path, with_length: bool
) -> None:
    """A file is not read by the app if the server can send it by its path."""
    (tmp_path / "file").write_bytes(b"x" * 1000)

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        headers = [(b"content-length", b"1000")] if with_length else []
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.pathsend", "path": str(tmp_path / "file")})

    async def nothing(*_message: Any) -> Any:
        return {"type": "http.request"}

    scope = {"type": "http", "method": "GET", "path": "/", "headers": [], "query_string": b"", "root_path": ""}
    await instrument(app, sizes=True)(scope, nothing, nothing)
    assert await sums(recording) == [0, 1000]


async def test_a_file_that_is_gone_when_it_was_sent(recording: Recording, tmp_path: Path) -> None:
    """An app may give a file away that the server deletes; its size is not known, and the app sees no error of ours."""

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.pathsend", "path": str(tmp_path / "gone")})

    async def nothing(*_message: Any) -> Any:
        return {"type": "http.request"}

    await instrument(app, sizes=True)({"type": "http", "method": "GET", "path": "/", "headers": []}, nothing, nothing)
    assert await sums(recording) == [0, 0]


async def test_a_client_that_leaves_an_upload_has_sent_what_was_read(recording: Recording) -> None:
    """An upload that breaks off has not the length that it has announced."""
    messages = [{"type": "http.request", "body": b"abc", "more_body": True}, {"type": "http.disconnect"}]

    async def app(_scope: Any, receive: Any, send: Any) -> None:
        while (await receive()).get("more_body"):
            pass
        await send({"type": "http.response.start", "status": 400, "headers": []})
        await send({"type": "http.response.body", "body": b"short"})

    async def receive() -> Any:
        return messages.pop(0)

    async def send(_message: Any) -> None: ...

    headers = [(b"content-length", b"1000")]
    scope = {"type": "http", "method": "PUT", "path": "/", "headers": headers, "query_string": b"", "root_path": ""}
    await instrument(app, sizes=True)(scope, receive, send)
    assert (await sums(recording))[0] == 3


async def test_a_file_that_a_wsgi_server_sends_has_the_length_in_the_headers(recording: Recording) -> None:
    """A body of `wsgi.file_wrapper` goes to the server as it is."""

    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [("Content-Length", "1000")])
        return environ["wsgi.file_wrapper"](io.BytesIO(b"x" * 1000))

    answer = await asyncio.to_thread(
        call_wsgi, instrument(app, sizes=True), "GET", "/", **{"wsgi.file_wrapper": FileWrapper}
    )
    assert len(answer.body) == 1000
    assert await sums(recording) == [0, 1000]


async def test_what_a_wsgi_app_writes_counts(recording: Recording) -> None:
    """The old way of PEP 3333, `write`, has bytes, too."""

    def app(_environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])(b"abc")
        return [b"def"]

    await asyncio.to_thread(call_wsgi, instrument(app, sizes=True), "GET", "/")
    assert await sums(recording) == [0, 6]


def _exchange(handler: Any, request: bytes) -> bytes:
    client, server = socket.socketpair()
    with client, server:
        client.sendall(request)
        client.shutdown(socket.SHUT_WR)
        handler(server, ("127.0.0.1", 1), None)
        server.close()
        return b"".join(iter(lambda: client.recv(1 << 16), b""))


class Quiet(BaseHTTPRequestHandler):
    """A handler that logs nothing."""

    def log_message(self, *_arguments: object) -> None:
        """Print nothing."""


async def test_the_frames_of_chunks_do_not_count_in_a_handler_class(recording: Recording) -> None:
    """A handler class takes the chunks of a request apart itself, and makes those of its response."""

    class handler(Quiet):  # noqa: N801
        def do_POST(self) -> None:
            self.body = b""
            while size := int(self.rfile.readline().partition(b";")[0], 16):
                self.body += self.rfile.read(size)
                self.rfile.readline()
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for part in (self.body, b"x" * 20):
                self.wfile.write(f"{len(part):x}\r\n".encode())
                self.wfile.writelines([part, b"\r\n"])
            self.wfile.write(b"0\r\n\r\n")

    request = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n3;x=y\r\nyou\r\n0\r\n\r\n"
    answer = await asyncio.to_thread(_exchange, instrument(handler, sizes=True), request)
    assert answer.endswith(b"8\r\nhelloyou\r\n14\r\n" + b"x" * 20 + b"\r\n0\r\n\r\n")
    assert await sums(recording) == [8, 28]


@pytest.mark.parametrize("buffer_bytes", [0, 1 << 16])
async def test_the_requests_of_one_connection_have_their_own_bytes(recording: Recording, buffer_bytes: int) -> None:
    """A handler keeps its connection, and each request's bytes are counted once; an error's page as well."""

    class handler(Quiet):  # noqa: N801
        protocol_version = "HTTP/1.1"
        wbufsize = buffer_bytes

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(memoryview(body))

    requests = b"POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello" * 2 + b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n"
    answer = await asyncio.to_thread(_exchange, instrument(handler, sizes=True), requests)
    page = answer.rpartition(b"\r\n\r\n")[2]
    assert answer.count(b"\r\n\r\nhello") == 2
    assert await recording.samples("http_response_size_bytes_sum") == {
        'http_response_size_bytes_sum{method="POST",route="__unmatched__"}': 10,
        'http_response_size_bytes_sum{method="GET",route="__unmatched__"}': len(page),
    }


@given(
    payloads=st.lists(st.binary(min_size=1, max_size=40), max_size=5),
    sizes=st.lists(st.integers(1, 30), min_size=1, max_size=5),
    extension=st.sampled_from(["", ";a=b", " "]),
)
def test_chunks_are_taken_apart_however_they_are_read(payloads: list[bytes], sizes: list[int], extension: str) -> None:
    """Whichever parts a body of chunks is read in, its payload is counted."""
    frames = b"".join(f"{len(one):X}{extension}\r\n".encode() + one + b"\r\n" for one in payloads)
    counted = BodySizes(None)
    stream = CountedReader(io.BytesIO(frames + b"0\r\nTrailer: 1\r\n\r\n"), counted, is_chunked=True)
    number = 0
    while stream.read(sizes[number % len(sizes)]):
        number += 1
    assert counted.received == sum(map(len, payloads))


@pytest.mark.parametrize("method", ["read", "read1", "readline", "readlines", "readinto", "__iter__"])
def test_however_a_body_is_read_it_counts(method: str) -> None:
    """Each way to read a stream counts its bytes."""
    counted = BodySizes(None)
    stream = CountedReader(io.BufferedReader(io.BytesIO(b"one line")), counted)
    if method == "readinto":
        assert stream.readinto(bytearray(20)) == 8
    elif method == "__iter__":
        assert list(stream) == [b"one line"]
    else:
        getattr(stream, method)()
    assert counted.received == 8
    assert stream.readable()

"""The bytes of bodies, as clients of real servers send and get them."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from flask import Flask, request, send_file
from flask import Response as FlaskResponse
from starlette.applications import Starlette
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from werkzeug.serving import make_server

from lib.kairo_metrics import instrument
from tests.support.recording import Recording

pytestmark = pytest.mark.usefixtures("fresh_catalogue")

FILE = Path(__file__)


def starlette_app() -> Any:
    async def echo(asked: Request) -> Response:
        return PlainTextResponse(await asked.body())

    async def stream(_asked: Request) -> Response:
        async def parts() -> AsyncIterator[bytes]:
            for _ in range(3):
                yield b"x" * 100

        return StreamingResponse(parts())

    async def large(_asked: Request) -> Response:
        return PlainTextResponse("a" * 5_000)

    async def file(_asked: Request) -> Response:
        return FileResponse(FILE)

    routes = [
        Route("/echo", echo, methods=["POST"]),
        Route("/stream", stream),
        Route("/large", large),
        Route("/file", file),
    ]
    app = Starlette(routes=routes)
    app.add_middleware(GZipMiddleware, minimum_size=1_000)
    return app


def flask_app() -> Any:
    def echo() -> bytes:
        return request.get_data()

    app = Flask("sizes")
    app.add_url_rule("/echo", "echo", echo, methods=["POST"])
    app.add_url_rule("/stream", "stream", lambda: FlaskResponse(b"x" * 100 for _ in range(3)))
    app.add_url_rule("/large", "large", lambda: "a" * 5_000)
    app.add_url_rule("/file", "file", lambda: send_file(FILE))
    return app


class Handler(BaseHTTPRequestHandler):
    """The same as a handler class, which sends no chunks and reads none."""

    def do_GET(self) -> None:
        body = {"/stream": b"x" * 300, "/large": b"a" * 5_000, "/file": FILE.read_bytes()}[self.path]
        self.send_response(200)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_HEAD = do_GET  # noqa: N815  http.server's name

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: object) -> None:
        """Print nothing."""


@contextmanager
def uvicorn_serving(app: Any) -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join()


@contextmanager
def in_a_thread(server: Any) -> Iterator[int]:
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def werkzeug_serving(app: Any) -> Any:
    return in_a_thread(make_server("127.0.0.1", 0, app, threaded=True))


def http_server_serving(app: Any) -> Any:
    return in_a_thread(ThreadingHTTPServer(("127.0.0.1", 0), app))


SERVERS: dict[str, tuple[Any, Any]] = {
    "uvicorn": (uvicorn_serving, starlette_app),
    "werkzeug": (werkzeug_serving, flask_app),
    "http.server": (http_server_serving, lambda: Handler),
}


def exchange(port: int, *, chunks: bool) -> tuple[int, int]:
    """Send requests of all kinds, and return the bytes of the bodies that the client has sent and got."""
    sent = got = 0
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers={"Accept-Encoding": "gzip"}) as client:
        bodies: list[Any] = [b"hello", b""] + ([(part for part in (b"a" * 100, b"b" * 7))] if chunks else [])
        for body in bodies:
            with client.stream("POST", "/echo", content=body) as answer:
                got += sum(map(len, answer.iter_raw()))
        sent = 112 if chunks else 5
        for method, path in (("GET", "/stream"), ("GET", "/large"), ("GET", "/file"), ("HEAD", "/large")):
            with client.stream(method, path) as answer:
                got += sum(map(len, answer.iter_raw()))
    return sent, got


@pytest.mark.parametrize("name", SERVERS)
async def test_the_bytes_are_those_of_the_client(recording: Recording, name: str) -> None:
    """What a client sends and gets adds up: with a length, in chunks, as a stream, a file, compressed, or to a HEAD."""
    serving, build = SERVERS[name]
    with serving(instrument(build(), sizes=True)) as port:
        exchanged = await asyncio.to_thread(exchange, port, chunks=name != "http.server")
    sums = [await recording.samples(f"http_{which}_size_bytes_sum") for which in ("request", "response")]
    assert exchanged == tuple(sum(one.values()) for one in sums)

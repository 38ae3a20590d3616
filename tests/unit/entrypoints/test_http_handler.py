"""What a measured handler class records, and what its client sees."""

from __future__ import annotations

import http.client
import socket
import sys
from http.server import SimpleHTTPRequestHandler
from typing import Any

import pytest

from lib.kairo_metrics import instrument
from tests.support.handler_classes import ask, handler_class, served
from tests.support.instance import samples
from tests.support.recording import Recording

REQUESTS = "http_requests_total"


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

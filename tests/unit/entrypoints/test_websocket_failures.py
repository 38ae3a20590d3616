"""Exceptions that end a websocket: most frameworks answer one themselves, and no exception leaves the app."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import pytest
from fastapi import FastAPI, WebSocket, WebSocketException
from litestar import Litestar, websocket_listener
from quart import Quart
from quart import websocket as quart_websocket

from lib.kairo_metrics import instrument
from tests.support.recording import Recording


class OutOfStock(Exception):
    """An exception that the app answers itself."""


def _fastapi() -> Any:
    app = FastAPI()

    @app.exception_handler(OutOfStock)
    async def answer(websocket: WebSocket, _error: OutOfStock) -> None:
        await websocket.close(1011)

    @app.websocket("/rooms/{room}")
    async def talk(websocket: WebSocket, room: int) -> None:
        await websocket.accept()
        await websocket.receive_text()
        raise {1: OutOfStock, 2: ValueError}.get(room) or WebSocketException(1003)

    return app


def _litestar() -> Any:
    @websocket_listener("/rooms/1")
    async def talk(data: str) -> str:
        raise ValueError(data)

    return Litestar([talk], openapi_config=None)


def _quart() -> Any:
    app = Quart(__name__)

    @app.websocket("/rooms/1")
    async def talk() -> None:
        await quart_websocket.receive()
        raise ValueError

    return app


@pytest.mark.parametrize(
    ("build", "path", "expected"),
    [
        (_fastapi, "/rooms/1", {"OutOfStock"}),
        (_fastapi, "/rooms/2", {"ValueError"}),
        (_fastapi, "/rooms/3", set()),  # it stands for a code, as `HTTPException` stands for a status
        (_fastapi, "/rooms/none", set()),  # refused: the client's fault
        (_litestar, "/rooms/1", {"ValueError"}),
        (_quart, "/rooms/1", {"ValueError"}),
    ],
)
async def test_the_exception_that_ended_it_is_counted(
    recording: Recording, build: Any, path: str, expected: set[str]
) -> None:
    """An exception is counted under its class, whether it leaves the app or the framework closes the websocket."""
    arriving: asyncio.Queue[Any] = asyncio.Queue()
    arriving.put_nowait({"type": "websocket.connect"})
    arriving.put_nowait({"type": "websocket.receive", "text": "a"})

    async def send(message: Any) -> None:
        if message["type"] == "websocket.close":  # the client answers the close, as it must
            arriving.put_nowait({"type": "websocket.disconnect", "code": message["code"]})

    scope = {
        "type": "websocket",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": [(b"host", b"cms.example.org")],
        "scheme": "ws",
        "http_version": "1.1",
        "server": ("cms.example.org", 80),
        "client": ("192.0.2.1", 1),
        "subprotocols": [],
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "state": {},
    }
    with suppress(ValueError):
        await instrument(build())(scope, arriving.get, send)
    errors = await recording.samples("websocket_errors_total")
    assert {key.split('type="')[1].rstrip('"}') for key, value in errors.items() if value} == expected

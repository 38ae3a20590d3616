"""Routes and exceptions of Litestar."""

from __future__ import annotations

from typing import Any

import pytest
from litestar import Litestar, WebSocket, asgi
from litestar import websocket as litestar_websocket
from litestar.config.cors import CORSConfig
from litestar.params import FromPath
from litestar.static_files import create_static_files_router
from litestar.types import Receive, Scope, Send

from tests.support.framework_apps import litestar_app, starlette_app
from tests.support.route_probe import ASGIProbe, Asked, ask, connect

PREFLIGHT = {"Origin": "http://other.example", "Access-Control-Request-Method": "GET"}


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("OPTIONS", "/items/3", Asked(204, "/items/{item}")),
        ("DELETE", "/items/3", Asked(405, "/items/{item}")),
        ("GET", "/items/3/", Asked(200, "/items/{item}")),
        ("GET", "/items/three", Asked(404, "__unmatched__")),
        ("GET", "/nothing", Asked(404, "__unmatched__")),
    ],
)
async def test_answers_of_litestar_itself(method: str, path: str, expected: Asked) -> None:
    """A 405 and an automatic OPTIONS have a route."""
    assert await ask(ASGIProbe(litestar_app()), path, method) == expected


async def test_a_preflight_and_a_path_for_all() -> None:
    """A preflight has its route, and `Litestar(path=)` is part of every route."""
    probe = ASGIProbe(litestar_app(cors_config=CORSConfig(), path="/all"))
    assert await ask(probe, "/all/items/3") == Asked(200, "/all/items/{item}")
    assert await ask(probe, "/all/items/3", "OPTIONS", headers=PREFLIGHT) == Asked(204, "/all/items/{item}")


@pytest.mark.parametrize("copy_scope", [True, False])
async def test_a_mounted_asgi_app_and_static_files(tmp_path: Any, copy_scope: bool) -> None:
    """What Litestar mounts has the mount's path, as below Starlette's mounts; static files have a route."""

    @asgi("/mounted/here", is_mount=True, copy_scope=copy_scope)
    async def mounted(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001  Litestar wants the names
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    app = Litestar([mounted, create_static_files_router("/static", [tmp_path])], logging_config=None)
    probe = ASGIProbe(app)
    assert await ask(probe, "/mounted/here/some/thing") == Asked(200, "/mounted/here/{path}")
    assert await ask(probe, "/mounted/here") == Asked(200, "/mounted/here/{path}")
    assert await ask(probe, "/static/missing.css") == Asked(404, "/static/{file_path}")


async def test_a_mounted_app_of_another_framework() -> None:
    """A Starlette app that Litestar mounts tells its own routes and exceptions, below the mount's path."""
    inner: Any = starlette_app()
    mounted: Any = asgi("/mounted/here", is_mount=True, copy_scope=True)(_called_with_slashes(inner))
    probe = ASGIProbe(Litestar([mounted], logging_config=None))
    assert await ask(probe, "/mounted/here/items/3") == Asked(200, "/mounted/here/items/{item}")
    assert await ask(probe, "/mounted/here/handled") == Asked(500, "/mounted/here/handled", "KeyError")
    assert await ask(probe, "/mounted/here/nothing") == Asked(404, "__unmatched__")


def _called_with_slashes(app: Any) -> Any:
    async def call(scope: Scope, receive: Receive, send: Send) -> None:
        """Take away the slash that Litestar adds to the path of a mounted app."""
        path: Any = scope["path"].rstrip("/")
        await app({**scope, "path": path}, receive, send)

    return call


async def test_a_websocket() -> None:
    """A websocket has its template as well."""

    @litestar_websocket("/ws/{room:str}")
    async def room(socket: WebSocket[Any, Any, Any], room: FromPath[str]) -> None:
        await socket.accept()
        await socket.send_text(room)
        await socket.close()

    assert (await connect(ASGIProbe(Litestar([room], logging_config=None)), "/ws/7")).route == "/ws/{room}"

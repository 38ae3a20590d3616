"""Routes and exceptions of Quart."""

from __future__ import annotations

from typing import Any

import pytest
from quart import websocket

from tests.support.framework_apps import quart_app
from tests.support.route_probe import ASGIProbe, Asked, ask, connect


class Copying:
    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.app(dict(scope), receive, send)


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("OPTIONS", "/items/3", Asked(200, "/items/<int:item>")),
        ("DELETE", "/items/3", Asked(405, "/items/<int:item>")),
        ("GET", "/items/three", Asked(404, "__unmatched__")),
        ("GET", "/static/missing.css", Asked(404, "/static/<path:filename>")),
    ],
)
async def test_answers_of_quart_itself(method: str, path: str, expected: Asked) -> None:
    """A 405, an automatic OPTIONS and a missing static file have a route."""
    assert await ask(ASGIProbe(quart_app()), path, method) == expected


async def test_middleware_in_the_place_of_asgi_app() -> None:
    """`app.asgi_app = Middleware(app.asgi_app)` changes nothing, before `instrument` and after it."""
    app = quart_app()
    app.asgi_app = Copying(app.asgi_app)  # type: ignore[method-assign]
    probe = ASGIProbe(app)
    app.asgi_app = Copying(app.asgi_app)  # type: ignore[method-assign]
    assert await ask(probe, "/items/3") == Asked(200, "/items/<int:item>")
    assert await ask(probe, "/broken/3") == Asked(500, "/broken/<int:item>", "LookupError")
    assert await ask(ASGIProbe(quart_app().asgi_app), "/items/3") == Asked(200, "/items/<int:item>")


async def test_an_answer_in_the_place_of_asgi_app() -> None:
    """Middleware in the place of `asgi_app` may answer, and its answers have the route of the path."""

    class Rejecting(Copying):
        async def __call__(self, _scope: Any, _receive: Any, send: Any) -> None:
            await send({"type": "http.response.start", "status": 401, "headers": []})
            await send({"type": "http.response.body"})

    app = quart_app()
    probe = ASGIProbe(app)
    app.asgi_app = Rejecting(app.asgi_app)  # type: ignore[assignment, method-assign]
    assert await ask(probe, "/items/3") == Asked(401, "/items/<int:item>")
    assert await ask(probe, "/nothing") == Asked(401, "__unmatched__")


async def test_a_websocket() -> None:
    """A websocket has its rule as well."""
    app = quart_app()

    @app.websocket("/ws/<room>")
    async def room(room: str) -> None:
        await websocket.accept()
        await websocket.send(room)

    assert (await connect(ASGIProbe(app), "/ws/7")).route == "/ws/<room>"

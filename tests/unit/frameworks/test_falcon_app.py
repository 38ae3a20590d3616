"""Routes and exceptions of Falcon, for WSGI and ASGI."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import falcon
import pytest

from tests.support.framework_apps import falcon_asgi, falcon_wsgi
from tests.support.route_probe import ASGIProbe, Asked, WSGIProbe, ask, connect


class _Rejecting:
    def process_request(self, req: Any, _resp: Any) -> None:
        if req.get_header("X-Reject"):
            raise falcon.HTTPUnauthorized


class _RejectingAsync:
    async def process_request(self, req: Any, _resp: Any) -> None:
        if req.get_header("X-Reject"):
            raise falcon.HTTPUnauthorized


@pytest.fixture(params=["wsgi", "asgi"])
def probe(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    app = falcon_wsgi() if request.param == "wsgi" else falcon_asgi()
    app.add_static_route("/static", tmp_path)
    if request.param == "wsgi":
        app.add_middleware(_Rejecting())
        app.add_sink(lambda _req, _resp, **_fields: None, r"/sink/(?P<rest>.+)")
        return WSGIProbe(app)
    app.add_middleware(_RejectingAsync())

    async def sink(_req: Any, _resp: Any, **_fields: Any) -> None:
        return

    app.add_sink(sink, r"/sink/(?P<rest>.+)")
    return ASGIProbe(app)


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("DELETE", "/items/3", Asked(405, "/items/{item:int}")),
        ("OPTIONS", "/items/3", Asked(200, "/items/{item:int}")),
        ("GET", "/items/three", Asked(404, "__unmatched__")),
        ("GET", "/static/missing.css", Asked(404, "/static/{path}")),
        ("GET", "/sink/some/thing", Asked(200, "/sink/(?P<rest>.+)")),
    ],
)
async def test_answers_of_falcon_itself(probe: Any, method: str, path: str, expected: Asked) -> None:
    """A 405, static files and sinks have a route."""
    assert await ask(probe, path, method) == expected


async def test_middleware_may_answer(probe: Any) -> None:
    """What Falcon's middleware answers before the route is found has the route of its path."""
    assert await ask(probe, "/items/3", headers={"X-Reject": "1"}) == Asked(401, "/items/{item:int}")
    assert await ask(probe, "/static/x", headers={"X-Reject": "1"}) == Asked(401, "/static/{path}")
    assert await ask(probe, "/nothing", headers={"X-Reject": "1"}) == Asked(401, "__unmatched__")


async def test_a_websocket() -> None:
    """A websocket has its template as well."""

    class Room:
        async def on_websocket(self, _req: Any, socket: Any, room: str) -> None:
            await socket.accept()
            await socket.send_text(room)

    app = falcon_asgi()
    app.add_route("/ws/{room}", Room())
    assert (await connect(ASGIProbe(app), "/ws/7")).route == "/ws/{room}"

"""Routes and exceptions of Bottle."""

from __future__ import annotations

from typing import Any

import bottle
import pytest

from tests.support.framework_apps import bottle_app, flask_app
from tests.support.route_probe import Asked, WSGIProbe, ask


def opaque(_environ: Any, start_response: Any) -> Any:
    start_response("200 OK", [])
    return [b"fine"]


@pytest.fixture
def probe() -> WSGIProbe:
    app, child = bottle_app(), bottle.Bottle()
    child.get("/z/<q>")(lambda q: q)
    app.mount("/child/", child)
    app.mount("/flask/", flask_app())
    app.mount("/opaque/", opaque)

    def reject() -> None:
        if bottle.request.get_header("X-Reject"):
            raise bottle.HTTPResponse("no", 401)
        if bottle.request.get_header("X-Break"):
            raise BufferError

    app.add_hook("before_request", reject)
    return WSGIProbe(app)


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("DELETE", "/items/3", Asked(405, "/items/<item:int>")),
        ("HEAD", "/items/3", Asked(200, "/items/<item:int>")),
        ("GET", "/items/three", Asked(404, "__unmatched__")),
        ("GET", "/child/z/1", Asked(200, "/child/z/<q>")),
        ("GET", "/flask/items/3", Asked(200, "/flask/items/<int:item>")),
        ("GET", "/flask/handled", Asked(500, "/flask/handled", "KeyError")),
        ("GET", "/flask/nothing", Asked(404, "__unmatched__")),
        ("GET", "/opaque/some/thing", Asked(200, "/opaque/{path}")),
    ],
)
async def test_routes_and_mounts(probe: WSGIProbe, method: str, path: str, expected: Asked) -> None:
    """A 405 has a route, and what is mounted has the mount's prefix, whatever framework it is of."""
    assert await ask(probe, path, method) == expected
    assert await ask(probe, path, method) == expected


async def test_a_hook_may_answer(probe: WSGIProbe) -> None:
    """What a `before_request` hook answers or raises has the route of its path."""
    assert await ask(probe, "/items/3", headers={"X-Reject": "1"}) == Asked(401, "/items/<item:int>")
    assert await ask(probe, "/flask/items/3", headers={"X-Reject": "1"}) == Asked(401, "/flask/items/<int:item>")
    assert await ask(probe, "/items/3", headers={"X-Break": "1"}) == Asked(500, "/items/<item:int>", "BufferError")

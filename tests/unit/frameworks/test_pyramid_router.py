"""Routes and exceptions of Pyramid."""

from __future__ import annotations

from typing import Any

from tests.support.pyramid_project import pyramid_app
from tests.support.route_probe import Asked, WSGIProbe, ask


async def test_a_tween_may_answer() -> None:
    """What a tween answers before the route is matched has the route of its path."""
    probe = WSGIProbe(pyramid_app(**{"pyramid.tweens": "tests.support.pyramid_project.rejecting"}))
    assert await ask(probe, "/items/3", headers={"X-Reject": "1"}) == Asked(401, "/items/{item}")
    assert await ask(probe, "/nothing", headers={"X-Reject": "1"}) == Asked(401, "__unmatched__")
    assert await ask(probe, "/items/3") == Asked(200, "/items/{item}")


async def test_static_views_and_other_methods() -> None:
    """A static view has a route, and so has a view that a predicate rejects; an app without routes has none."""
    probe = WSGIProbe(pyramid_app())
    assert await ask(probe, "/static/missing.css") == Asked(404, "/static/*subpath")
    assert await ask(probe, "/posted", "GET") == Asked(404, "/posted")
    assert await ask(probe, "/posted", "POST") == Asked(200, "/posted")


async def test_traversal() -> None:
    """An app that finds its views by traversal has no routes."""
    from tests.support.pyramid_project import traversal_app

    asked: Any = await ask(WSGIProbe(traversal_app()), "/")
    assert asked == Asked(200, "__unmatched__")

"""Naming the route in code that no framework routes."""

from __future__ import annotations

from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest

from lib.kairo_metrics import request_route
from lib.kairo_metrics.frameworks import request_route as module
from lib.kairo_metrics.frameworks.facts import REQUEST_KEY, RequestFacts
from tests.support.route_probe import ASGIProbe, Asked, WSGIProbe, ask


async def test_a_hand_written_asgi_app() -> None:
    """A hand-written app names its route with the scope."""

    async def plain(scope: Any, _receive: Any, send: Any) -> None:
        request_route(scope, "/items/{id}")
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body"})

    assert await ask(ASGIProbe(plain), "/items/3") == Asked(200, "/items/{id}")


async def test_a_hand_written_wsgi_app() -> None:
    """A hand-written WSGI app names its route with the environ."""

    def plain(environ: Any, start_response: Any) -> Any:
        request_route(environ, "/items/{id}")
        start_response("200 OK", [])
        return [b"fine"]

    assert await ask(WSGIProbe(plain), "/items/3") == Asked(200, "/items/{id}")


def test_a_handler_class() -> None:
    """A handler of `http.server` gives itself."""
    handler = BaseHTTPRequestHandler.__new__(BaseHTTPRequestHandler)
    request_route(handler, "/items/{id}")
    facts = vars(handler)[REQUEST_KEY] = RequestFacts()
    request_route(handler, "/items/{id}")
    assert facts.route == "/items/{id}"


def test_nothing_is_measured() -> None:
    """Without metrics it does nothing, but a wrong argument is as wrong as with them."""
    request_route({}, "/items/{id}")
    with pytest.raises(TypeError, match="a route's template is a string, not int"):
        request_route({}, 3)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="takes a scope, an environ or a request, not int"):
        request_route(3, "/items/{id}")


def test_paths_in_the_place_of_templates(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """A program that gives paths makes a bounded number of routes, and the log says so once."""
    monkeypatch.setattr(module, "_templates", set())
    facts, routes = RequestFacts(), set()
    for number in range(3000):
        request_route({REQUEST_KEY: facts}, f"/items/{number}")
        routes.add(facts.route)
    assert len(routes) == 1001
    assert "__unmatched__" in routes
    assert [record.name for record in caplog.records] == ["kairo_metrics"]


def test_a_named_route_stays() -> None:
    """What a framework learns later does not replace a named route."""
    facts = RequestFacts()
    request_route({REQUEST_KEY: facts}, "/named")
    facts.learn({}, "/learned")
    facts.learn_later(lambda: "/later")
    assert (facts.peek(), facts.settle(), facts.route) == ("/named", "/named", "/named")

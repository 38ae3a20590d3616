"""Routes and exceptions of Flask."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from flask_cors import CORS
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.middleware.proxy_fix import ProxyFix

from tests.support.framework_apps import bottle_app, flask_app
from tests.support.route_probe import Asked, WSGIProbe, ask


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("HEAD", "/items/3", Asked(200, "/items/<int:item>")),
        ("OPTIONS", "/items/3", Asked(200, "/items/<int:item>")),
        ("DELETE", "/items/3", Asked(405, "/items/<int:item>")),
        ("GET", "/items/three", Asked(404, "__unmatched__")),
        ("GET", "//items/3", Asked(404, "__unmatched__")),
        ("GET", "/static/a/missing.css", Asked(404, "/static/<path:filename>")),
        ("GET", "/slash", Asked(308, "__unmatched__")),
        ("GET", "/slash/", Asked(200, "/slash/")),
    ],
)
async def test_answers_of_flask_itself(method: str, path: str, expected: Asked) -> None:
    """A 405, an automatic OPTIONS and a missing static file have a route; a redirect to the slash has none."""
    app = flask_app()
    app.add_url_rule("/slash/", view_func=lambda: "fine", endpoint="slash")
    assert await ask(WSGIProbe(app), path, method) == expected


async def test_before_request_may_answer() -> None:
    """What a `before_request` function answers or raises has the route, and a preflight of flask-cors has it, too."""
    app = flask_app()
    CORS(app)

    @app.before_request
    def reject() -> Any:
        from flask import request

        if "X-Break" in request.headers:
            raise BufferError
        return ("no", 401) if "X-Reject" in request.headers else None

    probe = WSGIProbe(app)
    assert await ask(probe, "/items/3", headers={"X-Reject": "1"}) == Asked(401, "/items/<int:item>")
    assert await ask(probe, "/items/3", headers={"X-Break": "1"}) == Asked(500, "/items/<int:item>", "BufferError")
    preflight = {"Origin": "http://other.example", "Access-Control-Request-Method": "GET"}
    assert await ask(probe, "/items/3", "OPTIONS", headers=preflight) == Asked(200, "/items/<int:item>")


async def test_middleware_that_is_added_later() -> None:
    """`app.wsgi_app = Middleware(app.wsgi_app)` after `instrument`: the prefix of a proxy is no part of the route."""
    app = flask_app()
    probe = WSGIProbe(app)
    app.wsgi_app = ProxyFix(app.wsgi_app, x_prefix=1)  # type: ignore[method-assign]
    assert await ask(probe, "/items/3", headers={"X-Forwarded-Prefix": "/anything"}) == Asked(200, "/items/<int:item>")
    app.wsgi_app = DispatcherMiddleware(app.wsgi_app, {"/in": flask_app()})  # type: ignore[method-assign]
    assert await ask(probe, "/items/3") == Asked(200, "/items/<int:item>")


@pytest.mark.parametrize("when", ["before", "after"])
async def test_apps_in_a_dispatcher_in_the_place_of_wsgi_app(when: str) -> None:
    """Apps that a dispatcher in the place of `wsgi_app` mounts have their prefix, whenever it was set."""
    app, mounted = flask_app(), bottle_app()
    app.add_url_rule("/<path:anything>", view_func=lambda anything: anything, endpoint="anything")
    probe = WSGIProbe(app) if when == "after" else None
    app.wsgi_app = ProxyFix(DispatcherMiddleware(app.wsgi_app, {"/in": mounted}))  # type: ignore[method-assign]
    probe = probe or WSGIProbe(app)
    assert await ask(probe, "/in/items/3") == Asked(200, "/in/items/<item:int>")
    assert await ask(probe, "/in/nothing") == Asked(404, "__unmatched__")
    assert await ask(probe, "/in/handled") == Asked(500, "/in/handled", "KeyError")
    assert await ask(probe, "/items/3") == Asked(200, "/items/<int:item>")
    assert await ask(probe, "/in/items/3") == Asked(200, "/in/items/<item:int>")


async def test_an_error_handler_for_everything() -> None:
    """`errorhandler(Exception)` hides the exception from Flask's signal, not from us; a handled 404 is no error."""
    app = flask_app()
    app.register_error_handler(Exception, lambda _error: ("sorry", 500))
    probe = WSGIProbe(app)
    assert await ask(probe, "/broken/3") == Asked(500, "/broken/<int:item>", "LookupError")
    assert await ask(probe, "/unavailable") == Asked(500, "/unavailable")


async def test_an_error_of_an_error_handler() -> None:
    """An exception in an error handler is the one that is known."""
    app = flask_app()

    @app.errorhandler(LookupError)
    def fail(_error: Exception) -> str:
        raise BufferError

    assert (await ask(WSGIProbe(app), "/broken/3")).error == "BufferError"


async def test_hosts_and_subdomains() -> None:
    """With host matching the rule of the request's host is the route."""
    app = Flask(__name__, host_matching=True, static_host="shop.example")
    app.add_url_rule("/a/<x>", host="shop.example", view_func=lambda x: x, endpoint="a")
    app.add_url_rule("/<y>/<x>", host="<tenant>.example", view_func=lambda x, y, tenant: x + y + tenant, endpoint="b")
    probe = WSGIProbe(app)
    assert await ask(probe, "/a/1") == Asked(200, "/a/<x>")
    assert await ask(probe, "/a/1", headers={"Host": "acme.example"}) == Asked(200, "/<y>/<x>")

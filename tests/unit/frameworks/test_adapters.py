"""Adapters between ASGI and WSGI."""

from __future__ import annotations

from typing import Any

import a2wsgi
import pytest
from asgiref.wsgi import WsgiToAsgi

from lib.kairo_metrics.frameworks.watch import match
from tests.support.framework_apps import ASGI_APPS, flask_app
from tests.support.route_probe import Asked, WSGIProbe, ask


@pytest.mark.parametrize("name", sorted(set(ASGI_APPS) - {"django"}))
async def test_an_asgi_app_on_a_wsgi_server(name: str) -> None:
    """An ASGI app behind a2wsgi's adapter to WSGI tells its routes and exceptions."""
    sample = ASGI_APPS[name]
    probe = WSGIProbe(a2wsgi.ASGIMiddleware(sample.build()))
    assert await ask(probe, sample.path("/items/3")) == Asked(200, sample.item)
    assert await ask(probe, sample.path("/handled")) == Asked(500, sample.path("/handled"), "KeyError")


async def test_adapters_within_each_other() -> None:
    """The facts get through two adapters, to WSGI and back."""
    probe = WSGIProbe(a2wsgi.ASGIMiddleware(WsgiToAsgi(flask_app())))
    assert await ask(probe, "/items/3") == Asked(200, "/items/<int:item>")
    assert await ask(probe, "/nothing") == Asked(404, "__unmatched__")


@pytest.mark.parametrize("adapt", [WsgiToAsgi, a2wsgi.WSGIMiddleware])
def test_the_router_behind_an_adapter(adapt: Any) -> None:
    """The router behind an adapter can be asked with the scope, and with another character set in its path."""
    app = flask_app()
    app.add_url_rule("/caf\u00e9/<item>", view_func=lambda item: item, endpoint="cafe")
    scope = {"type": "http", "method": "GET", "path": "/svc/caf\u00e9/1", "root_path": "/svc", "headers": []}
    assert match(adapt(app), scope) == "/caf\u00e9/<item>"

"""The dispatchers of Werkzeug and Hypercorn."""

from __future__ import annotations

from typing import Any

from hypercorn.middleware import DispatcherMiddleware as ASGIDispatcher
from werkzeug.middleware.dispatcher import DispatcherMiddleware

from tests.support.framework_apps import bottle_app, flask_app, quart_app, starlette_app
from tests.support.route_probe import ASGIProbe, Asked, WSGIProbe, ask


async def test_a_dispatcher_in_a_dispatcher() -> None:
    """Apps of several frameworks below nested dispatchers have all prefixes, also for answers of their middleware."""

    def rejecting(environ: Any, start_response: Any) -> Any:
        start_response("401 Unauthorized", [])
        return [b"no"] if environ and flask else []

    flask = flask_app()
    within = DispatcherMiddleware(bottle_app(), {"/rejecting": rejecting})
    probe = WSGIProbe(DispatcherMiddleware(flask_app(), {"/within": within}))
    assert await ask(probe, "/items/3") == Asked(200, "/items/<int:item>")
    assert await ask(probe, "/within/items/3") == Asked(200, "/within/items/<item:int>")
    assert await ask(probe, "/within/rejecting/items/3") == Asked(401, "/within/rejecting/items/<int:item>")
    assert await ask(probe, "/within/rejecting/nothing") == Asked(401, "__unmatched__")
    assert await ask(probe, "/withing/items/3") == Asked(404, "__unmatched__")
    assert await ask(probe, "/within/items/3", root_path="/svc") == Asked(200, "/within/items/<item:int>")


async def test_hypercorn_s_dispatcher() -> None:
    """The same for ASGI."""
    mounts: dict[str, Any] = {"/quart": quart_app(), "/star": starlette_app()}
    probe = ASGIProbe(ASGIDispatcher(mounts))
    assert await ask(probe, "/quart/items/3") == Asked(200, "/quart/items/<int:item>")
    assert await ask(probe, "/star/items/3") == Asked(200, "/star/items/{item}")
    assert await ask(probe, "/star/nothing") == Asked(404, "__unmatched__")
    assert mounts["/quart"].url_map.host_matching is False, "a mounted app's attributes can be reached as before"

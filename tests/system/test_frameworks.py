"""The routes and exceptions of the frameworks in the docs."""

from __future__ import annotations

import asyncio
from typing import Any

import a2wsgi
import pytest
from asgiref.wsgi import WsgiToAsgi
from starlette.applications import Starlette
from starlette.routing import Mount
from werkzeug.middleware.dispatcher import DispatcherMiddleware

from lib.kairo_metrics import instrument
from tests.support.framework_apps import ASGI_APPS, NAMED, WSGI_APPS, fastapi_app, litestar_app, quart_app
from tests.support.recording import Recording
from tests.support.route_probe import ASGIProbe, Asked, WSGIProbe, ask
from tests.support.watched_app import call

# Flask, Django and the others are called as they are, and behind the adapters to ASGI.
WAYS: dict[str, Any] = {
    "wsgi": WSGIProbe,
    "asgiref": lambda app: ASGIProbe(WsgiToAsgi(app)),
    "a2wsgi": lambda app: ASGIProbe(a2wsgi.WSGIMiddleware(app)),
}
CASES = [pytest.param(ASGIProbe, *row, id=f"{name}-asgi") for name, row in ASGI_APPS.items()]
CASES += [
    pytest.param(probe, *row, id=f"{name}-{way}") for name, row in WSGI_APPS.items() for way, probe in WAYS.items()
]


def _path(path: str, template: str) -> str:
    return f"{path}/" if template.endswith("/") else path


@pytest.mark.parametrize(("probed", "build", "item", "inner", "broken"), CASES)
async def test_a_route_is_the_framework_s_template(probed: Any, build: Any, item: str, inner: str, broken: str) -> None:
    """Each framework's own template is the route, with its prefixes; a path that matches none is `__unmatched__`."""
    probe = probed(build())
    assert await ask(probe, _path("/items/3", item)) == Asked(200, item)
    assert await ask(probe, _path("/api/v1/items/3", item)) == Asked(200, inner)
    assert await ask(probe, "/nothing/3") == Asked(404, "__unmatched__")
    assert await ask(probe, _path("/named", item)) == Asked(200, NAMED)
    assert await ask(probe, _path("/items/4", item)) == Asked(200, item)


@pytest.mark.parametrize(("probed", "build", "item", "inner", "broken"), CASES)
async def test_an_answered_exception_is_known(probed: Any, build: Any, item: str, inner: str, broken: str) -> None:
    """The class of an exception is known, also if the app's own handler answers it; a 503 needs no class."""
    probe = probed(build())
    raised = await ask(probe, _path("/broken/3", item))
    assert (raised.route, raised.error) == (broken, "LookupError")
    handled = await ask(probe, _path("/handled", item))
    assert handled == Asked(500, _path("/handled", item), "KeyError")
    assert await ask(probe, _path("/unavailable", item)) == Asked(503, _path("/unavailable", item))


@pytest.mark.parametrize("name", sorted(ASGI_APPS))
async def test_what_middleware_answers_has_a_route(name: str) -> None:
    """A 401 that middleware around an app gives is counted under the route that would have been called."""
    build, item, inner, _ = ASGI_APPS[name]

    def rejecting(app: Any) -> Any:
        async def reject(_scope: Any, _receive: Any, send: Any) -> None:
            assert app
            await send({"type": "http.response.start", "status": 401, "headers": []})
            await send({"type": "http.response.body"})

        return reject

    probe = ASGIProbe(rejecting(build()))
    assert await ask(probe, _path("/items/3", item)) == Asked(401, item)
    assert await ask(probe, _path("/api/v1/items/3", item)) == Asked(401, inner)
    assert await ask(probe, "/nothing") == Asked(401, "__unmatched__")


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", sorted(WSGI_APPS))
async def test_what_wsgi_middleware_answers_has_a_route(name: str, way: str) -> None:
    """The same for WSGI apps, and behind adapters."""
    build, item, inner, _ = WSGI_APPS[name]

    class Rejecting:
        def __init__(self, app: Any) -> None:
            self.anything = app

        def __call__(self, _environ: Any, start_response: Any) -> Any:
            start_response("401 Unauthorized", [])
            return [b"no"]

    probe = WAYS[way](Rejecting(build()))
    assert await ask(probe, _path("/items/3", item)) == Asked(401, item)
    assert await ask(probe, _path("/api/v1/items/3", item)) == Asked(401, inner)
    assert await ask(probe, "/nothing") == Asked(401, "__unmatched__")


@pytest.mark.parametrize(("probed", "build", "item", "inner", "broken"), CASES)
async def test_middleware_may_copy_the_scope(probed: Any, build: Any, item: str, inner: str, broken: str) -> None:
    """An app behind middleware that copies the scope or the environ tells its routes and exceptions as well."""
    app = build()

    def copying(scope: Any, *arguments: Any) -> Any:
        return app(dict(scope), *arguments)

    probe = probed(copying)
    assert await ask(probe, _path("/api/v1/items/3", item)) == Asked(200, inner)
    assert (await ask(probe, _path("/handled", item))).error == "KeyError"


@pytest.mark.parametrize("name", sorted(set(ASGI_APPS) - {"falcon"}))
async def test_an_app_below_a_mount(name: str) -> None:
    """A mounted app's route has the mount's template, whether the outer app is instrumented or the inner one."""
    build, item, inner, _ = ASGI_APPS[name]
    outer = ASGIProbe(Starlette(routes=[Mount("/in/{tenant}", app=build())]))
    assert await ask(outer, _path("/in/acme/items/3", item)) == Asked(200, "/in/{tenant}" + item)
    assert await ask(outer, _path("/in/acme/nothing", item)) == Asked(404, "__unmatched__")
    one, two = ASGIProbe(build()), ASGIProbe(build())
    plain = Starlette(routes=[Mount("/one", app=one), Mount("/two", routes=[Mount("/{tenant}", app=two)])])
    assert await ask(one, _path("/one/api/v1/items/3", item), through=plain) == Asked(200, "/one" + inner)
    assert await ask(two, _path("/two/acme/items/3", item), through=plain) == Asked(200, "/two/{tenant}" + item)


@pytest.mark.parametrize("name", sorted(set(ASGI_APPS) - {"falcon"}))
async def test_the_prefix_of_a_proxy_is_no_part_of_a_route(name: str) -> None:
    """`root_path` of a server, with a proxy that keeps the prefix, does not appear in the route."""
    build, item, inner, _ = ASGI_APPS[name]
    probe = ASGIProbe(build())
    assert await ask(probe, _path("/svc/items/3", item), root_path="/svc") == Asked(200, item)
    assert await ask(probe, _path("/svc/api/v1/items/3", item), root_path="/svc") == Asked(200, inner)


@pytest.mark.parametrize("name", sorted(WSGI_APPS))
async def test_the_prefix_of_a_wsgi_server_is_no_part_of_a_route(name: str) -> None:
    """`SCRIPT_NAME` of a server does not appear in the route."""
    build, item, inner, _ = WSGI_APPS[name]
    probe = WSGIProbe(build())
    assert await ask(probe, _path("/svc/items/3", item), root_path="/svc") == Asked(200, item)
    assert await ask(probe, _path("/svc/api/v1/items/3", item), root_path="/svc") == Asked(200, inner)


@pytest.mark.parametrize("name", sorted(WSGI_APPS))
async def test_a_wsgi_app_below_a_mount(name: str) -> None:
    """Below Werkzeug's dispatcher, and below a Starlette mount through an adapter, the route has the mount's prefix."""
    build, item, _inner, _ = WSGI_APPS[name]
    dispatcher = WSGIProbe(DispatcherMiddleware(build(), {"/in": build()}))
    assert await ask(dispatcher, _path("/in/items/3", item)) == Asked(200, "/in" + item)
    assert await ask(dispatcher, _path("/items/3", item)) == Asked(200, item)
    assert await ask(dispatcher, "/in/nothing") == Asked(404, "__unmatched__")
    mounted = ASGIProbe(Starlette(routes=[Mount("/in", app=a2wsgi.WSGIMiddleware(build()))]))
    assert await ask(mounted, _path("/in/items/3", item)) == Asked(200, "/in" + item)


@pytest.mark.parametrize(("probed", "build", "item", "inner", "broken"), CASES)
async def test_a_request_without_facts_is_left_alone(
    probed: Any, build: Any, item: str, inner: str, broken: str
) -> None:
    """An app that was instrumented, and is called by something else as well, works as before."""
    app = build()
    probe = probed(app)
    await ask(probe, _path("/items/3", item))
    seen = Asked()

    class Bare:
        asked = [seen]
        is_wsgi = isinstance(probe, WSGIProbe)

        def __call__(self, scope: Any, second: Any, *more: Any) -> Any:
            def start(status: str, *arguments: Any) -> Any:
                seen.status = int(status[:3])
                return second(status, *arguments)

            return probe.app(scope, start if self.is_wsgi else second, *more)

    for path in ("/items/3", "/handled", "/named", "/nothing"):
        await ask(Bare(), _path(path, item))
    assert seen.status in {0, 404}
    assert len(probe.asked) == 1


@pytest.mark.parametrize(
    ("app", "path", "route"),
    [
        (fastapi_app(), "/api/v1/items/3", "/api/v1/items/{item}"),
        (fastapi_app(), "/sites/acme/pages/3", "/sites/{site}/pages/{page}"),
        (fastapi_app(), "/sites/acme/nothing", "__unmatched__"),
        (fastapi_app(), "/nothing", "__unmatched__"),
        (litestar_app(), "/items/3", "/items/{item}"),
        (litestar_app(), "/nothing", "__unmatched__"),
        (quart_app(), "/items/3", "/items/<int:item>"),
        (quart_app(), "/nothing", "__unmatched__"),
        (quart_app(), "//items//3", "__unmatched__"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
async def test_a_framework_gives_its_route_template(recording: Recording, app: Any, path: str, route: str) -> None:
    """FastAPI, Litestar and Quart apps are measured by route, including included and mounted routes."""
    response = await call(instrument(app), "GET", path)
    [sample] = await recording.samples("http_requests_total")
    assert f'route="{route}",status="{response.status_code}"' in sample


async def test_an_answered_exception_is_counted_by_its_class(recording: Recording) -> None:
    """A 500 that the framework has answered is an error under the exception's class, not only `http_500`."""
    await call(instrument(quart_app()), "GET", "/broken/3")
    errors = {key: count for key, count in (await recording.samples("api_errors_total")).items() if count}
    assert errors == {'api_errors_total{method="GET",route="/broken/<int:item>",type="LookupError"}': 1}


async def test_requests_at_the_same_time_keep_their_routes() -> None:
    """Requests that are served at the same time do not mix up their routes."""
    for build, item, inner, broken in ASGI_APPS.values():
        probe = ASGIProbe(build())
        paths = [_path(path, item) for path in ("/items/3", "/api/v1/items/3", "/broken/3")] * 5
        await asyncio.gather(*(ask(probe, path) for path in paths))
        assert sorted(asked.route for asked in probe.asked) == sorted([item, inner, broken] * 5)

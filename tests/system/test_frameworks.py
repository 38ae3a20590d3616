"""The routes and exceptions of the frameworks in the docs."""

from __future__ import annotations

import asyncio
import re
from contextlib import suppress
from importlib.metadata import version
from io import StringIO
from typing import Any

import a2wsgi
import httpx
import pytest
from asgiref.wsgi import WsgiToAsgi
from starlette.applications import Starlette
from starlette.routing import Mount
from werkzeug.middleware.dispatcher import DispatcherMiddleware

from lib.kairo_metrics import instrument
from tests.support.dev_server import REPOSITORY
from tests.support.framework_apps import ASGI_APPS, NAMED, WSGI_APPS, Sample, fastapi_app, litestar_app, quart_app
from tests.support.recording import Recording
from tests.support.route_probe import ASGIProbe, Asked, WSGIProbe, ask
from tests.support.watched_app import call

# Flask, Django and the others are called as they are, and behind the adapters to ASGI.
WAYS: dict[str, Any] = {
    "wsgi": WSGIProbe,
    "asgiref": lambda app: ASGIProbe(WsgiToAsgi(app)),
    "a2wsgi": lambda app: ASGIProbe(a2wsgi.WSGIMiddleware(app)),
}
CASES = [pytest.param(ASGIProbe, sample, id=f"{name}-asgi") for name, sample in ASGI_APPS.items()]
CASES += [
    pytest.param(probe, sample, id=f"{name}-{way}") for name, sample in WSGI_APPS.items() for way, probe in WAYS.items()
]


@pytest.mark.parametrize(("probed", "sample"), CASES)
async def test_a_route_is_the_framework_s_template(probed: Any, sample: Sample) -> None:
    """Each framework's own template is the route, with its prefixes; a path that matches none is `__unmatched__`."""
    probe = probed(sample.build())
    assert await ask(probe, sample.path("/items/3")) == Asked(200, sample.item)
    assert await ask(probe, sample.path("/api/v1/items/3")) == Asked(200, sample.inner)
    assert await ask(probe, "/nothing/3") == Asked(404, "__unmatched__")
    assert await ask(probe, sample.path("/named")) == Asked(200, NAMED)
    assert await ask(probe, sample.path("/items/4")) == Asked(200, sample.item)


@pytest.mark.parametrize(("probed", "sample"), CASES)
async def test_an_answered_exception_is_known(probed: Any, sample: Sample) -> None:
    """The class of an exception is known, also if the app's own handler answers it; a 503 needs no class."""
    probe = probed(sample.build())
    raised = await ask(probe, sample.path("/broken/3"))
    assert (raised.route, raised.error) == (sample.broken, "LookupError")
    handled = await ask(probe, sample.path("/handled"))
    assert handled == Asked(500, sample.path("/handled"), "KeyError")
    assert await ask(probe, sample.path("/unavailable")) == Asked(503, sample.path("/unavailable"))


@pytest.mark.parametrize("name", sorted(ASGI_APPS))
async def test_what_middleware_answers_has_a_route(name: str) -> None:
    """A 401 that middleware around an app gives is counted under the route that would have been called."""
    sample = ASGI_APPS[name]

    def rejecting(app: Any) -> Any:
        async def reject(_scope: Any, _receive: Any, send: Any) -> None:
            assert app
            await send({"type": "http.response.start", "status": 401, "headers": []})
            await send({"type": "http.response.body"})

        return reject

    probe = ASGIProbe(rejecting(sample.build()))
    assert await ask(probe, sample.path("/items/3")) == Asked(401, sample.item)
    assert await ask(probe, sample.path("/api/v1/items/3")) == Asked(401, sample.inner)
    assert await ask(probe, "/nothing") == Asked(401, "__unmatched__")


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", sorted(WSGI_APPS))
async def test_what_wsgi_middleware_answers_has_a_route(name: str, way: str) -> None:
    """The same for WSGI apps, and behind adapters."""
    sample = WSGI_APPS[name]

    class Rejecting:
        def __init__(self, app: Any) -> None:
            self.anything = app

        def __call__(self, _environ: Any, start_response: Any) -> Any:
            start_response("401 Unauthorized", [])
            return [b"no"]

    probe = WAYS[way](Rejecting(sample.build()))
    assert await ask(probe, sample.path("/items/3")) == Asked(401, sample.item)
    assert await ask(probe, sample.path("/api/v1/items/3")) == Asked(401, sample.inner)
    assert await ask(probe, "/nothing") == Asked(401, "__unmatched__")


@pytest.mark.parametrize(("probed", "sample"), CASES)
async def test_middleware_may_copy_the_scope(probed: Any, sample: Sample) -> None:
    """An app behind middleware that copies the scope or the environ tells its routes and exceptions as well."""
    app = sample.build()

    def copying(scope: Any, *arguments: Any) -> Any:
        return app(dict(scope), *arguments)

    probe = probed(copying)
    assert await ask(probe, sample.path("/api/v1/items/3")) == Asked(200, sample.inner)
    assert (await ask(probe, sample.path("/handled"))).error == "KeyError"


@pytest.mark.parametrize("name", sorted(set(ASGI_APPS) - {"falcon"}))
async def test_an_app_below_a_mount(name: str) -> None:
    """A mounted app's route has the mount's template, whether the outer app is instrumented or the inner one."""
    sample = ASGI_APPS[name]
    outer = ASGIProbe(Starlette(routes=[Mount("/in/{tenant}", app=sample.build())]))
    assert await ask(outer, sample.path("/in/acme/items/3")) == Asked(200, "/in/{tenant}" + sample.item)
    assert await ask(outer, sample.path("/in/acme/nothing")) == Asked(404, "__unmatched__")
    one, two = ASGIProbe(sample.build()), ASGIProbe(sample.build())
    plain = Starlette(routes=[Mount("/one", app=one), Mount("/two", routes=[Mount("/{tenant}", app=two)])])
    assert await ask(one, sample.path("/one/api/v1/items/3"), through=plain) == Asked(200, "/one" + sample.inner)
    assert await ask(two, sample.path("/two/acme/items/3"), through=plain) == Asked(200, "/two/{tenant}" + sample.item)


@pytest.mark.parametrize("name", sorted(set(ASGI_APPS) - {"falcon"}))
async def test_the_prefix_of_a_proxy_is_no_part_of_a_route(name: str) -> None:
    """`root_path` of a server, with a proxy that keeps the prefix, does not appear in the route."""
    sample = ASGI_APPS[name]
    probe = ASGIProbe(sample.build())
    assert await ask(probe, sample.path("/svc/items/3"), root_path="/svc") == Asked(200, sample.item)
    assert await ask(probe, sample.path("/svc/api/v1/items/3"), root_path="/svc") == Asked(200, sample.inner)


@pytest.mark.parametrize("name", sorted(WSGI_APPS))
async def test_the_prefix_of_a_wsgi_server_is_no_part_of_a_route(name: str) -> None:
    """`SCRIPT_NAME` of a server does not appear in the route."""
    sample = WSGI_APPS[name]
    probe = WSGIProbe(sample.build())
    assert await ask(probe, sample.path("/svc/items/3"), root_path="/svc") == Asked(200, sample.item)
    assert await ask(probe, sample.path("/svc/api/v1/items/3"), root_path="/svc") == Asked(200, sample.inner)


@pytest.mark.parametrize("name", sorted(WSGI_APPS))
async def test_a_wsgi_app_below_a_mount(name: str) -> None:
    """Below Werkzeug's dispatcher, and below a Starlette mount through an adapter, the route has the mount's prefix."""
    sample = WSGI_APPS[name]
    dispatcher = WSGIProbe(DispatcherMiddleware(sample.build(), {"/in": sample.build()}))
    assert await ask(dispatcher, sample.path("/in/items/3")) == Asked(200, "/in" + sample.item)
    assert await ask(dispatcher, sample.path("/items/3")) == Asked(200, sample.item)
    assert await ask(dispatcher, "/in/nothing") == Asked(404, "__unmatched__")
    adapter: Any = a2wsgi.WSGIMiddleware(sample.build())
    mounted = ASGIProbe(Starlette(routes=[Mount("/in", app=adapter)]))
    assert await ask(mounted, sample.path("/in/items/3")) == Asked(200, "/in" + sample.item)


@pytest.mark.parametrize(("probed", "sample"), CASES)
async def test_a_request_without_facts_is_left_alone(probed: Any, sample: Sample) -> None:
    """An app that was instrumented, and is called by something else as well, answers as before."""
    app = sample.build()
    probe = probed(app)
    assert await ask(probe, sample.path("/items/3")) == Asked(200, sample.item)
    as_asgi = WsgiToAsgi(app) if isinstance(probe, WSGIProbe) else probe.app
    paths = [sample.path(path) for path in ("/items/3", "/handled", "/named", "/unavailable")]
    assert [(await call(as_asgi, "GET", path)).status_code for path in paths] == [200, 500, 200, 503]


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


def _call_wsgi(app: Any, path: str) -> None:
    transport = httpx.WSGITransport(app, raise_app_exceptions=False, wsgi_errors=StringIO())
    with suppress(LookupError), httpx.Client(transport=transport, base_url="http://shop.example") as client:
        client.get(path)  # Pyramid lets its exceptions pass


INSTRUMENTED = [pytest.param(sample, id=f"{name}-asgi") for name, sample in ASGI_APPS.items()]
INSTRUMENTED += [pytest.param(sample, id=f"{name}-wsgi") for name, sample in WSGI_APPS.items()]


@pytest.mark.parametrize("sample", INSTRUMENTED)
async def test_the_page_shows_routes_and_exceptions(recording: Recording, sample: Sample) -> None:
    """One line measures an app of each framework: its routes, its errors by class, and a 503 by its status."""
    app = instrument(sample.build())
    handled, later = sample.path("/handled"), sample.path("/unavailable")
    for path in ("/items/3", "/api/v1/items/3", "/broken/3", "/handled", "/unavailable", "/named", "/nothing"):
        if sample in ASGI_APPS.values():
            await call(app, "GET", sample.path(path))
        else:
            await asyncio.to_thread(_call_wsgi, app, sample.path(path))
    counted = {(sample.item, 200), (sample.inner, 200), (NAMED, 200), (sample.broken, 500), (handled, 500)}
    counted |= {(later, 503), ("__unmatched__", 404)}
    assert await recording.samples("http_requests_total") == {
        f'http_requests_total{{method="GET",route="{route}",status="{status}"}}': 1 for route, status in counted
    }
    errors = {(sample.broken, "LookupError"), (handled, "KeyError"), (later, "http_503")}
    assert {key: count for key, count in (await recording.samples("api_errors_total")).items() if count} == {
        f'api_errors_total{{method="GET",route="{route}",type="{kind}"}}': 1 for route, kind in errors
    }


async def test_requests_at_the_same_time_keep_their_routes() -> None:
    """Requests that are served at the same time do not mix up their routes."""
    for sample in ASGI_APPS.values():
        probe = ASGIProbe(sample.build())
        paths = [sample.path(path) for path in ("/items/3", "/api/v1/items/3", "/broken/3")] * 5
        await asyncio.gather(*(ask(probe, path) for path in paths))
        assert sorted(asked.route for asked in probe.asked) == sorted([sample.item, sample.inner, sample.broken] * 5)


def test_the_docs_name_the_tested_versions() -> None:
    """The table of frameworks names the versions that these tests run."""
    page = (REPOSITORY / "docs" / "frameworks.md").read_text()
    rows = dict(re.findall(r"^\| (\w+)[^|]*\| (\d[\d., ]*) \|", page, re.MULTILINE))
    assert {name.lower() for name in rows} == {*ASGI_APPS, *WSGI_APPS, "a2wsgi", "asgiref"}
    # An older Python has an older Django.
    tested = {name: versions.split(", ") for name, versions in rows.items()}
    assert [name for name in rows if ".".join(version(name).split(".")[:2]) not in tested[name]] == []

"""A client that invents paths, methods, headers, queries and statuses creates no series."""

from __future__ import annotations

from contextlib import suppress
from io import BytesIO, StringIO
from random import Random
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from lib.kairo_metrics import instrument
from lib.kairo_metrics.instruments.catalogue import catalogue
from lib.kairo_metrics.instruments.request_instruments import RequestInstruments
from lib.kairo_metrics.model.labels import labels_of
from lib.kairo_metrics.testing.memory_store import MemoryStore
from tests.support.framework_apps import ASGI_APPS, NAMED, WSGI_APPS
from tests.support.hostile import Hostile
from tests.support.recording import Recording
from tests.support.route_probe import WSGIProbe
from tests.support.watched_app import cms

FAMILIES = ("http_requests", "http_request_duration_seconds", "api_errors")
METHODS = {"GET", "POST", "__unknown__"}
STATUSES = {*map(str, range(100, 600)), "__unknown__"}
SEED = 20_260_707


def starlette_app() -> Any:
    """Build an app with a route of every kind, and one route whose client chooses the status."""

    async def status(request: Request) -> Response:
        return PlainTextResponse("as you like", int(request.path_params["code"]))

    async def talk(socket: WebSocket) -> None:
        await socket.accept()
        await socket.receive_text()

    app = cms()
    app.router.routes += [Route("/status/{code:path}", status), WebSocketRoute("/talk/{room}", talk)]
    return app


PREFIXES = ["/items", "/broken/7", "/tenants/a/items", "/tenants/a/deep/", "/static", "/talk", "/file", "/status"]
# Raised by the app's handlers, and by Starlette for a redirect to a path that is not UTF-8.
RAISED = {"LookupError", "UnicodeEncodeError", "ValueError"}
STARLETTE_ROUTES = {
    "/items/{id}",
    "/broken/{id}",
    "/unavailable",
    "/tenants/{tenant}/items/{id}",
    "/tenants/{tenant}/deep/",
    "/static/{path}",
    "/status/{code}",
    "/file/{name}",
    "__unmatched__",
}


def labels_stored(store: MemoryStore, family: str) -> list[dict[str, str]]:
    """Return the label sets of a family in the store."""
    families = [known for known in store._shards[0].families.values() if known.schema.type != "exemplars"]
    [found] = [known for known in families if known.schema.name == family]
    return [labels_of(text) for text in found.lines]


async def test_random_requests_make_no_series(recording: Recording) -> None:
    """After 1,500 different requests, every label value is one that the app defines."""
    client = Hostile(SEED, PREFIXES)
    app = instrument(starlette_app())
    for number in range(1_500):
        chosen = {"path": f"/status/{client.chance.choice([number, 10**number % 10**40, -number])}"}
        await client.call(app, **(chosen if number % 3 == 0 else {}))
    await recording.pipeline.flusher.aflush()
    for family in FAMILIES:
        for labels in labels_stored(recording.store, family):
            assert labels["method"] in METHODS
            assert labels["route"] in STARLETTE_ROUTES
            assert labels.get("status", "200") in STATUSES
            assert labels.get("type", "http_500").removeprefix("http_") in STATUSES | RAISED
    answered = labels_stored(recording.store, "http_requests")
    assert {labels["route"] for labels in answered} >= STARLETTE_ROUTES - {"/file/{name}", "/unavailable"}
    assert {labels["status"] for labels in answered} >= {"__unknown__", "200", "404", "500"}
    assert {labels["method"] for labels in answered} == METHODS


async def test_random_traces_make_no_exemplars_but_the_newest(recording: Recording) -> None:
    """Only a well-formed `traceparent` becomes an exemplar, and it replaces the one before."""
    client, app = Hostile(SEED + 1, ["/items"]), instrument(starlette_app())
    for _ in range(400):
        await client.call(app, type="http", method="GET", path=f"/items/{client.chance.getrandbits(64)}")
    await recording.pipeline.flusher.aflush()
    kept = [family for family in recording.store._shards[0].families.values() if family.schema.type == "exemplars"]
    # One for the counter, and one for each of the few buckets with these requests.
    texts = [text for family in kept for text in family.lines]
    assert 2 <= len(texts) <= 14
    assert {labels_of(text.partition(" ")[2])["route"] for text in texts} == {"/items/{id}"}


# The routes that an app has beside those of its sample.
MORE_ROUTES = {
    "fastapi": {"/sites/{site}/pages/{page}", "/docs", "/openapi.json", "/redoc"},
    "litestar": {"/schema", "/"},
    "quart": {"/static/<path:filename>"},
    "django": {"/", "/async/<int:item>/", "/files/<name>.txt"},
}


@pytest.mark.parametrize("name", sorted(ASGI_APPS))
async def test_no_framework_lets_a_client_choose_a_route(recording: Recording, name: str) -> None:
    """For the same client, an app of each framework has only its own route templates."""
    sample = ASGI_APPS[name]
    routes = {sample.item, sample.inner, sample.broken, NAMED, *MORE_ROUTES.get(name, ())}
    routes |= {sample.path(path) for path in ("/handled", "/unavailable", "/named")}
    # A route's zero is sent once per process, and another test may have used the route.
    for instrument_of_requests in catalogue(RequestInstruments).members:
        instrument_of_requests.clear()
    client, app = (
        Hostile(SEED + 2, ["/items", "/api/v1/items", "/sites/a/pages", "/static", "/broken"]),
        instrument(sample.build()),
    )
    for number in range(100):
        await client.call(app, **({"path": f"/items/{number}", "method": "GET"} if number % 4 == 0 else {}))
    await recording.pipeline.flusher.aflush()
    for family in FAMILIES:
        found = labels_stored(recording.store, family)
        assert {labels["route"] for labels in found} <= routes | {"__unmatched__"}
        assert {labels["method"] for labels in found} <= METHODS
        assert {labels["status"] for labels in found if "status" in labels} <= STATUSES


@pytest.mark.parametrize("rejecting", [False, True])
@pytest.mark.parametrize("name", sorted(WSGI_APPS))
def test_no_wsgi_framework_lets_a_client_choose_a_route(name: str, rejecting: bool) -> None:
    """The same for WSGI, whether the app answers random paths and methods or middleware does."""
    sample, chance = WSGI_APPS[name], Random(SEED)
    app = sample.build()
    routes = {sample.item, sample.inner, sample.broken, NAMED, "__unmatched__", *MORE_ROUTES.get(name, ())}
    routes |= {sample.path(path) for path in ("/handled", "/unavailable", "/named", "/posted")}
    routes |= {"/static/<path:filename>", "/static/*subpath", "/missing/<int:item>/", "/api/old/<year>/"}

    def reject(_environ: Any, start_response: Any, app: Any = app) -> list[bytes]:
        start_response("401 Unauthorized", [])
        return [b"no" if app else b""]

    reject.app = app  # type: ignore[attr-defined]
    probe = WSGIProbe(reject if rejecting else app)
    for number in range(300):
        tail = bytes(chance.choices(range(1, 256), k=chance.randrange(12))).decode("latin-1")
        path = chance.choice(["", "/", "/items/", "/api/v1/items/", "/static/", "//"]) + (tail if number % 2 else "7")
        environ = {
            "REQUEST_METHOD": chance.choice(["GET", "POST", "OPTIONS", "BREW", tail.upper()]),
            "PATH_INFO": path,
            "SCRIPT_NAME": chance.choice(["", "/svc", tail]),
            "QUERY_STRING": tail,
            "SERVER_NAME": "shop.example",
            "SERVER_PORT": "80",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "HTTP_HOST": chance.choice(["shop.example", "other.example:81"]),
            "wsgi.url_scheme": "http",
            "wsgi.input": BytesIO(),
            "wsgi.errors": StringIO(),
        }
        with suppress(Exception):  # Pyramid lets its exceptions pass
            list(probe(environ, lambda *_arguments: None))
    found = {asked.route for asked in probe.asked}
    assert found <= routes
    assert len(found) > 1

"""The page served by the app itself."""

from __future__ import annotations

from collections.abc import AsyncIterator
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest
from fastapi import FastAPI
from flask import Flask
from starlette.applications import Starlette
from starlette.routing import Mount
from werkzeug.middleware.dispatcher import DispatcherMiddleware

from lib.kairo_metrics import Settings, instrument, metrics_app, metrics_wsgi_app
from lib.kairo_metrics.delivery import process_pipeline
from lib.kairo_metrics.instruments.recorder import RECORDER
from lib.kairo_metrics.testing.memory_store import MemoryStore
from tests.support.instance import settings
from tests.support.watched_app import call
from tests.support.wsgi_client import call_wsgi

TOKEN = "t0ken"
AUTHORIZED = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture
async def recording() -> AsyncIterator[None]:
    """Open the process's pipeline with a token."""
    RECORDER.forget()
    process_pipeline.close_pipeline()
    chosen = settings(auth_tokens=(TOKEN,))
    process_pipeline.open_pipeline(chosen, MemoryStore(chosen))
    RECORDER.forget()
    yield
    process_pipeline.close_pipeline()


def fastapi_app() -> FastAPI:
    app = FastAPI()
    app.get("/items/{item}")(lambda item: item)
    return app


def flask_app() -> Flask:
    app = Flask("shop")
    app.get("/items/<item>")(lambda item: item)
    return app


@pytest.mark.parametrize("path", ["/api/metrics", "/api/metrics/"])
async def test_an_asgi_app_serves_its_page(recording: None, path: str) -> None:
    """The page has the app's own requests, but not the scrapes."""
    app = instrument(fastapi_app(), metrics_path="/api/metrics")
    assert instrument(app, metrics_path="/api/metrics/") is app
    await call(app, "GET", "/items/1")
    assert (await call(app, "GET", path)).status_code == 401
    page = await call(app, "GET", path, headers=AUTHORIZED)
    assert [line for line in page.text.splitlines() if line.startswith("http_requests_total")] == [
        'http_requests_total{method="GET",route="/items/{item}",status="200"} 1'
    ]
    assert recording is None


def test_a_wsgi_app_serves_its_page(recording: None) -> None:
    """The page of a Flask app has the app's own requests, but not the scrapes."""
    assert recording is None
    app = instrument(flask_app(), metrics_path="/api/metrics")
    assert app.test_client().get("/items/1").text == "1"
    assert call_wsgi(app, "GET", "/api/metrics").status == "401 Unauthorized"
    page = call_wsgi(app, "GET", "/api/metrics", HTTP_AUTHORIZATION=f"Bearer {TOKEN}", QUERY_STRING="").body.decode()
    [line] = [line for line in page.splitlines() if line.startswith("http_requests_total")]
    assert line.endswith(" 1")


async def test_the_wsgi_page_gives_the_answers_of_the_asgi_page(recording: None) -> None:
    """Status, headers and body of the page are the same from both forms: for a login, a method, a format and a name."""
    assert recording is None
    for method, headers, query in [
        ("GET", {}, ""),
        ("GET", AUTHORIZED, ""),
        ("GET", {**AUTHORIZED, "Accept": "application/openmetrics-text"}, "name[]=kairo_up&name[]=kairo_series"),
        ("GET", {**AUTHORIZED, "Accept-Encoding": "gzip"}, "name[]=nothing"),
        ("HEAD", AUTHORIZED, ""),
        ("POST", AUTHORIZED, ""),
        ("GET", {"Authorization": "Bearer wrong"}, ""),
    ]:
        environ = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in headers.items()}
        wsgi = call_wsgi(metrics_wsgi_app(), method, "/", QUERY_STRING=query, **environ)
        asgi = await call(metrics_app(), method, f"/?{query}", headers={"Accept-Encoding": "identity", **headers})
        assert int(wsgi.status.split()[0]) == asgi.status_code
        for header in ("content-type", "vary", "www-authenticate", "allow", "content-encoding"):
            assert {n.lower(): v for n, v in wsgi.headers.items()}.get(header) == asgi.headers.get(header)
        if "Accept-Encoding" not in headers:
            assert _without_times(wsgi.body) == _without_times(asgi.content)


def _without_times(body: bytes) -> list[bytes]:
    return [line for line in body.splitlines() if b"duration" not in line and b"_seconds" not in line]


async def test_the_page_can_be_mounted(recording: None) -> None:
    """`metrics_app` works under a mount of Starlette, and `metrics_wsgi_app` under one of Werkzeug."""
    assert recording is None
    asgi = Starlette(routes=[Mount("/metrics", app=metrics_app())])
    assert (await call(asgi, "GET", "/metrics/", headers=AUTHORIZED)).status_code == 200
    wsgi = DispatcherMiddleware(flask_app(), {"/metrics": metrics_wsgi_app()})
    assert call_wsgi(wsgi, "GET", "/metrics", HTTP_AUTHORIZATION=f"Bearer {TOKEN}").status == "200 OK"


async def test_the_page_is_there_under_the_prefix_of_a_proxy(recording: None) -> None:
    """The page is found when the server says that the app has a prefix, whether the path still has it or not."""
    assert recording is None
    app = instrument(fastapi_app(), metrics_path="/metrics")
    assert (await call(app, "GET", "/svc/metrics", root_path="/svc")).status_code == 401
    assert (await call(app, "GET", "/metrics", root_path="/svc")).status_code == 401
    assert (await call(app, "GET", "/svcmetrics", root_path="/svc")).status_code == 404
    own = instrument(FastAPI(), metrics_path="/metrics")
    own.root_path = "/shop"  # behind a proxy that keeps the prefix; as an argument, new versions of FastAPI warn of it
    assert (await call(own, "GET", "/shop/metrics")).status_code == 401
    assert (await call(own, "GET", "/metrics")).status_code == 401


async def test_with_metrics_off_the_page_says_so() -> None:
    """With metrics off the app is there, and the page says what to set."""
    off = Settings(enabled=False)
    app = instrument(fastapi_app(), settings=off, metrics_path="/api/metrics")
    assert (await call(app, "GET", "/items/1")).status_code == 200
    answer = await call(app, "GET", "/api/metrics")
    assert answer.status_code == 404
    assert "ENABLE_METRICS" in answer.text
    assert (
        "ENABLE_METRICS"
        in call_wsgi(
            instrument(flask_app(), settings=off, metrics_path="/api/metrics"), "GET", "/api/metrics"
        ).body.decode()
    )


@pytest.mark.parametrize("enabled", [True, False])
@pytest.mark.parametrize(
    ("app", "path", "error"),
    [
        (fastapi_app, "metrics", ValueError),
        (fastapi_app, "/", ValueError),
        (flask_app, "", ValueError),
        (lambda: BaseHTTPRequestHandler, "/metrics", TypeError),
    ],
)
def test_a_path_that_can_not_be_is_refused(app: Any, path: str, error: type[Exception], enabled: bool) -> None:
    """A path without a slash, one that is the whole app, and a handler class are refused, with metrics off too."""
    with pytest.raises(error, match="metrics_path"):
        instrument(app(), settings=Settings(enabled=enabled), metrics_path=path)


def test_an_app_has_one_page(recording: None) -> None:
    """A second path for the page is refused."""
    assert recording is None
    app = instrument(fastapi_app(), metrics_path="/a")
    with pytest.raises(ValueError, match="at /a already"):
        instrument(app, metrics_path="/b")

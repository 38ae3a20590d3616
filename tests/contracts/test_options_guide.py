"""What `docs/options.md` says to write, written and run."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse
from django.test import override_settings
from django.urls import path
from fastapi import FastAPI, Request
from fastapi.testclient import TestClient
from flask import Flask
from flask import request as flask_request
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from lib.kairo_metrics import instrument
from lib.kairo_metrics.testing import counted, isolated_metrics, page
from tests.support import django_project
from tests.support.entry_points import APPS
from tests.support.wsgi_client import call_wsgi

GUIDE = Path("docs/options.md").read_text("utf-8")
ROWS = re.findall(
    r"^\| ([^|]+) \| `([^`]+)` \| (.+) \|$", GUIDE.partition("### What only the app knows")[2], re.MULTILINE
)


def _rows() -> dict[str, tuple[str, str]]:
    """Return of each framework what its view does, and the function that reads it."""
    found: dict[str, tuple[str, str]] = {}
    for frameworks, statement, function in ROWS:
        text = function.strip("`") if function.startswith("`") else found["Flask"][1]
        found |= dict.fromkeys(frameworks.split(", "), (statement, text))
    return found


def _fastapi(keep: Callable[..., None], labels: Any) -> None:
    app = FastAPI()

    @app.get("/")
    def view(request: Request) -> str:
        keep(request=request)
        return "fine"

    TestClient(instrument(app, labels=labels)).get("/")


def _starlette(keep: Callable[..., None], labels: Any) -> None:
    def view(request: Any) -> PlainTextResponse:
        keep(request=request)
        return PlainTextResponse("fine")

    TestClient(instrument(Starlette(routes=[Route("/", view)]), labels=labels)).get("/")


def _flask(keep: Callable[..., None], labels: Any) -> None:
    app = Flask(__name__)

    @app.get("/")
    def view() -> str:
        keep(request=flask_request)
        return "fine"

    instrument(app, labels=labels).test_client().get("/")


def _django(keep: Callable[..., None], labels: Any, *, of_asgi: bool) -> None:
    def view(request: HttpRequest) -> HttpResponse:
        keep(request=request)
        return HttpResponse("fine")

    assert django_project.urlpatterns
    with override_settings(ROOT_URLCONF=(path("", view),)):
        if of_asgi:
            TestClient(instrument(get_asgi_application(), labels=labels)).get("/")
        else:
            call_wsgi(instrument(get_wsgi_application(), labels=labels), "GET", "/")


def _handler(keep: Callable[..., None], labels: Any) -> None:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            keep(self=self)
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: Any) -> None: ...

    asyncio.run(APPS["handler class"].call(instrument(Handler, labels=labels)))


DRIVERS: dict[str, Callable[..., None]] = {
    "FastAPI": _fastapi,
    "Starlette": _starlette,
    "Flask": _flask,
    "Django with WSGI": lambda *arguments: _django(*arguments, of_asgi=False),
    "Django with ASGI": lambda *arguments: _django(*arguments, of_asgi=True),
    "a handler class": _handler,
}


def test_every_framework_of_the_table_is_run() -> None:
    """A row that is added is tested."""
    assert set(_rows()) == set(DRIVERS)


@pytest.mark.parametrize("framework", DRIVERS)
def test_a_label_shows_what_only_the_app_knows(framework: str) -> None:
    """What the table says to write in a view reaches the label."""
    statement, function = _rows()[framework]

    def keep(**names: Any) -> None:
        exec(statement, names)

    with isolated_metrics():
        DRIVERS[framework](keep, {"tenant": eval(function)})
        assert counted("http_requests_total", tenant="acme") == 1


def _block(with_text: str) -> dict[str, Any]:
    (block,) = [block for block in re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL) if with_text in block]
    names: dict[str, Any] = {"__name__": "shop"}
    exec(block, names)
    return names


def test_the_endpoint_of_a_flask_view() -> None:
    """The example keeps it for the label, also where no rule matches."""
    with isolated_metrics():
        app = _block("keep_endpoint")["app"]
        app.add_url_rule("/", "main", lambda: "fine")
        client = app.test_client()
        for where in ("/", "/nothing"):
            client.get(where)
        assert counted("http_requests_total", endpoint="main") == 1
        assert counted("http_requests_total", endpoint="", status=404) == 1


def test_the_buckets_of_functions() -> None:
    """A script chooses them with `install`."""
    with isolated_metrics():
        _block("install(buckets=")["nightly"]()
        assert counted("function_duration_seconds_bucket", function="nightly_import", le=60) == 1
        assert set(re.findall(r'function_duration_seconds_bucket{[^}]*le="([^"]+)"', page())) == {
            "1.0",
            "60.0",
            "300.0",
            "900.0",
            "+Inf",
        }


def test_a_function_with_an_instrument_of_its_own() -> None:
    """Its label and its buckets are those of the instrument."""
    with isolated_metrics():
        _block("import_duration_seconds")["nightly"]("north")
        assert counted("import_duration_seconds_bucket", shop="north", le=60) == 1
        assert counted("function_invocations_total", function="nightly") == 1

"""Every kind of app in a user's tests: measured in a block, wherever and with whatever metrics it was made."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import httpx
import pytest
from fastapi import FastAPI
from flask import Flask
from prometheus_client import CollectorRegistry, Counter
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient
from werkzeug.test import Client

from lib.kairo_metrics import Settings, instrument, lambda_handler, metrics_app, metrics_wsgi_app
from lib.kairo_metrics.delivery import process_pipeline
from lib.kairo_metrics.endpoints.wsgi_form import close_page_loop
from lib.kairo_metrics.testing import counted, isolated_metrics, page
from tests.support.recording import Recording

pytestmark = pytest.mark.slow

EVENT = {
    "version": "2.0",
    "rawPath": "/items/1",
    "rawQueryString": "",
    "headers": {"host": "shop.example.org"},
    "requestContext": {"http": {"method": "GET", "path": "/items/1", "sourceIp": "192.0.2.1"}, "stage": "$default"},
    "isBase64Encoded": False,
}
BEARER = {"Authorization": "Bearer test"}

# A user's modules: these are made while metrics are off.
fast = FastAPI()
flask = Flask(__name__)
PAGE = metrics_app()
WSGI_PAGE = metrics_wsgi_app()


SKIPPING = TestClient(instrument(Starlette(), skip_paths=(path for path in ["/skipped"])))


@fast.get("/items/{item}")
async def fast_item(item: int) -> int:
    return item


@flask.get("/items/<item>")
def flask_item(item: str) -> str:
    return item


async def plain(_scope: Any, _receive: Any, send: Callable[[Any], Any]) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b""})


instrument(fast, metrics_path="/metrics")
instrument(flask, metrics_path="/metrics")


@instrument
class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None: ...


class Below(Handler):
    def do_POST(self) -> None:
        self.send_response(201)
        self.send_header("Content-Length", "0")
        self.end_headers()


@pytest.fixture(autouse=True)
def metrics() -> Iterator[Any]:
    """Give a block, and see that the apps are after it what they were before."""
    before = [dict(vars(Handler)), dict(vars(Below)), type(fast), type(flask)]
    with isolated_metrics() as metrics:
        yield metrics
    assert [dict(vars(Handler)), dict(vars(Below)), type(fast), type(flask)] == before


def send(handler_class: type[BaseHTTPRequestHandler], method: str = "GET") -> None:
    with HTTPServer(("127.0.0.1", 0), handler_class) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        with urlopen(Request(f"http://127.0.0.1:{server.server_port}/", method=method)) as answer:
            answer.read()
        thread.join()


AGAIN = pytest.mark.parametrize("time", ["first", "second"])


@AGAIN
def test_an_app_of_a_module(time: str) -> None:
    """An app that its module has instrumented is measured in each test, and its page shows what that test counts."""
    client = TestClient(fast)
    assert client.get("/items/1").json() == 1, time
    assert counted("http_requests_total", route="/items/{item}", status=200) == 1
    shown = client.get("/metrics", headers=BEARER).text
    assert 'http_requests_total{method="GET",route="/items/{item}",status="200"} 1\n' in shown
    assert TestClient(PAGE).get("/", headers=BEARER).text.count("http_requests_total{") == 1


@AGAIN
def test_a_wsgi_app_of_a_module(time: str) -> None:
    """The same holds for Flask's test client, and for the page that Flask serves."""
    client = flask.test_client()
    assert client.get("/items/1").text == "1", time
    assert counted("http_requests_total", route="/items/<item>", status=200) == 1
    for shown in (client.get("/metrics", headers=BEARER), Client(WSGI_PAGE).get(headers=BEARER)):
        assert 'http_requests_total{method="GET",route="/items/<item>",status="200"} 1\n' in shown.text
        shown.close()


@AGAIN
def test_a_handler_class_of_a_module(time: str) -> None:
    """A handler class and the classes below it are measured in each test."""
    send(Handler)
    send(Below)
    send(Below, "POST")
    assert counted("http_requests_total", status=200) == 2, time
    assert counted("http_requests_total", status=201) == 1


LOADED = """
from http.server import BaseHTTPRequestHandler
from lib.kairo_metrics import instrument

@instrument
class handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_): ...
"""


def test_a_function_s_file_that_is_loaded_by_its_path(tmp_path: Path) -> None:
    """Files such as api/[id].py have no names of modules, so a test loads them by their path."""
    (tmp_path / "[id].py").write_text(LOADED)
    spec = spec_from_file_location("loaded", tmp_path / "[id].py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    for _ in range(2):
        with isolated_metrics():
            send(module.handler)
            assert counted("http_requests_total", status=204) == 1


def test_a_block_leaves_no_thread() -> None:
    """After a test of a page that a WSGI app serves, its event loop and thread are gone."""
    close_page_loop()  # of a test that uses no block
    before = set(threading.enumerate())
    with isolated_metrics():
        Client(WSGI_PAGE).get(headers=BEARER).close()
        assert set(threading.enumerate()) - before
    assert set(threading.enumerate()) <= before


@AGAIN
async def test_an_asynchronous_client(time: str) -> None:
    """A request of an asynchronous client is counted when its response is there."""
    async with httpx.AsyncClient(transport=httpx.ASGITransport(fast), base_url="http://test") as client:
        await client.get("/items/1")
        await client.get("/items/2")
    assert counted("http_requests_total", route="/items/{item}") == 2, time


def test_an_app_factory_with_two_prefixes() -> None:
    """Each app of a factory is measured under its own prefix, and its errors as well."""

    def create_app(prefix: str) -> Any:
        def fail(_: Any) -> PlainTextResponse:
            raise LookupError

        return instrument(Starlette(routes=[Route("/fail", fail)]), prefix=prefix)

    shop, desk = create_app("shop_"), create_app("desk_")
    for app in (shop, desk, desk):
        assert TestClient(app, raise_server_exceptions=False).get("/fail").status_code == 500
    assert counted("shop_api_errors_total", type="LookupError") == 1
    assert counted("desk_api_errors_total", type="LookupError") == 2


@pytest.mark.parametrize("time", ["first", "second"])
def test_options_that_can_be_read_once(time: str) -> None:
    """An app of a module keeps its options in every block, also those that a generator has given."""
    with isolated_metrics():
        for path in ("/items/1", "/skipped"):
            SKIPPING.get(path)
        assert counted("http_requests_total") == 1, time


def test_a_call_in_the_test_for_an_app_of_a_module() -> None:
    """The options that a test gives win over those of the module, for this test."""
    instrument(fast, prefix="mine_")
    TestClient(fast).get("/items/1")
    assert counted("mine_http_requests_total") == 1
    assert TestClient(fast).get("/metrics", headers=BEARER).status_code == 404


def test_that_call_is_gone() -> None:
    """The next test has the options of the module."""
    assert TestClient(fast).get("/metrics", headers=BEARER).status_code == 200
    TestClient(fast).get("/items/1")
    assert counted("http_requests_total") == 1


KEPT: dict[str, Any] = {}


@AGAIN
def test_what_a_program_makes_once(time: str) -> None:
    """A program may keep an app that it makes in one test: it is measured in the later ones, with its own registry."""
    if not KEPT:
        own = CollectorRegistry()
        KEPT["counter"] = Counter("kept_total", "x", registry=own)
        KEPT["app"] = instrument(Starlette(), prefix="kept_", registry=own)
        KEPT["function"] = instrument(plain)
    KEPT["counter"].inc()
    TestClient(KEPT["function"]).get("/")
    TestClient(KEPT["app"]).get("/")
    assert counted("kept_http_requests_total", status=404) == 1, time
    assert counted("kept_http_requests_total") == 1 + (time == "first")
    assert counted("kept_total") == 1
    if time == "second":
        assert counted("http_requests_total") == 1
        KEPT.clear()


@AGAIN
def test_lambda(time: str) -> None:
    """A Lambda handler runs its app's startup in each test, and closes its event loop at the end."""
    begun: list[str] = []

    class App(Starlette):
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            begun.append(scope["type"])
            await super().__call__(scope, receive, send)

    KEPT.setdefault("handler", lambda_handler(instrument(Starlette())))
    for handler in (KEPT["handler"], lambda_handler(instrument(App()))):
        assert handler(EVENT, None)["statusCode"] == 404, time
    assert counted("http_requests_total", status=404) == 2
    assert begun == ["lifespan", "http"]
    gc.collect()  # an unclosed event loop would be an error here
    if time == "second":
        KEPT.clear()


async def test_apps_of_a_program_with_metrics_on(recording: Recording) -> None:
    """Apps that were made with metrics on count in the block alone, and for the program again after it."""

    @instrument
    class Local(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None: ...

    app, wrapper = instrument(Starlette()), instrument(plain)
    vars(sys.modules[__name__])["Local"] = Local
    with isolated_metrics():
        for served in (app, wrapper):
            TestClient(served).get("/")
        send(Local)
        assert counted("http_requests_total") == 3, page()
    assert await recording.samples("http_requests_total") == {}
    for served in (app, wrapper):
        TestClient(served).get("/")
    send(Local)
    assert sum((await recording.samples("http_requests_total")).values()) == 3
    del vars(sys.modules[__name__])["Local"]


def test_off() -> None:
    """With metrics off in a test, the app of a module is not measured, and its page says so."""
    with isolated_metrics(Settings(enabled=False)):
        client = TestClient(fast)
        client.get("/items/1")
        assert client.get("/metrics", headers=BEARER).status_code == 404
        assert counted("http_requests_total") == 0
        assert TestClient(PAGE).get("/", headers=BEARER).status_code == 404


def test_many_apps_of_a_factory() -> None:
    """A suite that makes an app in each test gets no slower: an app that is gone is forgotten."""
    before = len(process_pipeline._calls)
    for number in range(20):
        with isolated_metrics():
            TestClient(instrument(Starlette(), prefix=f"p{number}_")).get("/")
            assert counted(f"p{number}_http_requests_total") == 1
    gc.collect()
    with isolated_metrics():
        pass
    living = [call.app() for call in process_pipeline._calls]
    assert len(living) < before + 20
    assert None not in living


def test_a_deployed_app_does_not_import_it() -> None:
    """What is deployed does not import this room."""
    code = (
        "import sys, api.content, api.metrics; print([name for name in sys.modules if 'kairo_metrics.testing' in name])"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "[]\n"

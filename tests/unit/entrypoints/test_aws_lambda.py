"""The handler for AWS Lambda: its options, what its app sees, and what it refuses."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http.server import BaseHTTPRequestHandler
from typing import Any

import flask
import pytest
from fastapi import FastAPI
from mangum import Mangum
from starlette.applications import Starlette
from starlette.endpoints import HTTPEndpoint
from starlette.responses import PlainTextResponse, Response

from lib.kairo_metrics import Settings, health_app, instrument, lambda_handler
from lib.kairo_metrics.errors import EventError, KairoError, LifespanError
from tests.deployment.platform.lambda_events import Call
from tests.support.aws_events import OTHER_EVENTS, PERSONAL, lambda_at_edge
from tests.support.lambda_shop import EVENTS, REST_API, seen, shop
from tests.support.recording import Recording

pytestmark = pytest.mark.usefixtures("event_loop_of_lambda")


@pytest.mark.parametrize("caller", EVENTS)
def test_what_the_lifespan_sets_up_is_there(caller: str) -> None:
    """The startup is run once; each request gets the app's state and its own copy of the lifespan's."""
    handler = lambda_handler(shop())
    for _ in range(3):
        assert seen(handler, EVENTS[caller]) == {"starts": 1, "tenant": "acme", "user": 1}


def test_an_instrumented_app_has_its_lifespan(
    recording: Recording, event_loop_of_lambda: asyncio.AbstractEventLoop
) -> None:
    """`instrument` passes the lifespan on, under this handler and under Mangum itself."""
    asyncio.set_event_loop(event_loop_of_lambda)
    for build in (lambda_handler, Mangum):
        assert seen(build(instrument(shop())), EVENTS["REST API"]) == {"starts": 1, "tenant": "acme", "user": 1}
    counted = event_loop_of_lambda.run_until_complete(recording.samples("http_requests_total"))
    assert counted == {'http_requests_total{method="GET",route="/state",status="200"}': 2}


@pytest.mark.usefixtures("fresh_catalogue")
def test_an_instrumented_app_has_its_options(
    recording: Recording, event_loop_of_lambda: asyncio.AbstractEventLoop
) -> None:
    """What `instrument` was told holds for the requests of events: their paths, headers and bodies."""
    asyncio.set_event_loop(event_loop_of_lambda)

    async def app(_scope: Any, receive: Any, send: Any) -> None:
        body = (await receive())["body"]
        await send({"type": "http.response.start", "status": 201, "headers": [(b"content-type", b"text/plain")]})
        await send({"type": "http.response.body", "body": body * 2})

    labels = {"tenant": lambda request: request.headers.get("x-tenant")}
    handler = lambda_handler(instrument(app, labels=labels, sizes=True, skip_paths=["/health"]), lifespan="off")
    for path in ("/health", "/items"):
        event = {
            "version": "2.0",
            "rawPath": path,
            "rawQueryString": "",
            "headers": {"x-tenant": "acme", "content-length": "5", "host": "x"},
            "requestContext": {"http": {"method": "POST", "path": path, "sourceIp": "1.2.3.4"}, "stage": "$default"},
            "isBase64Encoded": False,
            "body": "hello",
        }
        assert handler(event, None)["body"] == "hellohello"
    counted = event_loop_of_lambda.run_until_complete(recording.samples("http_"))
    route = 'method="POST",route="__unmatched__"'
    assert counted[f'http_requests_total{{{route},status="201",tenant="acme"}}'] == 1
    assert sum(value for sample, value in counted.items() if sample.startswith("http_requests_total")) == 1
    assert counted[f'http_request_size_bytes_sum{{{route},tenant="acme"}}'] == 5
    assert counted[f'http_response_size_bytes_sum{{{route},tenant="acme"}}'] == 10


def test_the_lifespan_is_a_choice() -> None:
    """With "off" nothing is run; with "on" an app must have a lifespan, and with "auto" it need not."""
    off = lambda_handler(shop(), lifespan="off")
    assert off(EVENTS["REST API"], None)["statusCode"] == 500  # there is no state
    assert seen(lambda_handler(shop(), lifespan="on"), EVENTS["REST API"])["starts"] == 1

    async def plain(scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "http"
        await PlainTextResponse("fine")(scope, receive, send)

    assert lambda_handler(plain)(EVENTS["REST API"], None)["body"] == "fine"
    with pytest.raises(LifespanError, match="lifespan is 'on'"):
        lambda_handler(plain, lifespan="on")(EVENTS["REST API"], None)


def test_a_failed_startup_is_the_error_of_the_invocation() -> None:
    """Lambda reports the app's reason as the error of each invocation until the startup succeeds."""
    failures = ["first", "second"]

    @asynccontextmanager
    async def flaky(_app: Any) -> AsyncIterator[None]:
        if failures:
            raise ConnectionError(f"no database on the {failures.pop(0)} attempt")
        yield

    handler = lambda_handler(FastAPI(lifespan=flaky))
    for attempt in ("first", "second"):
        with pytest.raises(
            LifespanError, match=f"startup failed.*\n(?s:.*)ConnectionError: no database on the {attempt}"
        ):
            handler(EVENTS["REST API"], None)
    assert handler(EVENTS["REST API"], None)["statusCode"] == 404


def test_lambda_at_edge_is_answered() -> None:
    """A request that comes through CloudFront reaches the app."""
    answer = lambda_handler(health_app(Settings()))(lambda_at_edge("/api/health"), None)
    assert (answer["status"], answer["body"]) == (200, '{"status":"alive"}')


def test_binary_content_is_marked_in_cloudfronts_way() -> None:
    """A picture that goes through CloudFront is bytes again at the client."""

    async def picture(scope: Any, receive: Any, send: Any) -> None:
        await Response(b"\x89PNG", media_type="image/png")(scope, receive, send)

    answer = lambda_handler(picture)(lambda_at_edge("/"), None)
    assert (answer["bodyEncoding"], base64.b64decode(answer["body"])) == ("base64", b"\x89PNG")
    assert "isBase64Encoded" not in answer


async def talkative(scope: Any, receive: Any, send: Any) -> None:
    """Answer with headers, of which two repeat."""
    response = PlainTextResponse("a,b", headers={"x-secret": "hush", "x-kept": "kept"}, media_type="text/csv")
    response.set_cookie("a", "1")
    response.set_cookie("b", "2")
    response.headers.append("x-secret", "hush again")
    await response(scope, receive, send)


@pytest.mark.parametrize("event", EVENTS.values(), ids=EVENTS)
def test_headers_are_excluded(event: dict[str, Any]) -> None:
    """An excluded header is in no answer, whoever has called, and also if it is repeated."""
    assert "hush" in json.dumps(lambda_handler(talkative)(event, None))
    answer = lambda_handler(talkative, exclude_headers=["X-Secret", "Set-Cookie"])(event, None)
    told = json.dumps(answer)
    assert ("hush" in told, "a=1" in told, "b=2" in told, "kept" in told) == (False, False, False, True)


def test_text_types_are_a_choice() -> None:
    """Content of a type that is not listed is sent as base64; OpenMetrics is always text."""
    event = EVENTS["REST API"]
    assert not lambda_handler(talkative)(event, None)["isBase64Encoded"]
    answer = lambda_handler(talkative, text_mime_types=["application/json"])(event, None)
    assert (answer["isBase64Encoded"], base64.b64decode(answer["body"])) == (True, b"a,b")

    async def page(scope: Any, receive: Any, send: Any) -> None:
        await PlainTextResponse("# EOF", media_type="application/openmetrics-text")(scope, receive, send)

    for chosen in (None, ["application/json"]):
        assert lambda_handler(page, text_mime_types=chosen)(event, None)["body"] == "# EOF"


class Lattice:
    """Reads the events of VPC Lattice, as a user of Mangum writes it."""

    def __init__(self, event: Any, context: Any, _config: Any) -> None:
        self.event, self.context = event, context

    @classmethod
    def infer(cls, event: Any, _context: Any, _config: Any) -> bool:
        return isinstance(event, dict) and "raw_path" in event

    @property
    def body(self) -> bytes:
        return b""

    @property
    def scope(self) -> dict[str, Any]:
        scope = {"type": "http", "http_version": "1.1", "method": self.event["method"], "path": self.event["raw_path"]}
        return {**scope, "headers": [], "query_string": b"", "scheme": "https", "server": ("x", 443), "root_path": ""}

    def __call__(self, response: Any) -> dict[str, Any]:
        return {"statusCode": response["status"], "body": response["body"].decode()}


def test_custom_handlers_are_asked_first() -> None:
    """A class for other events works as under Mangum, with the base path and the state; unknown events stay errors."""
    handler = lambda_handler(shop(), custom_handlers=[Lattice], api_gateway_base_path="/v1")
    assert seen(handler, {"raw_path": "/v1/state", "method": "GET"})["tenant"] == "acme"
    assert seen(handler, {"raw_path": "/v1/items/7", "method": "GET"})["root_path"] == "/v1"
    assert seen(handler, EVENTS["REST API"])["tenant"] == "acme"
    with pytest.raises(EventError):
        handler({"key1": "value1"}, None)


@pytest.mark.parametrize(
    ("kind", "event"), [(kind, event) for kind, events in OTHER_EVENTS.items() for event in events]
)
def test_other_events_are_refused_with_advice(kind: str, event: Any) -> None:
    """An event that is no HTTP request is an error that names it and says what to use, without its content."""
    with pytest.raises(EventError) as error:
        lambda_handler(shop())(event, None)
    text = str(error.value)
    assert f"this event is {kind}" in text
    assert "from lib.kairo_metrics import measured" in text
    assert PERSONAL not in text
    assert error.value.__cause__ is None
    assert error.value.__context__ is None
    assert isinstance(error.value, KairoError)


def wsgi(environ: Any, start_response: Any) -> None: ...


def function(event: Any, context: Any) -> None: ...


class Server(BaseHTTPRequestHandler):
    """Vercel's oldest form of a function."""

    def do_GET(self) -> None: ...


@pytest.mark.parametrize(
    ("app", "advice"),
    [
        (flask.Flask("app"), "this is a WSGI app; make it ASGI with asgiref's WsgiToAsgi or a2wsgi's WSGIMiddleware"),
        (flask.Flask("app").wsgi_app, "this is a WSGI app"),
        (wsgi, "this is a WSGI app"),
        (Server, "Server is a handler class of http.server, which has no adapter"),
        (Starlette, "Starlette is a class; give an instance of it"),
        (function, "this is a Lambda function already"),
        (None, "not NoneType"),
        ("api.content:app", "not str"),
    ],
)
def test_what_is_no_asgi_app_is_refused_with_advice(app: Any, advice: str) -> None:
    """Whatever else is given, the error comes when the handler is built, and says what to do."""
    with pytest.raises(TypeError, match="lambda_handler takes an ASGI app") as error:
        lambda_handler(app)
    assert advice in str(error.value)


def test_a_handler_is_not_wrapped_again() -> None:
    """What Mangum or `lambda_handler` has built is no app."""
    for handler in (Mangum(shop()), lambda_handler(shop())):
        with pytest.raises(TypeError, match="this is a Lambda function already"):
            lambda_handler(handler)  # type: ignore[arg-type]


class Hello(HTTPEndpoint):
    """An ASGI app that is a class."""

    async def get(self, _request: Any) -> Response:
        return PlainTextResponse("hello")


def test_classes_and_wrappers_that_are_asgi_apps_are_served() -> None:
    """Starlette's endpoint classes and a wrapper with `*args` are ASGI apps."""

    async def wrapper(*args: Any) -> None:
        await Hello(*args)

    for app in (Hello, wrapper):
        assert lambda_handler(app)(EVENTS["REST API"], None)["body"] == "hello"


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"lifespan": "maybe"}, ValueError, "lifespan must be 'auto', 'on' or 'off', not 'maybe'"),
        ({"lifespan": True}, ValueError, "lifespan must be 'auto', 'on' or 'off', not True"),
        ({"api_gateway_base_path": 1}, TypeError, "api_gateway_base_path must be a path such as '/v1', not int"),
        ({"api_gateway_base_path": "https://x.org/v1"}, ValueError, "must be a path such as '/v1', not 'https:"),
        ({"api_gateway_base_path": "/{proxy+}"}, ValueError, "api_gateway_base_path must be a path such as '/v1'"),
        ({"exclude_headers": "server"}, TypeError, "exclude_headers must be a list of strings"),
        ({"exclude_headers": [b"server"]}, TypeError, "exclude_headers must be a list of strings"),
        ({"text_mime_types": "text/"}, TypeError, "text_mime_types must be a list of strings"),
        ({"text_mime_types": 1}, TypeError, "text_mime_types must be a list of strings"),
        ({"custom_handlers": Lattice}, TypeError, "custom_handlers must be a list of classes"),
        ({"custom_handlers": [object]}, TypeError, "custom_handlers must be a list of classes"),
        ({"base_path": "/v1"}, TypeError, "unexpected keyword argument 'base_path'"),
    ],
)
def test_a_wrong_option_is_named(options: dict[str, Any], kind: type[Exception], message: str) -> None:
    """A wrong option is an error when the handler is built, and the error names it."""
    with pytest.raises(kind) as error:
        lambda_handler(shop(), **options)
    assert message in str(error.value)


def test_mangums_options_are_all_there() -> None:
    """Who moves from Mangum changes one name."""
    settings: dict[str, Any] = {
        "lifespan": "auto",
        "api_gateway_base_path": "/v1",
        "custom_handlers": [Lattice],
        "text_mime_types": ["text/", "application/json"],
        "exclude_headers": ["x-secret"],
    }
    event = REST_API.event(Call("GET", "/v1/items/7"))
    for build in (Mangum, lambda_handler):
        assert seen(build(shop(), **settings), event)["name"] == "7"

"""What an instrumented app records about its requests."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Mount, Route

from lib.kairo_metrics import instrument
from lib.kairo_metrics.entrypoints import http_record
from lib.kairo_metrics.instruments.catalogue import catalogue
from lib.kairo_metrics.instruments.request_instruments import RequestInstruments
from tests.support.recording import Recording
from tests.support.watched_app import call, cms, plain

REQUESTS = "http_requests_total"


@pytest.mark.parametrize(
    ("method", "path", "labels"),
    [
        ("GET", "/items/1", 'method="GET",route="/items/{id}",status="200"'),
        ("POST", "/items/secret", 'method="POST",route="/items/{id}",status="200"'),
        ("DELETE", "/items/1", 'method="DELETE",route="/items/{id}",status="405"'),
        ("BREW", "/items/1", 'method="__unknown__",route="/items/{id}",status="405"'),
        ("GET", "/unavailable", 'method="GET",route="/unavailable",status="503"'),
        ("GET", "/broken/7", 'method="GET",route="/broken/{id:int}",status="500"'),
        ("GET", "/broken/x", 'method="GET",route="__unmatched__",status="404"'),
        ("GET", "/items/1/", 'method="GET",route="__unmatched__",status="307"'),
        ("GET", "/tenants/acme/items/1", 'method="GET",route="/tenants/{tenant}/items/{id}",status="200"'),
        ("GET", "/tenants/acme/deep/", 'method="GET",route="/tenants/{tenant}/deep/",status="200"'),
        ("GET", "/tenants/acme/nothing", 'method="GET",route="__unmatched__",status="404"'),
        ("GET", "/static/img/logo.png", 'method="GET",route="/static/{path}",status="200"'),
    ],
)
async def test_routes_are_templates(recording: Recording, method: str, path: str, labels: str) -> None:
    """A client that invents paths and methods creates no series."""
    await call(instrument(cms()), method, path)
    labels = labels.replace("{id:int}", "{id}")
    assert await recording.samples(REQUESTS) == {f"{REQUESTS}{{{labels}}}": 1}


async def test_a_host_route_keeps_its_template(recording: Recording) -> None:
    """The route label of a request to a host route is its template, too."""
    await call(instrument(cms()), "GET", "/file/a", "files.example.org")
    assert list(await recording.samples(REQUESTS)) == [
        f'{REQUESTS}{{method="GET",route="/file/{{name}}",status="200"}}'
    ]


async def test_errors_are_counted_by_class_or_status(recording: Recording) -> None:
    """A 503 counts as http_503 and an unhandled exception under its class; a 404 is no error."""
    app = instrument(cms())
    for path in ("/unavailable", "/broken/1", "/nothing", "/items/1"):
        await call(app, "GET", path)
    errors = await recording.samples("api_errors_total")
    assert {name: value for name, value in errors.items() if value} == {
        'api_errors_total{method="GET",route="/unavailable",type="http_503"}': 1,
        'api_errors_total{method="GET",route="/broken/{id}",type="LookupError"}': 1,
    }


async def test_an_error_rate_can_be_computed_before_the_first_error(recording: Recording) -> None:
    """A route without an error has an error counter at zero, so that the guide's ratio has data."""
    await call(instrument(Starlette(routes=[Route("/never/failed", plain)])), "GET", "/never/failed")
    assert await recording.samples("api_errors_total") == {
        'api_errors_total{method="GET",route="/never/failed",type="http_500"}': 0
    }


class Clock:
    """A clock that the test moves on."""

    now_s = 100.0

    def perf_counter(self) -> float:
        return self.now_s

    async def work(self, seconds: float) -> None:
        self.now_s += seconds


async def test_the_time_ends_with_the_last_byte(recording: Recording, monkeypatch: pytest.MonkeyPatch) -> None:
    """A slow stream counts in the duration, a slow background task does not."""
    clock = Clock()
    monkeypatch.setattr(http_record, "time", clock)

    async def slow_body() -> Any:
        yield b"a"
        await clock.work(0.25)
        yield b"b"

    async def stream(_request: Request) -> Response:
        return StreamingResponse(slow_body())

    async def background(_request: Request) -> Response:
        return PlainTextResponse("done", background=BackgroundTask(clock.work, 0.5))

    app = instrument(Starlette(routes=[Route("/stream", stream), Route("/background", background)]))
    await call(app, "GET", "/stream")
    await call(app, "GET", "/background")
    sums = await recording.samples("http_request_duration_seconds_sum")
    assert sums['http_request_duration_seconds_sum{method="GET",route="/stream"}'] == 0.25
    assert sums['http_request_duration_seconds_sum{method="GET",route="/background"}'] == 0.0


async def test_a_failing_background_task_is_an_error_of_an_answered_request(recording: Recording) -> None:
    """A background task that fails after the response is counted as an error, and the request keeps its 200."""

    async def fail() -> None:
        raise KeyError

    async def answer(_request: Request) -> Response:
        return PlainTextResponse("done", background=BackgroundTask(fail))

    await call(instrument(Starlette(routes=[Route("/", answer)])), "GET", "/")
    assert await recording.samples(REQUESTS) == {f'{REQUESTS}{{method="GET",route="/",status="200"}}': 1}
    errors = await recording.samples("api_errors_total")
    assert errors['api_errors_total{method="GET",route="/",type="KeyError"}'] == 1


async def test_a_cancelled_request_is_flushed(recording: Recording) -> None:
    """A client that leaves early is counted as 499 and its increments are delivered."""
    entered = asyncio.Event()

    async def hang(_request: Request) -> Response:
        entered.set()
        await asyncio.sleep(60)
        return PlainTextResponse("never")

    request = asyncio.create_task(call(instrument(Starlette(routes=[Route("/hang", hang)])), "GET", "/hang"))
    await entered.wait()
    request.cancel()
    with pytest.raises(asyncio.CancelledError):
        await request
    await asyncio.sleep(0)  # the end of its task tells that the client left
    await recording.pipeline.flusher.aflush()
    assert await recording.samples(REQUESTS) == {f'{REQUESTS}{{method="GET",route="/hang",status="499"}}': 1}


async def test_a_client_that_leaves_during_its_upload_is_no_error(recording: Recording) -> None:
    """A client that disconnects early is counted as 499 and not as an error."""

    async def upload(request: Request) -> Response:
        await request.body()
        return PlainTextResponse("never")

    async def receive() -> Any:
        return {"type": "http.disconnect"}

    async def send(_message: Any) -> None:
        pass

    app = instrument(Starlette(routes=[Route("/upload", upload, methods=["POST"])]))
    scope = {"type": "http", "method": "POST", "path": "/upload", "headers": [], "query_string": b""}
    with pytest.raises(ClientDisconnect):
        await app(scope, receive, send)
    assert await recording.samples(REQUESTS) == {f'{REQUESTS}{{method="POST",route="/upload",status="499"}}': 1}
    assert not any((await recording.samples("api_errors_total")).values())


async def test_an_instrumented_app_inside_another_is_counted_once(recording: Recording) -> None:
    """Mounting an instrumented app in another one does not count its requests twice."""
    inner = instrument(Starlette(routes=[Route("/x/{id}", plain)]))
    await call(instrument(Starlette(routes=[Mount("/a", app=inner)])), "GET", "/a/x/1")
    assert await recording.samples(REQUESTS) == {f'{REQUESTS}{{method="GET",route="/a/x/{{id}}",status="200"}}': 1}


async def test_the_response_is_sent_before_the_flush(recording: Recording) -> None:
    """The client has the whole response before anything is sent to the store."""
    steps: list[str] = []
    flusher = recording.pipeline.flusher
    deliver = flusher.after_response

    async def after_response(**_named: bool) -> None:
        steps.append("flush")
        await deliver()

    flusher.after_response = after_response  # type: ignore[method-assign]

    async def send(message: Any) -> None:
        steps.append(message["type"])

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    scope = {"type": "http", "method": "GET", "path": "/items/1", "headers": [], "query_string": b"", "root_path": ""}
    await instrument(cms())(scope, receive, send)
    assert steps == ["http.response.start", "http.response.body", "flush"]


async def test_shutdown_delivers_what_is_pending(recording: Recording) -> None:
    """A SIGTERM, for which the server sends a lifespan shutdown, loses nothing."""
    requests: Any = catalogue(RequestInstruments).members[0]
    requests.labels("GET", "/", "200").inc()
    messages = iter(["lifespan.startup", "lifespan.shutdown"])
    sent: list[str] = []

    async def receive() -> Any:
        return {"type": next(messages)}

    async def send(message: Any) -> None:
        sent.append(message["type"])
        if message["type"] == "lifespan.shutdown.complete":
            assert not recording.pipeline.flusher.pending

    await instrument(cms())({"type": "lifespan"}, receive, send)
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


async def test_the_app_keeps_its_own_attributes(recording: Recording) -> None:
    """`app.state` and `app.routes` of an instrumented app are those of the app."""
    app = instrument(cms())
    app.state.answer = 42
    assert recording
    assert app.state.answer == 42
    assert len(app.routes) == 6


async def _receive_nothing() -> Any:
    return {"type": "http.request"}


@pytest.mark.parametrize(
    "options", [{}, {"sizes": True, "labels": {"cache": lambda _request, response: response.headers.get("x-cache")}}]
)
@pytest.mark.usefixtures("fresh_catalogue")
async def test_headers_that_can_be_read_once(recording: Recording, options: dict[str, Any]) -> None:
    """By the standard they are any iterable: app and server get all of them, and so do labels and exemplars."""
    request, response = (
        [(b"traceparent", b"00"), (b"x-plan", b"pro")],
        [(b"x-cache", b"hit"), (b"content-length", b"5")],
    )
    seen: list[Any] = []

    async def app(scope: Any, _receive: Any, send: Any) -> None:
        seen.append(list(scope["headers"]))
        await send({"type": "http.response.start", "status": 200, "headers": (pair for pair in response)})
        await send({"type": "http.response.body", "body": b"hello"})

    async def send(message: Any) -> None:
        seen.extend(list(message["headers"]) for _ in range("headers" in message))

    scope = {"type": "http", "method": "GET", "path": "/", "headers": (pair for pair in request)}
    await instrument(app, **options)(scope, _receive_nothing, send)
    assert seen == [request, response]
    (sample,) = await recording.counted("http_requests_total")
    assert ('cache="hit"' in sample) == bool(options)


@pytest.mark.usefixtures("fresh_catalogue")
async def test_a_scope_without_headers(recording: Recording) -> None:
    """The scopes that some tests make have none, and a request with options is answered as one without."""

    async def hello(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": b"hello"})

    target = instrument(hello, sizes=True, labels={"plan": lambda request: request.headers.get("x-plan")})
    answered: list[Any] = []

    async def send(message: Any) -> None:
        answered.append(message["type"])

    await target({"type": "http", "method": "GET", "path": "/"}, _receive_nothing, send)
    assert answered == ["http.response.start", "http.response.body"]
    assert len(await recording.counted("http_requests_total")) == 1

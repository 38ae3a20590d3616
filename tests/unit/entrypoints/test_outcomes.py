"""Who ended a request, and what the client got: cancelled tasks, clients that leave, servers, streams, websockets."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from prometheus_client import Counter
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from lib.kairo_metrics import Settings, instrument
from lib.kairo_metrics.delivery.pipeline import Pipeline
from lib.kairo_metrics.entrypoints.asgi import measured_asgi
from lib.kairo_metrics.instruments.recorder import RECORDER
from lib.kairo_metrics.testing.memory_store import MemoryStore
from tests.support.instance import samples
from tests.support.recording import Recording
from tests.support.warp import WarpLoop

STREAMED = Counter("parts_of_streams_total", "Parts.")
REQUESTS = "http_requests_total"


def scope(path: str = "/", **changes: Any) -> dict[str, Any]:
    return {"type": "http", "method": "GET", "path": path, "headers": [], "query_string": b"", **changes}


async def never() -> Any:
    await asyncio.get_running_loop().create_future()


async def drop(_message: Any) -> None: ...


async def _counted(recording: Recording) -> tuple[dict[str, float], list[str]]:
    """Return how often each status was counted, and the types of the errors."""
    await recording.pipeline.flusher.aflush()
    requests = await samples(recording.store, REQUESTS)
    errors = await samples(recording.store, "api_errors_total")
    return (
        {key.split('status="')[1].rstrip('"}'): value for key, value in requests.items()},
        [key.split('type="')[1].rstrip('"}') for key, value in errors.items() if value],
    )


async def hang(_request: Request) -> Response:
    await asyncio.sleep(3600)
    return PlainTextResponse("never")


async def own_mistake(_request: Request) -> Response:
    helper = asyncio.create_task(asyncio.sleep(3600))
    await asyncio.sleep(0)
    helper.cancel()
    await helper
    return PlainTextResponse("never")


async def limited(app: Any) -> None:
    """Answer for an app that takes too long, as a gateway does."""
    try:
        async with asyncio.timeout(0.01):
            await app(scope("/hang"), never, drop)
    except TimeoutError:
        await drop({"type": "http.response.start", "status": 504})


async def swallowing(app: Any) -> None:
    """Answer with 500 when the task is cancelled, as uvicorn does at its end."""
    asyncio.get_running_loop().call_later(0.01, asyncio.current_task().cancel)  # type: ignore[union-attr]
    try:
        await app(scope("/hang"), never, drop)
    except asyncio.CancelledError:
        await drop({"type": "http.response.start", "status": 500})


async def cancelled(app: Any) -> None:
    """Give the request up, as hypercorn does when its client leaves."""
    asyncio.get_running_loop().call_later(0.01, asyncio.current_task().cancel)  # type: ignore[union-attr]
    await app(scope("/hang"), never, drop)


async def mistaken(app: Any) -> None:
    await app(scope("/own"), never, drop)


@pytest.mark.parametrize(
    ("serve", "status", "errors"),
    [
        (limited, "504", ["http_504"]),
        (swallowing, "500", ["http_500"]),
        (cancelled, "499", []),
        (mistaken, "500", ["CancelledError"]),
    ],
)
async def test_a_cancelled_request_is_what_the_client_got(
    recording: Recording, serve: Callable[[Any], Any], status: str, errors: list[str]
) -> None:
    """A cancelled task is 499 only if the client has left; else it is the 5xx that the client got, and an error."""
    app = instrument(Starlette(routes=[Route("/hang", hang), Route("/own", own_mistake)]))
    await asyncio.wait({asyncio.create_task(serve(app))})
    await asyncio.sleep(0)
    assert await _counted(recording) == ({status: 1}, errors)


async def test_a_time_limit_in_a_task_that_goes_on_is_counted(recording: Recording) -> None:
    """A program that sends requests to its own app, each with a time limit, has them counted before it ends."""
    app = instrument(Starlette(routes=[Route("/hang", hang)]))
    await limited(app)
    for _ in range(100):
        if (await _counted(recording))[0]:
            break
        await asyncio.sleep(0.05)
    assert await _counted(recording) == ({"504": 1}, ["http_504"])


@pytest.mark.parametrize("error", [SystemExit(1), KeyboardInterrupt(), RuntimeError()])
async def test_whatever_leaves_the_app_is_counted(recording: Recording, error: BaseException) -> None:
    """An exception that is not an `Exception` is a request with an error, too, and reaches the server."""

    async def app(_scope: Any, _receive: Any, _send: Any) -> None:
        raise error

    with pytest.raises(type(error)):
        await instrument(app)(scope(), never, drop)
    assert await _counted(recording) == ({"500": 1}, [type(error).__name__])


class _Uvicorn:
    """Has the `send` of a server; its class says of which one."""

    def __init__(self) -> None:
        self.headers: list[Any] = []
        self.disconnected = False

    async def send(self, message: Any) -> None:
        self.headers += message.get("headers", [])

    async def receive(self) -> Any:
        await never()


class _Other(_Uvicorn): ...


_Uvicorn.__module__ = "vercel_runtime._vendor.uvicorn.protocols.http.h11_impl"


@pytest.mark.parametrize(("server", "headers"), [(_Uvicorn, [(b"connection", b"close")]), (_Other, [])])
async def test_only_uvicorn_is_told_to_close_the_connection(
    recording: Recording, server: type[_Uvicorn], headers: list[Any]
) -> None:
    """An answer of 500 gets the header `Connection: close` where uvicorn serves, and nowhere else."""
    assert recording

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 500, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    one = server()
    await instrument(app)(scope(), one.receive, one.send)
    assert one.headers == headers


@pytest.mark.parametrize("status", [200, 500])
async def test_a_client_that_left_uvicorn_while_the_app_worked_is_499(recording: Recording, status: int) -> None:
    """A client that left before the response began got none, also if the app never looked and answers with an error."""

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        one.disconnected = True
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    one = _Uvicorn()
    await instrument(app)(scope(), one.receive, one.send)
    assert await _counted(recording) == ({"499": 1}, [])


async def test_requests_that_a_server_cancels_at_its_end_are_sent(recording: Recording) -> None:
    """A server cancels what still runs, does not wait for it, and ends the process after the app's shutdown."""

    async def app(kind: Any, _receive: Any, send: Any) -> None:
        if kind["type"] == "lifespan":
            await send({"type": "lifespan.shutdown.complete"})
        else:
            await asyncio.Event().wait()

    measured_app = instrument(app)

    async def answered() -> None:
        with suppress(asyncio.CancelledError):
            await measured_app(scope(), never, drop)  # the server answers with 500

    request = asyncio.create_task(answered())
    await asyncio.sleep(0)
    request.cancel()
    await measured_app({"type": "lifespan"}, never, drop)
    key = 'http_requests_total{method="GET",route="__unmatched__",status="500"}'
    assert (await samples(recording.store, "http_requests_total")).get(key) == 1


def test_a_stream_is_sent_while_it_runs(loop: WarpLoop, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a stream of a minute counts is in the store every METRICS_STREAM_FLUSH_S seconds, not at its end."""
    settings = Settings(enabled=True, stream_flush_s=2)
    store = MemoryStore(settings)
    store.load()  # a thread would load it, in real time
    RECORDER.forget()
    monkeypatch.setattr(RECORDER, "clocks", (loop.time, loop.time))
    pipeline = Pipeline(settings, store)
    seen: list[float] = []

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(60):
            STREAMED.inc()
            await send({"type": "http.response.body", "body": b"data: x\n\n", "more_body": True})
            await asyncio.sleep(1)
            seen.append(sum((await samples(store, "parts_of_streams_total")).values()))

    loop.run_until_complete(measured_asgi(app, pipeline)(scope(), never, drop))
    behind = [sent - stored for sent, stored in enumerate(seen, 1)]
    assert max(behind) <= 3
    assert seen[-1] >= 57


async def talk(websocket: WebSocket) -> None:
    await websocket.accept()
    while (text := await websocket.receive_text()) != "bye":
        await websocket.send_text(text.upper())
    await websocket.close()


async def refuse(websocket: WebSocket) -> None:
    await websocket.close()


async def deny(websocket: WebSocket) -> None:
    await websocket.send_denial_response(PlainTextResponse("no", 403))


async def fail(websocket: WebSocket) -> None:
    await websocket.accept()
    raise ValueError("no")


WEBSOCKETS = [
    WebSocketRoute("/rooms/{room}", talk),
    WebSocketRoute("/refuse", refuse),
    WebSocketRoute("/deny", deny),
    WebSocketRoute("/fail", fail),
]


async def _talk_to(app: Any, path: str, receive: Any, sent: list[Any]) -> None:
    async def send(message: Any) -> None:
        sent.append(message)

    extensions: dict[str, Any] = {"websocket.http.response": {}}
    await app({**scope(path), "type": "websocket", "subprotocols": [], "extensions": extensions}, receive, send)


async def _websockets(recording: Recording) -> dict[str, float]:
    await recording.pipeline.flusher.aflush()
    found = await samples(recording.store, "websocket_")
    return {key: value for key, value in found.items() if value and "_bucket" not in key and "_sum" not in key}


async def test_a_websocket_is_counted_from_its_beginning_to_its_end(recording: Recording) -> None:
    """A websocket is in progress while it is open; then its time is counted, and no error if the client leaves."""
    app = instrument(Starlette(routes=WEBSOCKETS))

    sent: list[Any] = []
    arriving: asyncio.Queue[Any] = asyncio.Queue()
    for message in ({"type": "websocket.connect"}, {"type": "websocket.receive", "text": "a"}):
        arriving.put_nowait(message)
    conversation = asyncio.create_task(_talk_to(app, "/rooms/7", arriving.get, sent))
    while len(sent) < len(["accept", "A"]):  # noqa: ASYNC110  the app has no event to wait for
        await asyncio.sleep(0)
    during = await _websockets(recording)
    arriving.put_nowait({"type": "websocket.receive", "text": "bye"})
    await conversation
    leaving = iter([{"type": "websocket.connect"}, {"type": "websocket.disconnect", "code": 1001}])

    async def leave() -> Any:
        return next(leaving)

    with pytest.raises(WebSocketDisconnect):
        await _talk_to(app, "/rooms/8", leave, sent)
    accepted = 'websocket_connections_total{outcome="accepted",route="/rooms/{room}"}'
    [progress] = [value for key, value in during.items() if "in_progress" in key]
    assert (during[accepted], progress) == (1, 1)
    assert await _websockets(recording) == {
        accepted: 2,
        'websocket_duration_seconds_count{route="/rooms/{room}"}': 2,
    }


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/refuse", {'websocket_connections_total{outcome="refused",route="/refuse"}': 1}),
        ("/deny", {'websocket_connections_total{outcome="refused",route="/deny"}': 1}),
        ("/nowhere", {'websocket_connections_total{outcome="refused",route="__unmatched__"}': 1}),
        (
            "/fail",
            {
                'websocket_connections_total{outcome="accepted",route="/fail"}': 1,
                'websocket_duration_seconds_count{route="/fail"}': 1,
                'websocket_errors_total{route="/fail",type="ValueError"}': 1,
            },
        ),
    ],
)
async def test_a_websocket_that_goes_wrong_is_counted(
    recording: Recording, path: str, expected: dict[str, float]
) -> None:
    """A refused websocket and one that ends by an exception are each counted as that."""

    arriving: asyncio.Queue[Any] = asyncio.Queue()
    arriving.put_nowait({"type": "websocket.connect"})
    with suppress(ValueError):
        await _talk_to(instrument(Starlette(routes=WEBSOCKETS)), path, arriving.get, [])
    assert await _websockets(recording) == expected

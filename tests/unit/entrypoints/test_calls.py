"""The call that is current, whoever serves it: several threads, a forked child, a call inside another one."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import Context, copy_context
from typing import Any
from wsgiref.util import setup_testing_defaults

import flask
import pytest

from lib.kairo_metrics import instrument
from lib.kairo_metrics.entrypoints.calls import CURRENT, Call
from lib.kairo_metrics.frameworks.facts import RequestFacts
from lib.kairo_metrics.frameworks.route import UNMATCHED, Route
from tests.support.recording import Recording
from tests.support.wsgi_client import call_wsgi

OUTER, INNER = {"trace_id": "a"}, {"trace_id": "b"}


def test_a_call_inside_another_one_has_its_own_exemplar_or_the_same() -> None:
    """When it ends, the one around it is current again."""

    with (outer := Call(exemplar=OUTER)):
        for given, expected in ((INNER, INNER), (None, OUTER)):
            with (inner := Call(exemplar=given)):
                assert (CURRENT.get(), inner.exemplar) == (inner, expected)
            assert (CURRENT.get(), outer.exemplar) == (outer, OUTER)
    assert CURRENT.get() is None


@pytest.mark.usefixtures("recording")
@pytest.mark.parametrize("in_a_task", [False, True])
async def test_what_a_server_starts_at_the_end_of_a_response_keeps_no_call(*, in_a_task: bool) -> None:
    """uvicorn starts a timer then, which keeps what is current; what the app does later is still part of the call."""
    current: list[Call | None] = []
    kept: list[Context] = []

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for more_body in (True, False):
            sending = send({"type": "http.response.body", "body": b"part", "more_body": more_body})
            await (asyncio.create_task(sending) if in_a_task else sending)
        current.append(CURRENT.get())

    async def send(_message: Any) -> None:
        kept.append(copy_context())

    async def receive() -> Any: ...

    await instrument(app)({"type": "http", "method": "GET", "path": "/", "headers": []}, receive, send)
    assert [context.get(CURRENT) is not None for context in kept] == [True, True, in_a_task]
    assert current != [None]
    assert CURRENT.get() is None


class Waking:
    """A body that waits for its next part, until it is closed."""

    def __init__(self) -> None:
        self.closed, self.waits = threading.Event(), threading.Event()

    def __iter__(self) -> Iterator[bytes]:
        yield b"first"
        self.waits.set()
        assert self.closed.wait(timeout=30)
        yield b"last"

    def close(self) -> None:
        self.closed.set()


def test_a_thread_may_close_what_another_one_reads(recording: Recording) -> None:
    """A watchdog that closes a body which waits loses no part of it."""
    assert recording.pipeline
    body = Waking()

    def long_poll(_environ: Any, start_response: Any) -> Waking:
        start_response("200 OK", [])
        return body

    environ: dict[str, Any] = {}
    setup_testing_defaults(environ)
    measured: Any = instrument(long_poll)(environ, lambda *_head: None)
    with ThreadPoolExecutor(1) as threads:
        parts = threads.submit(list, measured)
        assert body.waits.wait(timeout=30)
        measured.close()
        assert parts.result(timeout=30) == [b"first", b"last"]


def test_a_forked_child_ends_the_request_of_its_parent(recording: Recording) -> None:
    """The parent's ticker may be locked for ever in the child, which has another one."""
    pipeline = recording.pipeline

    def forking(_environ: Any, start_response: Any) -> list[bytes]:
        pipeline.thread_ticker._lock.acquire()
        pipeline.forget()  # as a child does
        start_response("200 OK", [])
        return [b"child"]

    app = instrument(forking)
    with ThreadPoolExecutor(1) as threads:
        assert threads.submit(call_wsgi, app, "GET", "/").result(timeout=30).body == b"child"


async def test_middleware_may_change_the_environ(recording: Recording) -> None:
    """The route of what it answers by itself is known all the same."""
    shop = flask.Flask(__name__)
    shop.get("/items/<int:number>")(str)

    def closed(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        for name in ("wsgi.url_scheme", "SERVER_NAME", "HTTP_HOST"):
            del environ[name]
        start_response("503 Service Unavailable", [])
        return [b""]

    shop.wsgi_app = closed  # type: ignore[method-assign]
    call_wsgi(instrument(shop), "GET", "/items/7")
    (sample,) = await recording.counted("http_requests_total")
    assert 'route="/items/<int:number>"' in sample


def test_an_empty_template_is_no_route() -> None:
    """A program may name its own routes, and the label is never empty."""
    facts = RequestFacts()
    facts.name("")
    assert Route(None, facts, {"type": "http"}, {})() == UNMATCHED

"""The call that is current, whoever serves it: several threads, a forked child, a call inside another one."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from wsgiref.util import setup_testing_defaults

import flask

from lib.kairo_metrics import instrument
from lib.kairo_metrics.entrypoints.calls import CURRENT, Call
from lib.kairo_metrics.frameworks.facts import RequestFacts
from lib.kairo_metrics.frameworks.route import UNMATCHED, Route
from lib.kairo_metrics.instruments.request_exemplar import REQUEST_EXEMPLAR
from tests.support.recording import Recording
from tests.support.wsgi_client import call_wsgi

OUTER, INNER = {"trace_id": "a"}, {"trace_id": "b"}


def test_a_call_inside_another_one_has_its_own_exemplar_or_the_same() -> None:
    """When it ends, the one around it is current again."""

    def seen() -> tuple[Call | None, Mapping[str, str] | None]:
        return CURRENT.get(), REQUEST_EXEMPLAR.get()

    with (outer := Call(exemplar=OUTER)):
        for given, expected in ((INNER, INNER), (None, OUTER)):
            with (inner := Call(exemplar=given)):
                assert seen() == (inner, expected)
            assert seen() == (outer, OUTER)
    assert seen() == (None, None)


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

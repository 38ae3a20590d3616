"""What a measured WSGI app records, and what its server and its client see."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from wsgiref.handlers import SimpleHandler
from wsgiref.util import FileWrapper, setup_testing_defaults
from wsgiref.validate import validator

import httpx
import pytest
from asgiref.wsgi import WsgiToAsgi
from prometheus_client import Counter

from lib.kairo_metrics import instrument
from tests.support.instance import samples
from tests.support.recording import Recording
from tests.support.wsgi_client import Answer, call_wsgi

WORK = Counter("work_of_wsgi_total", "Work.")
REQUESTS = "http_requests_total"


def one_chunk(_environ: Any, start_response: Any) -> Iterable[bytes]:
    WORK.inc()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello"]


def stream(_environ: Any, start_response: Any) -> Iterator[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    for part in (b"one ", b"", b"two"):
        WORK.inc()
        yield part


def written(_environ: Any, start_response: Any) -> Iterable[bytes]:
    write = start_response("202 Accepted", [("Content-Type", "text/plain")])
    write(b"written ")
    return [b"and returned"]


def failing(_environ: Any, _start_response: Any) -> Iterable[bytes]:
    raise KeyError("no")


def failing_late(_environ: Any, start_response: Any) -> Iterator[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    yield b"one"
    raise ValueError("late")


def failing_early(environ: Any, start_response: Any) -> Iterator[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    if environ:
        raise ValueError("before the first byte")
    yield b""


def corrected(_environ: Any, start_response: Any) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    try:
        int("the template is gone")
    except ValueError as err:
        start_response("503 Gone", [("Content-Type", "text/plain")], (type(err), err, err.__traceback__))
    return [b"sorry"]


@pytest.mark.parametrize(
    ("app", "answer", "status", "errors"),
    [
        (one_chunk, Answer("200 OK", b"hello", {"Content-Type": "text/plain", "Content-Length": "5"}), "200", {}),
        (stream, Answer("200 OK", b"one two", {"Content-Type": "text/plain"}), "200", {}),
        (written, Answer("202 Accepted", b"written and returned", {"Content-Type": "text/plain"}), "202", {}),
        (corrected, Answer("503 Gone", b"sorry", {"Content-Type": "text/plain", "Content-Length": "5"}), "503",
         {"http_503": 1}),
        (failing, KeyError, "500", {"KeyError": 1}),
        (failing_late, ValueError, "200", {"ValueError": 1}),
        (failing_early, ValueError, "500", {"ValueError": 1}),
    ],
)  # fmt: skip
async def test_each_answer_passes_and_is_counted(
    recording: Recording, app: Any, answer: Any, status: str, errors: dict[str, int]
) -> None:
    """Server and client get what the app gives, one request is counted, and nothing is pending at its end."""
    measured_app = instrument(app)
    if isinstance(answer, Answer):
        assert call_wsgi(measured_app, "GET", "/a") == answer
    else:
        with pytest.raises(answer):
            call_wsgi(measured_app, "GET", "/a")
    assert await samples(recording.store, REQUESTS) == {
        f'{REQUESTS}{{method="GET",route="__unmatched__",status="{status}"}}': 1
    }
    counted = await samples(recording.store, "api_errors_total")
    assert {key.split('type="')[1].rstrip('"}'): value for key, value in counted.items() if value} == errors


@pytest.mark.parametrize(
    ("method", "status", "headers", "body"),
    [
        ("HEAD", "200 OK", [], [b""]),
        ("GET", "204 No Content", [], [b""]),
        ("GET", "304 Not Modified", [], [b""]),
        ("GET", "200 OK", [("content-length", "5")], [b"hello"]),
        ("GET", "200 OK", [], [b"two", b"parts"]),
        ("GET", "200 OK", [], []),
    ],
)
def test_a_length_is_added_only_where_servers_add_it(
    recording: Recording, method: str, status: str, headers: list[tuple[str, str]], body: list[bytes]
) -> None:
    """The header Content-Length is not added where it would be wrong, or is there already."""
    assert recording

    def app(_environ: Any, start_response: Any) -> Iterable[bytes]:
        start_response(status, headers)
        return body

    seen: list[Any] = []
    environ: dict[str, Any] = {"REQUEST_METHOD": method}
    setup_testing_defaults(environ)
    answer: Any = instrument(app)(environ, lambda _status, given, *_: seen.extend(given))
    answer.close()
    assert seen == headers


async def test_the_flush_comes_with_the_close(recording: Recording) -> None:
    """Nothing is sent before the server closes the body, and everything after it; the app's own body is closed, too."""
    closed = []

    class Body(list[bytes]):
        def close(self) -> None:
            closed.append(True)

    def app(_environ: Any, start_response: Any) -> Iterable[bytes]:
        WORK.inc()
        start_response("200 OK", [])
        return Body([b"a", b"b"])

    environ: dict[str, Any] = {}
    setup_testing_defaults(environ)
    body: Any = instrument(app)(environ, lambda *_: None)
    assert list(body) == [b"a", b"b"]
    assert not closed
    assert await samples(recording.store, "work_of_wsgi_total") == {}
    body.close()
    body.close()
    assert closed
    assert await samples(recording.store, "work_of_wsgi_total") == {"work_of_wsgi_total": 1}
    assert (await samples(recording.store, REQUESTS)) == {
        f'{REQUESTS}{{method="GET",route="__unmatched__",status="200"}}': 1
    }


def test_a_servers_file_wrapper_reaches_the_server(recording: Recording, tmp_path: Any) -> None:
    """A file that the server sends by a system call stays the server's own object."""
    assert recording
    file = tmp_path / "file"
    file.write_bytes(b"content")

    def app(environ: Any, start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [])
        wrapped: Iterable[bytes] = environ["wsgi.file_wrapper"](file.open("rb"))
        return wrapped

    environ: dict[str, Any] = {"wsgi.file_wrapper": FileWrapper}
    setup_testing_defaults(environ)
    body: Any = instrument(app)(environ, lambda *_: None)
    assert type(body) is FileWrapper
    assert b"".join(body) == b"content"
    body.close()
    assert body.filelike.closed


async def test_a_body_that_is_never_closed_is_counted(recording: Recording) -> None:
    """A test client that does not read a body has sent a request, which is counted when the body is gone."""
    environ: dict[str, Any] = {}
    setup_testing_defaults(environ)
    instrument(one_chunk)(environ, lambda *_: None)
    assert await recording.samples(REQUESTS) == {f'{REQUESTS}{{method="GET",route="__unmatched__",status="200"}}': 1}


@pytest.mark.parametrize("headers", [[], [("Content-Length", "5")]])
async def test_an_answer_that_a_test_keeps_is_counted(recording: Recording, headers: list[tuple[str, str]]) -> None:
    """A test client that keeps an answer, and never asks for more or closes it, has it counted: it is complete."""

    def app(_environ: Any, start_response: Any) -> Iterable[bytes]:
        start_response("404 Not Found", headers)
        return [b"hello"] if not headers else iter([b"he", b"llo"])

    environ: dict[str, Any] = {}
    setup_testing_defaults(environ)
    body: Any = instrument(app)(environ, lambda *_: None)
    received = b""
    while received != b"hello":
        received += next(body)
    assert await recording.samples(REQUESTS) == {f'{REQUESTS}{{method="GET",route="__unmatched__",status="404"}}': 1}
    body.close()
    assert await recording.samples(REQUESTS) == {f'{REQUESTS}{{method="GET",route="__unmatched__",status="404"}}': 1}


@pytest.mark.parametrize("status", ["0 late", "2", "", "late"])
async def test_a_malformed_status_passes(recording: Recording, status: str) -> None:
    """The server gets a status that is no number as the app gives it, and it is counted as unknown."""

    def app(_environ: Any, start_response: Any) -> Iterable[bytes]:
        start_response(status, [])
        return [b"hello"]

    assert call_wsgi(instrument(app), "GET", "/").status == status
    assert await recording.samples(REQUESTS) == {
        f'{REQUESTS}{{method="GET",route="__unmatched__",status="__unknown__"}}': 1
    }


REQUEST = {"REQUEST_METHOD": "GET", "SERVER_PROTOCOL": "HTTP/1.0"}


@pytest.mark.parametrize(
    "starts",
    [
        [("200 OK", []), ("201 Created", [])],
        [("200 OK", {"X-A": "b"}.items())],
        [(b"200 OK", [])],
        [("200 OK", [("Content-Length", 5)])],
    ],
)
def test_what_a_server_refuses_is_refused(recording: Recording, starts: list[Any]) -> None:
    """A second head, or one of wrong types, is the server's error with metrics as without them."""
    assert recording

    def app(_environ: Any, start_response: Any) -> Iterable[bytes]:
        for start in starts:
            start_response(*start)
        return [b"hello"]

    for tried in (app, instrument(app)):
        server = SimpleHandler(io.BytesIO(), sent := io.BytesIO(), io.StringIO(), REQUEST)
        server.run(tried)
        assert sent.getvalue().startswith(b"HTTP/1.0 500 ")


def test_headers_of_any_form_reach_a_server_that_takes_them(recording: Recording) -> None:
    """Vercel's server takes numbers as values, and headers that can be read but once."""
    assert recording
    seen: list[Any] = []

    def app(_environ: Any, start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", zip(["Content-Length"], [5], strict=True))
        return [b"hello"]

    environ: dict[str, Any] = {}
    setup_testing_defaults(environ)
    body: Any = instrument(app)(environ, lambda _status, headers: seen.extend(headers))
    body.close()
    assert seen == [("Content-Length", 5)]


@pytest.mark.parametrize("length", [2, 100_000])
async def test_an_adapter_that_closes_nothing_flushes(recording: Recording, length: int) -> None:
    """Behind asgiref, which stops at the body's length and does not close it, a request is sent at its end."""

    def app(_environ: Any, start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [("Content-Length", str(length))])
        return iter([b"x" * length])

    transport = httpx.ASGITransport(WsgiToAsgi(instrument(app)))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        assert len((await client.get("/")).content) == length
    assert await samples(recording.store, REQUESTS) == {
        f'{REQUESTS}{{method="GET",route="__unmatched__",status="200"}}': 1
    }


async def test_a_client_that_leaves_is_no_error(recording: Recording) -> None:
    """A body that the server closes before its end is no error of the app."""
    environ: dict[str, Any] = {}
    setup_testing_defaults(environ)
    body: Any = instrument(stream)(environ, lambda *_: None)
    next(iter(body))
    body.close()
    assert await samples(recording.store, REQUESTS) == {
        f'{REQUESTS}{{method="GET",route="__unmatched__",status="200"}}': 1
    }
    assert not any((await samples(recording.store, "api_errors_total")).values())


async def test_an_app_inside_a_measured_app_is_counted_once(recording: Recording) -> None:
    """A measured app that another measured app calls is not counted again."""
    inner = instrument(one_chunk)

    def outer(environ: Any, start_response: Any) -> Iterable[bytes]:
        body: Iterable[bytes] = inner(environ, start_response)
        return body

    call_wsgi(instrument(outer), "GET", "/")
    assert await recording.samples(REQUESTS) == {f'{REQUESTS}{{method="GET",route="__unmatched__",status="200"}}': 1}


async def test_threads_are_counted_exactly(recording: Recording) -> None:
    """Requests of 8 threads at once are each counted once, and all of it is sent."""
    app = instrument(one_chunk)

    def requests() -> None:
        for _ in range(25):
            call_wsgi(app, "GET", "/")

    before = WORK._value.get()
    run_threads([requests] * 8)
    assert WORK._value.get() - before == 200
    assert await samples(recording.store, REQUESTS) == {
        f'{REQUESTS}{{method="GET",route="__unmatched__",status="200"}}': 200
    }


def run_threads(targets: list[Callable[[], None]]) -> None:
    threads = [threading.Thread(target=target) for target in targets]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_the_rules_of_wsgi_hold(recording: Recording) -> None:
    """Python's own validator finds no breach of PEP 3333 in what the server sees."""
    assert recording
    for app in (one_chunk, stream):
        answer = call_wsgi(validator(instrument(validator(app))), "GET", "/", QUERY_STRING="")
        assert answer.status == "200 OK"

"""ASGI apps, WSGI apps and handler classes, served by `make run` and by `serve`."""

from __future__ import annotations

import http.client
import re
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from lib.kairo_metrics.dev.private_redis import private_redis
from tests.support.dev_server import DevServer, dev_server
from tests.support.every_form import make_project
from tests.support.host_server import SERVE, HostServer, host_server

ENTRIES = {"wsgi": "/wsgi/echo", "handler": "/handler/echo", "asgi": "/api/asgi"}
IN_THREADS = ("wsgi", "handler")


@dataclass(frozen=True)
class Served:
    """A running server, and the token of its page."""

    process: DevServer | HostServer
    token: str

    @property
    def url(self) -> str:
        return self.process.url

    def samples(self, pattern: str) -> dict[str, float]:
        page = httpx.get(f"{self.url}/api/metrics", headers={"Authorization": f"Bearer {self.token}"}).text
        return {series: float(value) for series, value in re.findall(rf"^({pattern}) (\S+)$", page, re.MULTILINE)}


@pytest.fixture(scope="module", params=["dev", "serve"])
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    root = make_project(tmp_path_factory.mktemp("served") / "project")
    if request.param == "dev":
        with dev_server(root) as dev:
            yield Served(dev, dev.token)
        return
    with private_redis() as redis_url:
        env = {"REDIS_URL": redis_url, "ENABLE_METRICS": "true", "METRICS_AUTH_TOKEN": "the-token-of-this-test"}
        with host_server(env, command=[*SERVE, "--root", str(root)]) as host:
            yield Served(host, "the-token-of-this-test")


def wait_until(condition: Callable[[], object], timeout_s: float = 10) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_files_that_are_no_functions_are_named(served: Served) -> None:
    """The log says which file is skipped, and what it lacks."""
    assert "api/hidden.py is no function: Vercel takes `handler` as a class alone" in served.process.output
    assert "api/number.py is no function: `app` is neither an ASGI nor a WSGI app." in served.process.output


def test_a_request_reaches_its_app(served: Served) -> None:
    """A WSGI app and a handler get the path, the query and the client's address, behind a rewrite as well."""
    item = httpx.get(f"{served.url}/wsgi/items/7").json()
    assert item == {"number": 7, "scheme": "http", "host": served.url.removeprefix("http://"), "client": "127.0.0.1"}
    greeting = httpx.post(f"{served.url}/django/caf%C3%A9", params={"a": "b"}, content=b"c")
    assert greeting.text == "hello café b c"
    assert httpx.get(f"{served.url}/api/handler?name=caf%C3%A9").text == "/api/handler?name=caf%C3%A9 127.0.0.1"
    assert httpx.put(f"{served.url}/handler/x", content=b"x" * 300_000).status_code == 413
    assert httpx.patch(f"{served.url}/handler/x").status_code == 501


@pytest.mark.parametrize("entry", ENTRIES)
@pytest.mark.parametrize("is_chunked", [False, True])
def test_a_body_arrives_whole(served: Served, entry: str, *, is_chunked: bool) -> None:
    """A body of 2 MB comes back as it was, with and without a length."""
    body = bytes(range(256)) * 8_000
    content = iter([body[:100_000], body[100_000:]]) if is_chunked else body
    answer = httpx.post(served.url + ENTRIES[entry], content=content, timeout=20)
    assert (answer.status_code, answer.content == body) == (200, True)


@pytest.mark.parametrize("path", ["/wsgi/items/7", "/api/handler"])
def test_a_head_request_gets_the_head(served: Served, path: str) -> None:
    """HEAD gives the status and the length without a body, also if the handler writes one; the connection stays."""
    with httpx.Client() as client:
        head, whole = client.head(served.url + path), client.get(served.url + path)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(len(whole.content))


@pytest.mark.parametrize(("entry", "error"), [("wsgi", "the view failed"), ("handler", "the method failed")])
def test_an_exception_is_500_and_in_the_log(served: Served, entry: str, error: str) -> None:
    """The client gets 500, and the log has the traceback."""
    assert httpx.get(f"{served.url}/{entry}/fails").status_code == 500
    wait_until(lambda: f"RuntimeError: {error}" in served.process.output)


@pytest.mark.parametrize("entry", IN_THREADS)
def test_a_response_that_is_cut_off_looks_so(served: Served, entry: str) -> None:
    """If the app fails in the middle of its response, the client sees that a part is missing."""
    with pytest.raises(httpx.RemoteProtocolError):
        httpx.get(f"{served.url}/{entry}/cut")


@pytest.mark.parametrize("entry", IN_THREADS)
def test_requests_run_at_once(served: Served, entry: str, tmp_path: Path) -> None:
    """Three requests that wait for each other are all answered."""
    with ThreadPoolExecutor(3) as threads:
        url = f"{served.url}/{entry}/waits"
        answers = list(threads.map(lambda _: httpx.get(url, params={"gate": str(tmp_path)}, timeout=20), range(3)))
    assert [answer.text for answer in answers] == ["together"] * 3


@pytest.mark.parametrize("entry", IN_THREADS)
def test_a_stream_arrives_and_ends_with_its_client(served: Served, entry: str, tmp_path: Path) -> None:
    """The parts of a stream arrive while it runs, and the app learns that its client has left."""
    mark = tmp_path / "mark"
    with httpx.stream("GET", f"{served.url}/{entry}/stream", params={"mark": str(mark)}) as answer:
        parts = answer.iter_raw()
        assert b"tick" in next(parts)
        assert b"tick" in next(parts)
        assert not mark.exists()
    wait_until(mark.exists)


def test_a_client_with_http_1_0_is_served(served: Served) -> None:
    """A request without Host gets its response."""
    for path in ("/wsgi/echo", "/handler/echo"):
        with socket.create_connection(("127.0.0.1", served.process.port)) as client:
            client.sendall(f"POST {path} HTTP/1.0\r\nContent-Length: 2\r\n\r\nhi".encode())
            assert client.makefile("rb").read().endswith(b"\r\n\r\nhi")


@pytest.mark.parametrize(
    ("path", "route"),
    [
        ("/api/asgi", "/{path}"),
        ("/wsgi/items/7", "/wsgi/items/<int:number>"),
        ("/django/me?a=b", "/django/<str:name>"),
        ("/api/handler", "/api/handler"),
    ],
)
def test_each_request_is_counted_once(served: Served, path: str, route: str) -> None:
    """Five requests are five on the page, with their route, whichever form their app has."""
    pattern = r'http_requests_total\{method="GET",.*status="200"\}'
    before = served.samples(pattern)
    for _ in range(5):
        assert httpx.get(served.url + path).status_code == 200
    wait_until(lambda: sum(served.samples(pattern).values()) >= sum(before.values()) + 5)
    series = f'http_requests_total{{method="GET",route="{route}",status="200"}}'
    assert served.samples(pattern) == {**before, series: before.get(series, 0) + 5}


def begin_endless(stack: ExitStack, port: int, entry: str, gate: Path) -> None:
    """Send a request that waits for ever, and return when it is being handled."""
    gate.mkdir()
    client = http.client.HTTPConnection("127.0.0.1", port)
    stack.callback(client.close)
    client.request("GET", f"/{entry}/waits?gate={gate}")
    wait_until(lambda: list(gate.iterdir()))


def test_running_requests_do_not_hold_the_end_up(tmp_path: Path) -> None:
    """SIGTERM ends both servers within their grace period although streams, silent uploads and endless views run."""
    root = make_project(tmp_path / "project")
    with ExitStack() as stack:
        servers: list[DevServer | HostServer] = [
            stack.enter_context(dev_server(root, {"ENABLE_METRICS": "false"})),
            stack.enter_context(host_server(command=[*SERVE, "--root", str(root)])),
        ]
        for server in servers:
            for entry in IN_THREADS:
                client = http.client.HTTPConnection("127.0.0.1", server.port)
                stack.callback(client.close)
                client.request("GET", f"/{entry}/stream?mark={tmp_path}/{entry}-{server.port}")
                assert client.getresponse().read(4) == b"tick"
                upload = stack.enter_context(socket.create_connection(("127.0.0.1", server.port)))
                upload.sendall(f"POST /{entry}/echo HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n".encode())
                begin_endless(stack, server.port, entry, tmp_path / f"{entry}-{server.port}-gate")
        with ThreadPoolExecutor(2) as threads:
            codes = list(threads.map(lambda server: server.stop(timeout_s=12), servers))
        assert codes == [0, 0], [server.output for server in servers]

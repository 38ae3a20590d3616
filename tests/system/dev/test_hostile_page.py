"""What a web page in the developer's browser may send to the dev server: the server survives and answers."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.support.dev_project import make_project
from tests.support.dev_server import DevServer, dev_server, starting_dev_server

API = "/dashboard/api/v1"


@pytest.fixture(scope="module")
def server() -> Iterator[DevServer]:
    with dev_server() as server:
        yield server
        assert server.process.poll() is None, server.output


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("(" * 9_000 + "1" + ")" * 9_000, "brackets inside each other"),
        ("1" + "%2B1" * 5_000, "operators"),
        ("x" * 30_000, "at most 20000"),
        ("x" * 150_000, "more than 100000"),
    ],
)
def test_a_query_that_is_too_large_gets_an_answer(server: DevServer, query: str, reason: str) -> None:
    """A query that is too deep or too long is an error with the reason, and the server goes on."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)  # httpx refuses long addresses
    connection.request("GET", f"{API}/query?query={query}")
    answer = connection.getresponse()
    assert answer.status in {414, 422}
    assert reason in json.loads(answer.read())["error"]
    connection.close()
    assert httpx.get(f"{server.url}/api/health").status_code == 200


@pytest.mark.parametrize(
    "parameters",
    [
        {"query": "up", "time": "nan"},
        {"query": "up", "time": "inf"},
        {"query": "up", "time": "1e300"},
        {"query": "up", "start": "0", "end": "nan", "step": "1"},
        {"query": "up", "start": "-inf", "end": "inf", "step": "1"},
        {"query": "up", "start": "0", "end": "10999", "step": "1"},
        {"query": "up", "start": "0", "end": "1", "step": "1e-9"},
        {"query": "up", "start": "0", "end": "1", "step": "0"},
        {"query": "up", "start": "0", "end": "1", "step": "-1"},
    ],
)
def test_an_odd_time_is_an_error(server: DevServer, parameters: dict[str, str]) -> None:
    """Times that are no times, and too many steps, are errors with the reason."""
    path = "query" if "time" in parameters else "query_range"
    answer = httpx.get(f"{server.url}{API}/{path}", params=parameters)
    assert (answer.status_code, answer.json()["status"]) == (422, "error")


def test_values_that_are_not_finite_are_answered(server: DevServer) -> None:
    """NaN and infinities in a result are text, as in Prometheus."""
    for query, printed in (("1/0", "+Inf"), ("-1/0", "-Inf"), ("0/0", "NaN")):
        answer = httpx.get(f"{server.url}{API}/query", params={"query": query})
        assert answer.json()["data"]["result"][1] == printed


def test_slow_queries_do_not_stop_the_page(server: DevServer) -> None:
    """While several queries compute for seconds, the functions and a short query are answered."""
    httpx.get(f"{server.url}/api/content", headers={"X-Tenant": "acme"})
    now_s = time.time()
    part = "sum(quantile_over_time(0.5, http_request_duration_seconds_bucket[15m]))"
    slow: dict[str, str | float] = {"query": "+".join([part] * 150), "start": now_s - 900, "end": now_s, "step": 0.5}

    def ask_slowly() -> float:
        start_s = time.monotonic()
        httpx.get(f"{server.url}{API}/query_range", params=slow, timeout=60)
        return time.monotonic() - start_s

    with ThreadPoolExecutor(4) as threads:
        running = [threads.submit(ask_slowly) for _ in range(4)]
        time.sleep(0.5)
        for path in ("/api/health", f"{API}/query?query=up", "/dashboard/source.json", "/dashboard"):
            answer = httpx.get(server.url + path, timeout=3)
            assert answer.status_code == 200, path
        assert max(one.result() for one in running) < 20


def test_clients_that_say_nothing_do_not_stop_the_server(server: DevServer) -> None:
    """Hundreds of connections that are idle, or stop in the middle of a request, leave the server able to answer."""
    with contextlib.ExitStack() as stack:
        for number in range(300):
            client = stack.enter_context(socket.create_connection(("127.0.0.1", server.port)))
            client.sendall(b"GET /api/he"[: number % 12])
        assert httpx.get(f"{server.url}/api/health", timeout=5).status_code == 200


def test_a_huge_body_is_not_read(server: DevServer) -> None:
    """A body without end to the dashboard is answered at once."""
    with socket.create_connection(("127.0.0.1", server.port)) as client:
        head = f"POST {API}/query HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10000000000\r\n\r\n"
        client.sendall(head.encode())
        sender = threading.Thread(target=_send_until_closed, args=(client,))
        sender.start()
        assert client.recv(64).startswith(b"HTTP/1.1 405")
        client.shutdown(socket.SHUT_RDWR)
        sender.join()
    assert httpx.get(f"{server.url}/api/health").status_code == 200


@pytest.mark.parametrize("path", ["/api/content", "/api/health"])
def test_a_body_that_vercel_refuses_is_refused(server: DevServer, path: str) -> None:
    """A function's request body may have 4.5 MB, as on Vercel; a longer one is 413, with and without a length."""
    body = b"x" * 4_500_001
    for content in (body, iter([body])):
        answer = httpx.post(server.url + path, content=content, timeout=20)
        assert (answer.status_code, "FUNCTION_PAYLOAD_TOO_LARGE" in answer.text) == (413, True)


def test_silent_connections_are_closed(tmp_path: Path) -> None:
    """A connection that sends nothing, half a head or half a body ends; one with a whole request does not."""
    script = (
        "import sys; from pathlib import Path; from lib.kairo_metrics.dev import dev_server, timed_connection\n"
        "timed_connection.LONGEST_SILENCE_S = 0.5; dev_server.run(Path(sys.argv[1]))"
    )
    command = [sys.executable, "-c", script, str(make_project(tmp_path / "project"))]
    with starting_dev_server(command=command) as server, contextlib.ExitStack() as stack:
        server.wait_until_ready()
        for sent in (
            b"",
            b"GET /api/he",
            b"POST /api/hello HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nhalf",
        ):
            client = stack.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=20))
            client.sendall(sent)
            while client.recv(65_536):
                pass


def _send_until_closed(client: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while True:
            client.sendall(b"x" * 65_536)


def test_foreign_requests_are_refused_everywhere(server: DevServer) -> None:
    """The functions and the dashboard refuse a foreign host and another site, with one clear line."""
    for path in ("/api/content", "/api/health", "/metrics", "/dashboard", f"{API}/query?query=up", "/nowhere"):
        foreign = httpx.get(server.url + path, headers={"Host": f"evil.example:{server.port}"})
        assert (foreign.status_code, foreign.text[:9]) == (400, "Refused: ")
        for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}):
            crossing = httpx.get(server.url + path, headers=headers)
            assert (crossing.status_code, crossing.text[:9]) == (403, "Refused: ")
            assert crossing.text.count("\n") == 1


def test_a_name_that_is_set_is_answered() -> None:
    """With METRICS_DEV_HOSTS a tunnel's name reaches the functions."""
    with dev_server(env={"METRICS_DEV_HOSTS": "tunnel.example"}) as server:
        headers = {"Host": "tunnel.example", "Origin": "https://tunnel.example"}
        assert httpx.get(f"{server.url}/api/health", headers=headers).status_code == 200
        assert httpx.get(f"{server.url}/api/health", headers={"Host": "evil.example"}).status_code == 400

"""`python -m lib.kairo_metrics serve`, as a host runs it."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
import redis

from tests.support.dev_project import HELLO, make_project
from tests.support.host_server import SERVE, HostServer, host_server, starting_host_server
from tests.support.ports import free_port
from tests.support.proxy import Proxy
from tests.support.variants import variants

TOKEN = {"Authorization": "Bearer a-token"}
TENANT = {"X-Tenant": "acme"}

SLOW = """
import asyncio
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

async def slow(request):
    print("slow has begun", flush=True)
    await asyncio.sleep(0.5)
    return JSONResponse({"done": True})

app = Starlette(routes=[Route("/api/slow", slow)])
"""

WHO = """
import os
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

async def who(request):
    return JSONResponse([request.client.host, request.url.scheme, os.getpid()])

app = Starlette(routes=[Route("/api/who", who)])
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return make_project(tmp_path / "project")


def environment(redis_url: str, **more: str) -> dict[str, str]:
    return {"ENABLE_METRICS": "true", "METRICS_AUTH_TOKEN": "a-token", "REDIS_URL": redis_url, **more}


def served(project: Path, *options: str) -> tuple[str, ...]:
    return (*SERVE, "--root", str(project), *options)


def requests_counted(page: str) -> float:
    """Add up the requests for the content on the metrics page."""
    lines = [line for line in page.splitlines() if line.startswith('http_requests_total{method="GET",route="/api/con')]
    return sum(float(line.rpartition(" ")[2]) for line in lines)


def soon(condition: Callable[[], bool], timeout_s: float = 15) -> bool:
    """Tell whether `condition` becomes true in time."""
    deadline = time.monotonic() + timeout_s
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)
    return condition()


def test_every_function_is_served_as_on_vercel(project: Path) -> None:
    """Names, files and rewrites serve functions, with the headers of vercel.json and their lifespan's state."""
    with host_server({"METRICS_AUTH_TOKEN": "a-token"}, command=served(project)) as server:
        for path in ("/api/hello", "/api/hello.py", "/hello/a/b"):
            answer = httpx.get(server.url + path)
            assert (answer.json()["path"], answer.json()["started"]) == (path, True)
            assert answer.headers["cache-control"] == "no-store"
            assert "server" not in answer.headers
        page = httpx.get(f"{server.url}/metrics", headers=TOKEN)
        assert (page.text, page.headers["cache-control"]) == ("answer 42\n", "private")


def test_an_unknown_path_gets_no_list_of_functions(project: Path) -> None:
    """A 404 does not list the functions."""
    with host_server(command=served(project)) as server:
        for path in ("/", "/api", "/api/_private", "/vercel.json", "/lib/kairo_metrics/hosting/server.py"):
            answer = httpx.get(server.url + path)
            assert (answer.status_code, answer.text) == (404, "not found\n")


NOTHING_SET = [
    ({}, 404, "metrics are off"),
    ({"ENABLE_METRICS": "true"}, 503, "no token is configured"),
    ({"ENABLE_METRICS": "true", "METRICS_AUTH_TOKEN": "a-token"}, 503, "REDIS_URL is not set"),
]


@pytest.mark.parametrize(("env", "status", "text"), variants(NOTHING_SET, NOTHING_SET[2:]))
def test_it_sets_nothing_up(env: dict[str, str], status: int, text: str) -> None:
    """What is not set is missing: no token is generated, no Redis is started, nothing is turned on."""
    with host_server(env) as server:
        page = httpx.get(f"{server.url}/api/metrics", headers=TOKEN)
        assert page.status_code == status
        assert text in page.text


@pytest.mark.parametrize("number", variants([signal.SIGTERM, signal.SIGINT], [signal.SIGTERM]))
@pytest.mark.parametrize("workers", variants(["1", "2"], ["2"]))
def test_it_shuts_functions_down(project: Path, workers: str, number: signal.Signals) -> None:
    """After SIGTERM and Ctrl-C each function is shut down in each process, and the exit code is 0."""
    with host_server({"WEB_CONCURRENCY": workers}, command=served(project)) as server:
        assert soon(lambda: server.output.count("Application startup complete") == int(workers))
        assert server.stop(number) == 0, server.output
        # hello.py and blog/index.py
        assert server.output.count("hello has shut down") == 2 * int(workers)
        assert "Traceback" not in server.output


def test_a_running_request_is_answered(project: Path) -> None:
    """A request that is running when SIGTERM arrives gets its response."""
    (project / "api" / "slow.py").write_text(SLOW)
    with host_server(command=served(project)) as server, ThreadPoolExecutor(1) as client:
        answer = client.submit(httpx.get, f"{server.url}/api/slow", timeout=10)
        assert soon(lambda: "slow has begun" in server.output)
        assert server.stop() == 0
        assert answer.result().json() == {"done": True}


def test_sigterm_flushes_what_is_pending(proxy: Proxy, redis_client: redis.Redis, redis_url: str) -> None:
    """Increments counted while Redis was down are in Redis when the process has ended."""
    proxy.refuse()
    with host_server(environment(proxy.url)) as server:
        for _ in range(3):
            assert httpx.get(f"{server.url}/api/content", headers=TENANT).is_success
        # Stopped, so that it can't send by itself before SIGTERM.
        server.process.send_signal(signal.SIGSTOP)
        proxy.listen()
        assert redis_client.dbsize() == 0
        server.process.send_signal(signal.SIGTERM)
        assert server.stop(signal.SIGCONT) == 0, server.output
    assert redis_client.dbsize() > 0
    with host_server(environment(redis_url)) as server:
        assert requests_counted(httpx.get(f"{server.url}/metrics", headers=TOKEN).text) == 3


def test_all_processes_share_one_page(redis_url: str) -> None:
    """With two workers the page shows every request, whichever process served it."""
    with host_server(environment(redis_url, WEB_CONCURRENCY="2")) as server:
        for _ in range(20):
            assert httpx.get(f"{server.url}/api/content", headers=TENANT).is_success

        def page() -> float:
            return requests_counted(httpx.get(f"{server.url}/api/metrics", headers=TOKEN).text)

        assert soon(lambda: page() == 20)


def test_a_worker_that_dies_is_replaced(project: Path) -> None:
    """If a process is killed, the service goes on."""
    (project / "api" / "who.py").write_text(WHO)

    def workers(server: HostServer) -> set[int]:
        return {httpx.get(f"{server.url}/api/who").json()[2] for _ in range(20)}

    with host_server(command=served(project, "--workers", "2")) as server:
        assert soon(lambda: server.output.count("Application startup complete") == 2)
        victim = next(iter(workers(server)))
        os.kill(victim, signal.SIGKILL)
        assert soon(lambda: server.output.count("Application startup complete") == 3)
        assert victim not in workers(server)


FORWARDED = {"X-Forwarded-For": "198.51.100.7, 203.0.113.9", "X-Forwarded-Proto": "https"}


PROXIES = [
    ({}, ["203.0.113.9", "https"]),
    ({"FORWARDED_ALLOW_IPS": "192.0.2.1, 203.0.113.0/24"}, ["127.0.0.1", "http"]),
    ({"FORWARDED_ALLOW_IPS": "*"}, ["198.51.100.7", "https"]),
]


@pytest.mark.parametrize(("env", "seen"), variants(PROXIES, PROXIES[:2]))
def test_a_proxy_may_set_the_client(project: Path, env: dict[str, str], seen: list[str]) -> None:
    """A router in a private network sets client and scheme; the client's own headers are not trusted."""
    (project / "api" / "who.py").write_text(WHO)
    with host_server(env, command=served(project)) as server:
        assert httpx.get(f"{server.url}/api/who", headers=FORWARDED).json()[:2] == seen


def test_options_beat_the_environment(project: Path) -> None:
    """`--port` and `--workers` take precedence, even over malformed variables; `--access-log` logs requests."""
    port = free_port()
    command = served(project, "--port", str(port), "--workers", "1", "--host", "127.0.0.1", "--access-log")
    with starting_host_server({"PORT": "eighty", "WEB_CONCURRENCY": "many"}, command=command) as server:
        server.url = f"http://127.0.0.1:{port}"
        server.wait_until_it_serves("/api/hello")
        assert "GET /api/hello" in server.output
        assert server.stop() == 0


def test_it_listens_on_ipv6(project: Path) -> None:
    """`--host ::1` works as well."""
    with starting_host_server(command=served(project, "--host", "::1")) as server:
        server.url = f"http://[::1]:{server.port}"
        server.wait_until_it_serves("/api/hello")
        assert server.stop() == 0


BAD = [
    ("PORT", "eighty"),
    ("WEB_CONCURRENCY", "0"),
    ("FORWARDED_ALLOW_IPS", "10.0.0.0/8, router"),
]


@pytest.mark.parametrize(("variable", "value"), variants(BAD, BAD[:1]))
def test_a_bad_setting_is_one_clear_line(variable: str, value: str) -> None:
    """A malformed variable of the server is named, and the exit code is 2."""
    with starting_host_server({variable: value}) as server:
        assert server.process.wait(30) == 2
        [line] = server.output.splitlines()
        assert line.startswith(f"{variable} must be")


def test_a_taken_port_and_a_foreign_address_are_one_clear_line(project: Path) -> None:
    """If it can't listen, the error names the address, and the exit code is 1."""
    with host_server(command=served(project)) as first:
        for options, expected in (
            (["--port", str(first.port)], f"127.0.0.1:{first.port}"),
            (["--host", "192.0.2.1"], "192.0.2.1"),
            (["--host", "no such host"], "'no such host'"),
            (["--root", "no such folder"], "no such folder"),
        ):
            with starting_host_server(command=(*served(project), *options)) as second:
                assert second.process.wait(30) == 1
                [line] = second.output.splitlines()
                assert expected in line


BROKEN = [
    ("api/broken.py", "app = 1 / 0\n", "ZeroDivisionError"),
    ("api/late.py", HELLO.replace('yield {"started": True}', "raise OSError('no disk')"), "startup failed"),
    (
        "vercel.json",
        json.dumps({"rewrites": [{"source": "/x", "destination": "/api/x"}]}),
        "which is not a function",
    ),
]


@pytest.mark.parametrize("workers", variants(["1", "2"], ["1"]))
@pytest.mark.parametrize(("file", "text", "expected"), variants(BROKEN, BROKEN[:2]))
def test_a_project_that_cannot_be_served_ends_the_server(
    project: Path, workers: str, file: str, text: str, expected: str
) -> None:
    """A deployment with a broken function fails at once with the reason, and is not started again and again."""
    (project / file).write_text(text)
    with starting_host_server({"WEB_CONCURRENCY": workers}, command=served(project)) as server:
        assert server.process.wait(30) == 3
        assert expected in server.output


def test_without_uvicorn_it_says_what_to_install() -> None:
    """Without uvicorn the error names the package to install."""
    hide = "import importlib.util as u, sys; find = u.find_spec; "
    hide += "u.find_spec = lambda name, *rest: None if name == 'uvicorn' else find(name, *rest); "
    hide += "from lib.kairo_metrics.cli import main; sys.exit(main(['serve']))"
    with starting_host_server(command=(sys.executable, "-c", hide)) as server:
        assert server.process.wait(30) == 1
        assert "pip install uvicorn" in server.output

"""The cost of a request: commands, round trips, and no wait for the client."""

from __future__ import annotations

import time
from pathlib import Path

import httpx
import pytest
import redis
from prometheus_client import Counter, Histogram

from lib.kairo_metrics import aflush, flush, install
from lib.kairo_metrics.delivery.process_pipeline import close_pipeline, open_pipeline
from lib.kairo_metrics.dev.private_redis import private_redis
from lib.kairo_metrics.instruments.recorder import RECORDER
from lib.kairo_metrics.store.redis_store import RedisStore
from tests.support.adopted import adopted_registry
from tests.support.dev_server import REPOSITORY, DevServer, dev_server
from tests.support.instance import settings
from tests.support.ports import free_port
from tests.support.proxy import Proxy
from tests.support.redis_process import paused_writes

TENANT = {"X-Tenant": "acme"}
# The commands that reading the counts takes.
_COUNTING = {"info", "config|resetstat", "flushall", "script|flush"}


def commands(client: redis.Redis) -> dict[str, int]:
    """Count the commands that Redis has run since the test began."""
    rows = client.info("commandstats").items()
    counts = {name.removeprefix("cmdstat_"): row["calls"] for name, row in rows}
    # The script runs hget and others; the client sends only one EVALSHA.
    sent = {"evalsha", "eval", "hello", "auth", "select", "client|setinfo", "ping", "script|load"}
    return {name: calls for name, calls in counts.items() if name in sent}


async def test_one_request_is_one_command_and_one_round_trip(proxy: Proxy, redis_client: redis.Redis) -> None:
    """A counter, a histogram and an error together cost one EVALSHA; a cold instance needs at most one more trip."""
    RECORDER.forget()
    close_pipeline()
    chosen = settings(proxy.url)
    store = RedisStore(chosen)
    open_pipeline(chosen, store)
    registry = adopted_registry()
    install(registry)
    requests = Counter("cost_requests", "Requests.", ["route"], registry=registry).labels("/")
    seconds = Histogram("cost_seconds", "Seconds.", ["route"], registry=registry).labels("/")
    errors = Counter("cost_errors", "Errors.", ["route"], registry=registry).labels("/")

    async def request() -> None:
        requests.inc()
        seconds.observe(0.25)
        errors.inc()
        await aflush()

    before = commands(redis_client)
    await request()
    assert proxy.connections == 1
    assert proxy.round_trips <= 2
    assert _difference(commands(redis_client), before) == {"evalsha": 1, "eval": 1}
    for _ in range(10):
        proxy.reset_counts()
        before = commands(redis_client)
        await request()
        assert (proxy.connections, proxy.round_trips) == (0, 1)
        assert _difference(commands(redis_client), before) == {"evalsha": 1}
    await store.aclose()
    proxy.reset_counts()
    await request()
    assert proxy.round_trips == 1, "Redis has the script: a new connection costs no extra round trip"
    flush()
    await store.aclose()
    close_pipeline()


def _difference(after: dict[str, int], before: dict[str, int]) -> dict[str, int]:
    changes = {name: calls - before.get(name, 0) for name, calls in after.items()}
    return {name: calls for name, calls in changes.items() if calls}


@pytest.mark.parametrize("keep_alive", [True, False])
def test_the_client_does_not_wait_for_redis(proxy: Proxy, redis_client: redis.Redis, keep_alive: bool) -> None:
    """With a distant Redis the response arrives before Redis has replied, and the increments still arrive."""
    # A request that waited for its flush would get no response while Redis delays all writes.
    environment = {"REDIS_URL": proxy.url, "METRICS_AUTH_TOKEN": "t", "METRICS_FLUSH_BUDGET_MS": "60000"}
    with dev_server(env=environment) as server:
        headers = {**TENANT, "Connection": "keep-alive" if keep_alive else "close"}
        with httpx.Client(headers=headers, timeout=30) as client:
            for number in range(1, 4):
                replies = proxy.replies
                with paused_writes(redis_client):
                    assert client.get(f"{server.url}/api/content").status_code == 200
                _wait_for(server, number)
                assert proxy.replies > replies


def _wait_for(server: DevServer, count: int) -> None:
    sample = f'http_requests_total{{method="GET",route="/api/content",status="200"}} {count}'
    deadline = time.monotonic() + 30
    while sample not in httpx.get(f"{server.url}/metrics", headers={"Authorization": "Bearer t"}, timeout=30).text:
        assert time.monotonic() < deadline
        time.sleep(0.05)


RAISING = """
import asyncio
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from lib.kairo_metrics import instrument

async def raising(request):
    raise RuntimeError("on purpose")

async def answer(request):
    await asyncio.sleep(0.1)
    return PlainTextResponse("fine")

app = instrument(Starlette(routes=[Route("/api/raising", answer), Route("/api/raising.py", raising)]))
"""


def test_an_exception_costs_no_other_request(proxy: Proxy, tmp_path: Path) -> None:
    """After an exception the server closes the connection; even with a slow flush no other request is on it."""
    (tmp_path / "api").mkdir()
    (tmp_path / "api" / "raising.py").write_text(RAISING)
    (tmp_path / "lib").symlink_to(REPOSITORY / "lib")
    proxy.reply_delay_ms = 50
    with (
        dev_server(tmp_path, {"REDIS_URL": proxy.url}) as server,
        httpx.Client(base_url=server.url, timeout=30) as client,
    ):
        for _ in range(5):
            assert client.get("/api/raising.py").status_code == 500
            assert client.get("/api/raising").status_code == 200
        proxy.reply_delay_ms = 0


def test_an_outage_costs_no_request_and_no_increment() -> None:
    """While Redis is down, requests are answered and the scrape fails with a reason; later every increment arrives."""
    port = free_port()
    environment = {"REDIS_URL": f"redis://127.0.0.1:{port}", "METRICS_AUTH_TOKEN": "t"}
    allowed = {"Authorization": "Bearer t"}
    with dev_server(env=environment) as server:
        for _ in range(20):
            assert httpx.get(f"{server.url}/api/content", headers=TENANT, timeout=30).status_code == 200
        answer = httpx.get(f"{server.url}/api/metrics", headers=allowed, timeout=30)
        assert answer.status_code == 503
        assert answer.text.strip()
        with private_redis(port):
            _wait_for(server, 20)
            page = httpx.get(f"{server.url}/api/metrics", headers=allowed, timeout=30).text
        assert 'http_request_duration_seconds_count{method="GET",route="/api/content"} 20' in page
        assert 'tenant_db_query_duration_seconds_count{model="Entry",operation="select"} 20' in page

"""The client's time: a dev server with metrics and a distant Redis, compared with the same server without metrics."""

from __future__ import annotations

import statistics
import time

import httpx

from benchmarks.timing import row
from tests.support.dev_server import dev_server
from tests.support.proxy import Proxy

__all__ = ["bench_response"]

_ROUNDS = 200
_DELAY_MS = 200


def bench_response(url: str) -> None:
    """Measure the time of a request, with 200 ms added to each reply of Redis, on kept-alive and on new connections."""
    print(f"Response of GET /api/content, Redis {_DELAY_MS} ms away, floor: metrics off")
    with Proxy(url) as proxy:
        proxy.reply_delay_ms = _DELAY_MS
        environment = {"REDIS_URL": proxy.url, "METRICS_AUTH_TOKEN": "bench"}
        for connection in ("keep-alive", "close"):
            with dev_server(env={**environment, "ENABLE_METRICS": "false"}) as server:
                floor_s = _response_s(server.url, connection)
            with dev_server(env=environment) as server:
                response_s = _response_s(server.url, connection)
            row(f"metrics off, connection {connection}", floor_s)
            row(f"metrics on, connection {connection}", response_s, floor_s)


def _response_s(base: str, connection: str) -> float:
    durations = []
    with httpx.Client(headers={"X-Tenant": "acme", "Connection": connection}) as client:
        for _ in range(_ROUNDS):
            started = time.perf_counter()
            client.get(f"{base}/api/content").raise_for_status()
            durations.append(time.perf_counter() - started)
    return statistics.median(durations)

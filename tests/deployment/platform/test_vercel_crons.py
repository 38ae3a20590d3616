"""Crons on Vercel's runtime: a function that a cron calls by its path, and the plain functions of its cron service."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.deployment.platform.deployment import Deployment
from tests.deployment.platform.entry_point import stored
from tests.deployment.platform.vercel_instance import VercelInstance
from tests.support.proxy import Proxy

_PATHS = {"/crons/nightly": "nightly", "/crons/weekly": "weekly", "/crons/failing": "failing"}
# What the platform sets for a service of this type: it calls these functions by an app of its own.
_SERVICE = {
    "VERCEL_SERVICE_TYPE": "cron",
    "__VC_CRON_ROUTES": json.dumps({path: f"api.nightly:{function}" for path, function in _PATHS.items()}),
}


@contextmanager
def cron_service(entry_points: Deployment, redis_url: str) -> Iterator[VercelInstance]:
    """Run an instance of the cron service."""
    with entry_points.instance("api/nightly", redis_url, **_SERVICE) as instance:
        yield instance


def run(instance: VercelInstance, path: str) -> int:
    """Send what the platform sends at the time of a cron, wait for the end, and return the status."""
    answer = instance.request("GET", path)
    instance.ipc.wait_until_ended(answer.invocation)
    return answer.response.status_code


def test_a_cron_calls_a_function_that_exists(entry_points: Deployment) -> None:
    """The builder keeps the cron, and its path is that of a function."""
    assert [cron["path"] for cron in entry_points.build.crons] == ["/api/nightly"]
    assert "api/nightly" in entry_points.build.functions


def test_a_measured_function_in_a_request_is_counted(entry_points: Deployment, redis_url: str) -> None:
    """A cron that calls an app's path counts the request and the measured function, each once."""
    with entry_points.instance("api/nightly", redis_url) as instance:
        assert [run(instance, "/api/nightly") for _ in range(2)] == [200, 200]
        instance.freeze()
        assert asyncio.run(stored(redis_url, "http_requests_total")) == {
            'http_requests_total{method="GET",route="/api/nightly",status="200"}': 2
        }
        assert asyncio.run(stored(redis_url, "function_invocations_total")) == {
            'function_invocations_total{function="nightly",outcome="success"}': 2
        }
        assert asyncio.run(stored(redis_url, "rows_synced_total")) == {"rows_synced_total": 6}


def test_the_functions_of_a_cron_service_are_counted(entry_points: Deployment, redis_url: str) -> None:
    """A plain and an asynchronous function, and one that raises: outcome, error, duration and cold starts."""
    with cron_service(entry_points, redis_url) as instance:
        statuses = [run(instance, path) for path in (*_PATHS, "/crons/nightly")]
        assert statuses == [200, 200, 500, 200]
        assert "the source is away" in instance.ipc.log
        instance.freeze()
        found = asyncio.run(stored(redis_url, "function_"))
    assert {name: value for name, value in found.items() if "duration" not in name} == {
        'function_invocations_total{function="nightly",outcome="success"}': 2,
        'function_invocations_total{function="weekly_report",outcome="success"}': 1,
        'function_invocations_total{function="failing",outcome="error"}': 1,
        'function_errors_total{function="failing",type="LookupError"}': 1,
        'function_cold_starts_total{function="nightly"}': 1,
        'function_cold_starts_total{function="weekly_report"}': 1,
        'function_cold_starts_total{function="failing"}': 1,
    }
    counts = {name: value for name, value in found.items() if name.startswith("function_duration_seconds_count")}
    assert counts == {
        'function_duration_seconds_count{function="nightly"}': 2,
        'function_duration_seconds_count{function="weekly_report"}': 1,
        'function_duration_seconds_count{function="failing"}': 1,
    }
    assert asyncio.run(stored(redis_url, "rows_synced_total")) == {"rows_synced_total": 3 + 5 + 7 + 3}


@pytest.mark.parametrize("path", _PATHS)
def test_an_invocation_ends_after_the_flush(entry_points: Deployment, path: str, proxy: Proxy) -> None:
    """An instance that is frozen at the end of a cron loses nothing, since its counts are in Redis by then."""
    with cron_service(entry_points, proxy.url) as instance:
        proxy.hold()
        run_in_time = asyncio.run(_run_while_held(instance, path, proxy))
        instance.freeze()
        assert run_in_time == (500 if path == "/crons/failing" else 200)
        assert sum(asyncio.run(stored(proxy.url, "function_invocations_total")).values()) == 1


async def _run_while_held(instance: VercelInstance, path: str, proxy: Proxy) -> int:
    """Start an invocation, see that it does not end while its flush is held, and let it go."""
    status = asyncio.create_task(asyncio.to_thread(run, instance, path))
    await asyncio.to_thread(proxy.wait_until_held)
    assert not status.done()
    assert not instance.ipc.has_ended(1)
    proxy.let_go()
    return await status

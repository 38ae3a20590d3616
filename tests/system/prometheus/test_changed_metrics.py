"""A rolling deploy that changes metrics, while instances of both versions write and Prometheus scrapes."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import Counter, Gauge, Histogram

from lib.kairo_metrics.store.redis_store import RedisStore
from tests.support.dev_server import dev_server
from tests.support.instance import settings
from tests.support.program import Program
from tests.support.prometheus_server import PrometheusServer
from tests.support.receivers import RECEIVERS, job_at
from tests.support.variants import variants

pytestmark = pytest.mark.prometheus

REQUESTS = 2_000
WINDOW = "[5m]"


def declare_old(program: Program) -> None:
    """Declare the metrics of the deployed version."""
    program.instruments |= {
        "helped": Counter("helped", "Old help.", registry=program.registry),
        "labelled": Counter("labelled", "Labels.", ["route"], registry=program.registry),
        "wait": Histogram("wait", "Wait.", buckets=(0.1, 0.5, 1, 5), registry=program.registry),
        "retyped": Counter("retyped", "Counted.", registry=program.registry),
    }


def declare_new(program: Program) -> None:
    """Declare them with another help, another label, other buckets and another type."""
    program.instruments |= {
        "helped": Counter("helped", "New help.", registry=program.registry),
        "labelled": Counter("labelled", "Labels.", ["method", "route"], registry=program.registry),
        "wait": Histogram("wait", "Wait.", buckets=(0.2, 0.5, 2), registry=program.registry),
        "retyped": Gauge("retyped", "Set.", multiprocess_mode="mostrecent", registry=program.registry),
    }


def serve(instruments: dict[str, Any], amount: float, *, new: bool) -> None:
    """Count one request as a version does."""
    instruments["helped"].inc()
    instruments["labelled"].labels(*(["GET"] if new else []), "/a").inc()
    instruments["wait"].observe(amount)
    if new:
        instruments["retyped"].set(7)
    else:
        instruments["retyped"].inc()


@pytest.fixture(params=variants(RECEIVERS, ["Prometheus 2.42"]))
def watching(request: pytest.FixtureRequest, redis_url: str, tmp_path: Path) -> Iterator[PrometheusServer]:
    """Return each receiver in turn, scraping a page from the Redis of this test."""
    with dev_server(env={"REDIS_URL": redis_url}) as server:
        jobs = [job_at(server.port, "kairo", server.token)]
        with RECEIVERS[request.param].start(tmp_path, jobs, [], "250ms") as receiver:
            yield receiver


def test_no_counter_falls_during_a_rolling_deploy(watching: PrometheusServer, redis_url: str) -> None:
    """While requests move to the new version, no counter resets, no count is lost, and the quantile works."""
    chance = random.Random(3)
    chosen = settings(redis_url)
    store = RedisStore(chosen)
    versions = {False: Program(store, chosen, "old"), True: Program(store, chosen, "new")}
    with versions[False].running():
        declare_old(versions[False])
    for number in range(REQUESTS):
        if number == REQUESTS // 10:
            with versions[True].running():
                declare_new(versions[True])
        new = number >= REQUESTS // 10 and chance.random() < number / REQUESTS
        with versions[new].running():
            serve(versions[new].instruments, chance.expovariate(2), new=new)
        versions[new].flush()
    watching.wait_for(lambda: watching.value("helped_total") == REQUESTS)
    assert watching.value(f"count_over_time(helped_total{WINDOW})") != 0
    assert watching.value("sum(labelled_total)") == REQUESTS
    assert watching.value("wait_count") == REQUESTS
    for series in ("helped_total", "labelled_total", "wait_count", "wait_sum", "wait_bucket", "kairo_batches_total"):
        fallen = [found for found in watching.query(f"resets({series}{WINDOW})") if float(found["value"][1])]
        assert fallen == []
    median = watching.value("histogram_quantile(0.5, wait_bucket)")
    assert median is not None
    assert 0.2 <= median <= 0.5  # the exact value is 0.35
    # The page has the latest type, and counts that another type is still written.
    assert watching.value("retyped") == 7
    assert watching.value('kairo_clashing_schemas{family="retyped"}') == 1

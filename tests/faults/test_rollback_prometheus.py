"""A Redis that is killed and comes up with an older snapshot, scraped by the real Prometheus."""

from __future__ import annotations

import asyncio
import json
import math
import time
from pathlib import Path

import httpx
import pytest

from tests.support.host_server import HostServer, host_server
from tests.support.instance import Instance, redis_instance
from tests.support.prometheus_server import PrometheusServer, prometheus_server
from tests.support.redis_process import RedisProcess

pytestmark = pytest.mark.prometheus

TOKEN = "a-token-of-sixteen-characters"


def serving(redis_process: RedisProcess) -> dict[str, str]:
    """Return the variables of a server of the page."""
    return {"REDIS_URL": redis_process.url, "METRICS_AUTH_TOKEN": TOKEN, "ENABLE_METRICS": "true"}


def scraping(server: HostServer) -> str:
    """Return Prometheus' configuration for this server."""
    job = {
        "job_name": "kairo-cms",
        "metrics_path": "/api/metrics",
        "authorization": {"credentials": TOKEN},
        "static_configs": [{"targets": [f"127.0.0.1:{server.port}"], "labels": {"instance": "cms"}}],
    }
    return json.dumps([job])


def add(instance: Instance, times: int) -> None:
    """Count this number of jobs, one per batch."""
    for _ in range(times):
        instance.add('queue="a"')
        instance.flusher.flush()


def test_an_incident_looks_like_no_reset(redis_process: RedisProcess, tmp_path: Path) -> None:
    """If Redis comes up with an older snapshot and one of two instances ends, increase() is off by the loss at most."""
    one, gone = (redis_instance(redis_process.url) for _ in range(2))
    sent_since, lost = 10, 7
    with host_server(serving(redis_process)) as server, prometheus_server(tmp_path, scraping(server)) as prometheus:
        add(one, 300)
        redis_process.save()
        add(one, 20)
        add(gone, lost)
        prometheus.wait_for(lambda: prometheus.value("jobs_total") == 327)
        began_s = time.time()
        redis_process.kill_and_start()
        wait_for_scrapes(prometheus, 2)
        assert prometheus.value("jobs_total") == 327  # though no instance has sent anything again
        add(one, 5)
        prometheus.wait_for(lambda: restored(prometheus) > 0)
        add(one, 5)
        wait_for_scrapes(prometheus, 2)
        window = f"[{math.ceil(time.time() - began_s)}s]"
        assert prometheus.value(f"resets(jobs_total{window})") == 0
        increase = prometheus.value(f"increase(jobs_total{window})") or 0
        # Prometheus extrapolates to the ends of the window, by less than one scrape interval.
        assert sent_since - lost <= increase <= sent_since + 1
        shown, written_back = prometheus.value("jobs_total") or 0, restored(prometheus)
        assert 327 + sent_since - lost <= shown <= 327 + sent_since
    # A restarted function does not know of the incident, and does not need to.
    with host_server(serving(redis_process)) as server:
        page = httpx.get(f"{server.url}/api/metrics", headers={"Authorization": f"Bearer {TOKEN}"}).text
        assert f'jobs_total{{queue="a"}} {shown:.0f}\n' in page
    # What the page shows was applied, or lost and written back.
    assert shown - written_back == 327 + sent_since - lost
    for instance in (one, gone):
        asyncio.run(instance.close())


def restored(prometheus: PrometheusServer) -> float:
    """Return how much was written back."""
    return prometheus.value('kairo_samples_restored_total{family="jobs"}') or 0


def wait_for_scrapes(prometheus: PrometheusServer, number: int) -> None:
    """Wait for this number of further scrapes by Prometheus."""
    seen = prometheus.value("count_over_time(up[1h])") or 0
    prometheus.wait_for(lambda: (prometheus.value("count_over_time(up[1h])") or 0) >= seen + number)

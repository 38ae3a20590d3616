"""Pushes to the remote-write receiver of the real Prometheus."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import cramjam
import httpx
import pytest

from lib.kairo_metrics.exposition.remote_write import HEADERS
from lib.kairo_metrics.exposition.remote_write_pb2 import WriteRequest
from tests.support.dev_server import DevServer, dev_server
from tests.support.prometheus_server import PrometheusServer, prometheus_server

pytestmark = pytest.mark.prometheus

SECRET = "a-secret-of-the-cron"
SCRAPED = """
- job_name: scraped
  metrics_path: /api/metrics
  static_configs: [{{targets: ["{address}"]}}]
  authorization: {{credentials: "{token}"}}
"""
RECEIVES = ["--web.enable-remote-write-receiver"]


@pytest.fixture
def prometheus(tmp_path: Path) -> Iterator[PrometheusServer]:
    """Run a Prometheus that scrapes nothing and receives pushes."""
    with prometheus_server(tmp_path, flags=RECEIVES) as prometheus:
        yield prometheus


def pushing(prometheus: PrometheusServer, path: str = "/api/v1/write") -> dict[str, str]:
    """Return the variables of a deployment that pushes to this Prometheus."""
    return {
        "METRICS_REMOTE_WRITE_URL": f"{prometheus.url}{path}",
        "METRICS_REMOTE_WRITE_LABELS": "job=pushed,region=fra1",
        "CRON_SECRET": SECRET,
    }


def push(server: DevServer) -> httpx.Response:
    """Request a push as the cron does."""
    return httpx.get(f"{server.url}/api/push", headers={"Authorization": f"Bearer {SECRET}"}, timeout=30)


def traffic(server: DevServer) -> None:
    """Send requests with different labels and numbers."""
    for _ in range(7):
        httpx.get(f"{server.url}/api/content", headers={"X-Tenant": "acme"})
    for _ in range(3):
        httpx.get(f"{server.url}/api/content/nothing", headers={"X-Tenant": "acme"})


def test_a_push_brings_the_numbers_that_a_scrape_brings(prometheus: PrometheusServer, tmp_path: Path) -> None:
    """After the same requests, exactly the series that were scraped were pushed, with the same values."""
    with dev_server(env=pushing(prometheus)) as server:
        traffic(server)
        pushed_at_s = time.time()
        answer = push(server)
        assert answer.status_code == 200, answer.text
        config = SCRAPED.format(address=server.url.removeprefix("http://"), token=server.token)
        (tmp_path / "scraping").mkdir()
        with prometheus_server(tmp_path / "scraping", config) as scraping:
            scraping.wait_for(lambda: bool(scraping.value('up{job="scraped"} == 1')))
            scraped = series(scraping, "scraped")
        pushed = series(prometheus, "pushed")
        assert pushed == scraped
        assert prometheus.value('count({job="pushed"})') == float(answer.text.split()[1])
        assert prometheus.value('sum(http_requests_total{job="pushed",region="fra1",instance="development"})') == 10
        [at] = prometheus.query('timestamp(http_requests_total{job="pushed",status="404"})')
        assert abs(float(at["value"][1]) - pushed_at_s) < 5


def test_the_second_push_continues_the_series_of_the_first(prometheus: PrometheusServer) -> None:
    """Prometheus has one growing counter: a zero, then two pushes that differ by the increments between them."""
    with dev_server(env=pushing(prometheus)) as server:
        traffic(server)
        assert push(server).status_code == 200
        traffic(server)
        assert push(server).status_code == 200
    window = '{job="pushed",status="404"}[5m]'
    assert prometheus.value(f"count_over_time(http_requests_total{window})") == 3
    assert prometheus.value(f"min_over_time(http_requests_total{window})") == 0
    assert prometheus.value(f"resets(http_requests_total{window})") == 0
    assert prometheus.value('http_requests_total{job="pushed",status="404"}') == 6
    assert prometheus.value('kairo_pushes_total{job="pushed",outcome="done"}') == 1


def test_a_receiver_that_is_not_switched_on_is_named(prometheus: PrometheusServer) -> None:
    """The response to the cron has Prometheus' own error."""
    with dev_server(env=pushing(prometheus, "/api/v1/nothing")) as server:
        answer = push(server)
    assert answer.status_code == 502
    assert "127.0.0.1 answered 404" in answer.text


def test_one_series_that_prometheus_refuses_for_good_holds_up_no_other(prometheus: PrometheusServer) -> None:
    """Prometheus has a newer sample of one series: it refuses each push of it, and takes all others each time."""
    refused = 'http_requests_total{job="pushed",status="404"}'
    with dev_server(env=pushing(prometheus)) as server:
        traffic(server)
        assert push(server).status_code == 200
        [labels] = [result["metric"] for result in prometheus.query(refused)]
        write_ahead(prometheus, labels)
        for count in (14, 21):
            traffic(server)
            answer = push(server)
            assert answer.status_code == 502
            taken, left_out = answer.text.splitlines()
            assert left_out.startswith("refused 1: http_requests_total{")
            assert "127.0.0.1 answered 400: out of order sample" in left_out
            assert prometheus.value('http_requests_total{job="pushed",status="200"}') == count
            assert prometheus.value(f"count_over_time({refused}[5m])") == 2  # the zero, and the first push
            times = [result["values"][-1][0] for result in prometheus.query('{job="pushed"}[5m]')]
            assert times.count(max(times)) == float(taken.split()[1])
        assert prometheus.value('kairo_pushed_samples_total{job="pushed",outcome="refused"}') == 1


def write_ahead(prometheus: PrometheusServer, labels: dict[str, str]) -> None:
    """Give Prometheus a sample of this series that is five minutes ahead."""
    message = WriteRequest()
    series = message.timeseries.add()
    for name, value in sorted(labels.items()):
        series.labels.add(name=name, value=value)
    series.samples.add(value=1e9, timestamp=int((time.time() + 300) * 1000))
    body = bytes(cramjam.snappy.compress_raw(message.SerializeToString()))
    httpx.post(f"{prometheus.url}/api/v1/write", content=body, headers=HEADERS).raise_for_status()


def series(prometheus: PrometheusServer, job: str) -> dict[tuple[tuple[str, str], ...], float]:
    """Return the series of a job without the target's labels, and without those about the page itself."""
    found = {}
    for result in prometheus.query(f'{{job="{job}",__name__!~"kairo_.*|scrape_.*|up"}}'):
        labels = {name: value for name, value in result["metric"].items() if name not in {"job", "instance", "region"}}
        found[tuple(sorted(labels.items()))] = float(result["value"][1])
    return found

"""Pushes to real receivers, in the protocol that each of them takes: remote write 1.0, remote write 2.0 and OTLP."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import cramjam
import httpx
import pytest

from lib.kairo_metrics.endpoints.pusher import Pusher, PushOutcome
from lib.kairo_metrics.exposition.family import Exemplar, Family
from lib.kairo_metrics.exposition.page import Page
from lib.kairo_metrics.exposition.remote_write import HEADERS
from lib.kairo_metrics.exposition.remote_write_pb2 import WriteRequest
from lib.kairo_metrics.model.schema import Schema
from tests.support.dev_server import DevServer, dev_server
from tests.support.prometheus_server import PrometheusServer, prometheus_server
from tests.support.push_settings import push_settings
from tests.support.receivers import RECEIVERS, fetched, job_at
from tests.support.variants import variants

pytestmark = pytest.mark.prometheus

SECRET = "a-secret-of-the-cron"
OLD, NEW, VICTORIA = "Prometheus 2.42", "Prometheus 3.5", "VictoriaMetrics 1.145"


@pytest.fixture(params=variants([OLD, NEW], [NEW]))
def prometheus(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[PrometheusServer]:
    """Run a Prometheus that scrapes nothing and receives pushes: the first gets remote write 1.0, the other 2.0."""
    with RECEIVERS[request.param].start(tmp_path, [], []) as prometheus:
        yield prometheus


def pushing(prometheus: PrometheusServer, path: str = "/api/v1/write") -> dict[str, str]:
    """Return the variables of a deployment that pushes to this Prometheus."""
    return {
        "METRICS_REMOTE_WRITE_URL": f"{prometheus.url}{path}",
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"{prometheus.url}/opentelemetry",
        "METRICS_REMOTE_WRITE_LABELS": "job=pushed,region=fra1",
        "CRON_SECRET": SECRET,
    }


def push(server: DevServer) -> httpx.Response:
    """Request a push as the cron does."""
    return httpx.get(f"{server.url}/api/push", headers={"Authorization": f"Bearer {SECRET}"}, timeout=30)


def traffic(server: DevServer) -> None:
    """Send requests with different labels and numbers."""
    for _ in range(7):
        httpx.get(f"{server.url}/api/content", headers={"X-Tenant": "acme"}, timeout=30)
    for _ in range(3):
        httpx.get(f"{server.url}/api/content/nothing", headers={"X-Tenant": "acme"}, timeout=30)


@pytest.mark.parametrize(
    ("name", "protocol"),
    [
        (OLD, "remote-write-1"),
        (NEW, "remote-write"),
        pytest.param(VICTORIA, "remote-write", marks=pytest.mark.long),
        (VICTORIA, "otlp"),
    ],
)
def test_a_push_brings_the_numbers_that_a_scrape_brings(name: str, protocol: str, tmp_path: Path) -> None:
    """After the same requests, exactly the series that were scraped were pushed, with the same values."""
    for folder in ("receiving", "scraping"):
        (tmp_path / folder).mkdir()
    start = RECEIVERS[name].start
    with (
        start(tmp_path / "receiving", [], []) as receiving,
        dev_server(env={**pushing(receiving), "METRICS_PUSH_PROTOCOL": protocol}) as server,
    ):
        traffic(server)
        pushed_at_s = time.time()
        answer = push(server)
        assert answer.status_code == 200, answer.text
        assert len(answer.text.splitlines()) == 1
        with start(tmp_path / "scraping", [job_at(server.port, "scraped", server.token)], []) as scraping:
            scraping.wait_for(lambda: bool(scraping.query('http_requests_total{job="scraped"}')))
            scraped = series(scraping, "scraped")
        receiving.wait_for(lambda: series(receiving, "pushed") == scraped)
        total = 'http_requests_total{job="pushed",region="fra1",instance="development"}'
        assert receiving.value(f"sum({total})") == 10
        if protocol != "otlp":  # a data point may be several samples
            assert receiving.value('count({job="pushed"})') == float(answer.text.split()[1])
        [at] = receiving.query('timestamp(http_requests_total{job="pushed",status="404"})')
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


def a_minute_ago_ms() -> int:
    return int(time.time() * 1000) - 60_000


def page(*families: Family) -> Page:
    return Page(families, a_minute_ago_ms())


def send(url: str, pushed: Page) -> PushOutcome:
    """Push a page by remote write 2.0, as a function that has just started."""
    return Pusher(push_settings(f"{url}/api/v1/write")).push(pushed, time.monotonic() + 20)


def test_a_prometheus_that_takes_no_native_histograms_gets_classic_ones(tmp_path: Path) -> None:
    """Without its feature, Prometheus 3.5 refuses a body with one in it: the others arrive, and it comes classic."""
    fine = Family(Schema("fine", "native", (), ("4.0", "+Inf")), {b"": b"12 4 1 0 0.001 2:2,3:1 -"})
    jobs = Family(Schema("jobs", "counter"), {b"": b"5"})
    receives = ["--web.enable-remote-write-receiver"]
    with prometheus_server(tmp_path, flags=receives, program=fetched("forky", "prometheus")) as prometheus:
        outcome = send(prometheus.url, page(fine, jobs))
        found = {name: prometheus.value(name) for name in ("jobs_total", "fine_count", "fine_sum")}
        at_four = prometheus.value('fine_bucket{le="4.0"}')
    assert (outcome.values.refused, outcome.values.unconfirmed) == (0, 0)
    assert outcome.remarks == [
        "native histograms were sent as classic ones: 127.0.0.1 answered 500: native histograms are disabled"
    ]
    assert (found, at_four) == ({"jobs_total": 5, "fine_count": 4, "fine_sum": 12}, 3)


@pytest.mark.parametrize(
    ("accepted", "protocol", "taken"),
    [
        ("prometheus.WriteRequest", "remote-write", 1),
        ("io.prometheus.write.v2.Request", "remote-write", 1),
        ("io.prometheus.write.v2.Request", "remote-write-1", 0),
    ],
)
def test_a_prometheus_that_accepts_one_version_gets_that_one(
    tmp_path: Path, accepted: str, protocol: str, taken: int
) -> None:
    """Prometheus 3.5 answers 415 to the other one; the newer one is fallen back from, and never to."""
    flags = ["--web.enable-remote-write-receiver", f"--web.remote-write-receiver.accepted-protobuf-messages={accepted}"]
    with prometheus_server(tmp_path, flags=flags, program=fetched("forky", "prometheus")) as prometheus:
        pusher = Pusher(push_settings(f"{prometheus.url}/api/v1/write", protocol=protocol))
        outcome = pusher.push(page(Family(Schema("jobs", "counter"), {b"": b"5"})), time.monotonic() + 10)
    assert outcome.protocol == ("remote write 2.0" if "v2" in accepted and taken else "remote write 1.0")
    assert (outcome.values.taken, outcome.values.ended) == (taken, not taken)
    assert taken or "answered 415" in outcome.values.reason


def test_an_exemplar_that_comes_too_late_costs_no_sample(tmp_path: Path) -> None:
    """Prometheus 3.5 answers 400 to it and keeps the sample: the sample counts as taken, and the rest is told."""
    schema = Schema("jobs", "counter")
    with RECEIVERS[NEW].start(tmp_path, [], []) as prometheus:
        outcomes, begun_ms = [], a_minute_ago_ms()
        for number, at_ms in enumerate((begun_ms, begun_ms - 5_000), start=1):
            marked = {b"": {1: Exemplar(b'trace_id="%d"' % number, b"1", at_ms)}}
            outcomes.append(
                send(prometheus.url, Page((Family(schema, {b"": b"%d" % number}, marked),), begun_ms + number))
            )
        assert prometheus.value("jobs_total") == 2
    assert [outcome.values.refused for outcome in outcomes] == [0, 0]
    assert outcomes[0].values.remarks == []
    [remark] = outcomes[1].values.remarks
    assert remark.startswith("127.0.0.1 answered 400 and has not written 1 of 1 exemplars: out of order exemplar")


@pytest.mark.parametrize("ago_ms", [60_000, 7_200_000])
def test_a_native_histogram_does_not_end_prometheus(tmp_path: Path, ago_ms: int) -> None:
    """Prometheus 3.5 ends if one says that it began hours ago, or at the time of its last sample: ours does not say."""
    schema, now_ms = Schema("fine", "native", (), ("4.0", "+Inf")), int(time.time() * 1000) - 30_000
    began_ms = now_ms - ago_ms
    with RECEIVERS[NEW].start(tmp_path, [], []) as prometheus:
        for number in range(1, 4):
            line = b"%d %d 0 0 0.001 0:%d -" % (number, number, number)
            sent = Page((Family(schema, {b"": line}, began={b"": began_ms}),), now_ms + number * 1_000)
            outcome = send(prometheus.url, sent)
            assert (outcome.values.taken, outcome.values.unconfirmed) == (1, 0)
        [row] = prometheus.query("fine[5m]")
        zeros = [0] if ago_ms < 3_600_000 else []
        assert [float(histogram["count"]) for _, histogram in row["histograms"]] == [*zeros, 1, 2, 3]
        assert not zeros or round(row["histograms"][0][0] * 1000) == began_ms


def series(prometheus: PrometheusServer, job: str) -> dict[tuple[tuple[str, str], ...], float]:
    """Return the series of a job without the target's labels, and without those about the page itself.

    A bound is a number: receivers of OTLP print it in their own way.
    """
    target = {"job", "instance", "region", "service.name", "service.instance.id"}
    found = {}
    for result in prometheus.query(f'{{job="{job}",__name__!~"kairo_.*|scrape_.*|up"}}'):
        labels = {name: value for name, value in result["metric"].items() if name not in target}
        if "le" in labels:
            labels["le"] = str(float(labels["le"]))
        found[tuple(sorted(labels.items()))] = float(result["value"][1])
    return found

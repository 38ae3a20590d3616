"""The real receivers scrape every page of random hostile registries, and take every push of them."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as hypothesis_settings

from lib.kairo_metrics.endpoints.pusher import Pusher
from lib.kairo_metrics.exposition.family import Extras
from lib.kairo_metrics.exposition.negotiate import choose_format
from lib.kairo_metrics.exposition.page import Page
from lib.kairo_metrics.scrape.collector import Limits, collect
from tests.support.examples import examples
from tests.support.hostile_registries import REGISTRIES, Registry, store_of
from tests.support.prometheus_server import PrometheusServer
from tests.support.push_settings import push_settings
from tests.support.receivers import RECEIVERS
from tests.support.served_pages import served
from tests.support.variants import variants

pytestmark = pytest.mark.prometheus

OPENMETRICS = "application/openmetrics-text;version=1.0.0"
PROTOBUF = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"
TEXT = "text/plain;version=1.0.0"
# What each receiver can read. Prometheus 2 knows no names in quotes, and VictoriaMetrics only text.
OLD = ("", OPENMETRICS, PROTOBUF, f"{OPENMETRICS};escaping=dots", f"{OPENMETRICS};escaping=values")
ACCEPTED = {
    "Prometheus 2.42": OLD,
    "Prometheus 2.53": OLD,
    "Prometheus 3.5": (*OLD, f"{OPENMETRICS};escaping=allow-utf-8", f"{TEXT};escaping=allow-utf-8"),
    "VictoriaMetrics 1.145": ("",),
}
# A receiver has ten seconds for a round of all pages, also in make fuzz.
MOST = 150
# Samples that are there twice for Prometheus, and lines that VictoriaMetrics does not understand.
FAULTS = re.compile(
    r"^(?:prometheus_target_scrapes_sample_duplicate_timestamp_total|vm_rows_invalid_total\{.*\}) (.*)$", re.MULTILINE
)


def page_of(registry: Registry, extras: Extras) -> Page:
    """Return the page of a registry, as read now."""
    scrape = asyncio.run(collect(store_of(registry), Limits(7_200), extras=extras))
    return replace(scrape.page, at_ms=int(time.time() * 1000))


def pages_of(registries: list[Registry], accepted: Sequence[str]) -> dict[str, tuple[str, bytes]]:
    """Return the page of each registry in each format, by its path."""
    pages = {}
    for number, registry in enumerate(registries):
        for place, accept in enumerate(accepted):
            form = choose_format(accept)
            page = page_of(registry, form.printed_extras)
            pages[f"/{number}/{place}"] = form.content_type_header, b"".join(form.render(page))
    return pages


def push(receiver: PrometheusServer, protocol: str, number: int, registry: Registry) -> None:
    """Push a registry, and fail if a sample is refused."""
    pushes = push_settings(
        f"{receiver.url}/api/v1/write",
        protocol=protocol,
        otlp_url=f"{receiver.url}/opentelemetry/v1/metrics",
        labels={"job": protocol, "instance": str(number)},
    )
    pusher = Pusher(pushes)
    outcome = pusher.push(page_of(registry, pusher.extras), time.monotonic() + 30)
    assert (outcome.values.refused, outcome.values.unconfirmed, outcome.values.reason) == (0, 0, ""), registry
    assert outcome.remarks == [], registry


def drawn(count: int) -> list[Registry]:
    """Draw registries at random."""
    registries: list[Registry] = []

    @hypothesis_settings(max_examples=count, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
    @given(REGISTRIES)
    def draw(registry: Registry) -> None:
        registries.append(registry)

    draw()
    return registries


def _scraped(receiver: PrometheusServer) -> int:
    """Return how many targets were scraped; VictoriaMetrics calls one down before its first scrape."""
    return sum(target["health"] == "up" or target["lastError"] != "" for target in receiver.targets())


@pytest.mark.parametrize("name", variants(RECEIVERS, ["Prometheus 2.42"]))
def test_a_receiver_takes_every_page_and_every_push(name: str, tmp_path: Path) -> None:
    """No target is down, no sample is there twice, no line is invalid, and no protocol of pushes is refused."""
    registries = drawn(min(examples(30), MOST))
    pages = pages_of(registries, ACCEPTED[name])
    receiver = RECEIVERS[name]
    with served(pages) as address:
        jobs = [{"job_name": path, "metrics_path": path, "static_configs": [{"targets": [address]}]} for path in pages]
        with receiver.start(tmp_path, jobs, [], "10s") as running:
            running.wait_for(lambda: _scraped(running) == len(pages), 90)
            down = {t["labels"]["job"]: t["lastError"] for t in running.targets() if t["health"] != "up"}
            assert down == {}, [pages[path][1].decode(errors="replace") for path in down][:1]
            counted = FAULTS.findall(httpx.get(f"{running.url}/metrics").text)
            assert counted
            assert {float(count) for count in counted} == {0}
            for protocol in receiver.protocols:
                for number, registry in enumerate(registries):
                    push(running, protocol, number, registry)

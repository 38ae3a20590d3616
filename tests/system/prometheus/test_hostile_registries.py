"""The real Prometheus scrapes every page of random hostile registries, and takes every push of them."""

from __future__ import annotations

import asyncio
import json
import re
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as hypothesis_settings

from lib.kairo_metrics.exposition.negotiate import choose_format
from lib.kairo_metrics.exposition.remote_write import HEADERS, body_of, write_requests
from lib.kairo_metrics.scrape.collector import Limits, collect
from tests.support.examples import examples
from tests.support.hostile_registries import REGISTRIES, Registry, store_of
from tests.support.prometheus_server import PrometheusServer, prometheus_server
from tests.support.served_pages import served

pytestmark = pytest.mark.prometheus

OPENMETRICS = "application/openmetrics-text;version=1.0.0"
PROTOBUF = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"
# What Prometheus 2.42 can read: it knows no names in quotes.
ACCEPTED = ("", OPENMETRICS, PROTOBUF, f"{OPENMETRICS};escaping=dots", f"{OPENMETRICS};escaping=values")
FLAGS = ["--web.enable-remote-write-receiver", "--enable-feature=native-histograms,exemplar-storage"]
DUPLICATES = re.compile(r"^prometheus_target_scrapes_sample_duplicate_timestamp_total (.*)$", re.MULTILINE)


def pages_of(registries: list[Registry]) -> dict[str, tuple[str, bytes]]:
    """Return the page of each registry in each format, by its path."""
    pages = {}
    for number, registry in enumerate(registries):
        for place, accept in enumerate(ACCEPTED):
            form = choose_format(accept)
            scrape = asyncio.run(collect(store_of(registry), Limits(7_200), extras=form.printed_extras))
            pages[f"/{number}/{place}"] = form.content_type_header, b"".join(form.render(scrape.page))
    return pages


def push(prometheus: PrometheusServer, number: int, registry: Registry) -> None:
    """Push a registry, and fail if one body is refused."""
    page = replace(asyncio.run(collect(store_of(registry), Limits(7_200))).page, at_ms=int(time.time() * 1000))
    for series in write_requests(page, {"job": "pushed", "instance": str(number)}):
        answer = httpx.post(f"{prometheus.url}/api/v1/write", content=body_of(series).data, headers=HEADERS)
        assert answer.is_success, (answer.text, registry)


def drawn(count: int) -> list[Registry]:
    """Draw registries at random."""
    registries: list[Registry] = []

    @hypothesis_settings(max_examples=count, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
    @given(REGISTRIES)
    def draw(registry: Registry) -> None:
        registries.append(registry)

    draw()
    return registries


def test_prometheus_takes_every_page_and_every_push() -> None:
    """No target is down, no sample is there twice, and the receiver refuses no body."""
    registries = drawn(examples(30))
    pages = pages_of(registries)
    with served(pages) as address, tempfile.TemporaryDirectory() as folder:
        jobs = [{"job_name": path, "metrics_path": path, "static_configs": [{"targets": [address]}]} for path in pages]
        with prometheus_server(Path(folder), json.dumps(jobs), interval="10s", flags=FLAGS) as prometheus:
            prometheus.wait_for(lambda: sum(t["health"] != "unknown" for t in prometheus.targets()) == len(pages))
            down = {t["labels"]["job"]: t["lastError"] for t in prometheus.targets() if t["health"] != "up"}
            assert down == {}, [pages[path][1].decode(errors="replace") for path in down][:1]
            duplicates = DUPLICATES.search(httpx.get(f"{prometheus.url}/metrics").text)
            assert duplicates is not None
            assert float(duplicates[1]) == 0
            for number, registry in enumerate(registries):
                push(prometheus, number, registry)

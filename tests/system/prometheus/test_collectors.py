"""The real Prometheus scrapes what collectors give, of every type and with every fault, in every format."""

from __future__ import annotations

import asyncio
import json
import subprocess
import time
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from lib.kairo_metrics.exposition.negotiate import choose_format
from lib.kairo_metrics.scrape.state_reader import StateReader
from tests.support.collectors import Stock, every_type, faulty
from tests.support.instance import memory_instance, settings
from tests.support.prometheus_server import prometheus_server, require
from tests.support.served_pages import served

pytestmark = pytest.mark.prometheus

FORMATS = {
    "text": "text/plain;version=0.0.4",
    "openmetrics": "application/openmetrics-text;version=1.0.0",
    "protobuf": "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited",
}
# The exit code of promtool when it only has advice about names and help texts, and no error.
ADVICE = 3


def pages() -> dict[str, tuple[str, bytes]]:
    """Return a page with the families of all collectors in each format, by its path."""
    registry = CollectorRegistry(target_info={"env": "test"})
    for collect in (every_type, faulty):
        registry.register(Stock(collect))

    async def page_in(accept: str) -> tuple[str, bytes]:
        instance, form = memory_instance(), choose_format(accept)
        reader = StateReader(instance.store, settings(), instance.flusher.aflush, lambda: [registry])
        page, _ = await reader.read_page(time.perf_counter(), 30.0, extras=form.printed_extras)
        return form.content_type_header, b"".join(form.render(page))

    return {f"/{name}": asyncio.run(page_in(accept)) for name, accept in FORMATS.items()}


def test_prometheus_reads_the_values_of_collectors_in_every_format(tmp_path: Path) -> None:
    """No target is down, and counts, buckets, quantiles and states are those of the collector."""
    found = pages()
    expected = {
        "made_total": 3,
        'level_ratio{shelf="a\\"b\\n\\\\"}': 0.5,
        "legacy": 4,
        'wait_bucket{queue="a",le="1.0"}': 2,
        'wait_bucket{queue="b",le="+Inf"}': 1,
        'sizes_bucket{le="1.0"}': 2,
        "rpc_sum": 4.5,
        'delay{zone="a",quantile="0.99"}': 0.9,
        'build_info{version="1.2"}': 1,
        'mode{mode="on"}': 1,
        'target_info{env="test"}': 1,
        'twice{shelf="a"}': 1,
        "measured_before": 6,
    }
    with served(found) as address:
        jobs = [{"job_name": path, "metrics_path": path, "static_configs": [{"targets": [address]}]} for path in found]
        with prometheus_server(tmp_path, json.dumps(jobs), interval="1s") as prometheus:
            prometheus.wait_for(lambda: sum(t["health"] != "unknown" for t in prometheus.targets()) == len(found))
            assert [t["lastError"] for t in prometheus.targets() if t["health"] != "up"] == []
            for series, value in expected.items():
                shown = prometheus.query(series)
                assert {row["metric"]["job"]: float(row["value"][1]) for row in shown} == dict.fromkeys(found, value), (
                    series
                )


def test_promtool_accepts_the_page() -> None:
    """Prometheus' own linter finds no error in the text."""
    _, page = pages()["/text"]
    checked = subprocess.run([require("promtool"), "check", "metrics"], input=page, capture_output=True, check=False)
    assert checked.returncode in {0, ADVICE}, checked.stderr
    assert b"error while linting" not in checked.stderr

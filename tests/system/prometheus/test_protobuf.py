"""The protobuf format, as the real Prometheus reads it."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from tests.support.dev_server import dev_server
from tests.support.prometheus_server import prometheus_server
from tests.support.protobuf_page import decoded

ACCEPT = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"


@pytest.mark.prometheus
def test_prometheus_reads_the_messages(tmp_path: Path) -> None:
    """A Prometheus with native histograms requests this format, and reads the same numbers as from the text page."""
    with dev_server() as server:
        for _ in range(4):
            httpx.get(f"{server.url}/api/content", headers={"X-Tenant": "acme"})
        page = httpx.get(
            f"{server.url}/api/metrics", headers={"Authorization": f"Bearer {server.token}", "Accept": ACCEPT}
        )
        assert page.headers["Content-Type"].startswith("application/vnd.google.protobuf; proto=io.prometheus.client")
        counters = {family.name: family for family in decoded(page.content)}["http_requests_total"].metric
        assert all(metric.counter.created_timestamp.seconds for metric in counters)
        config = f"""
- job_name: kairo
  metrics_path: /api/metrics
  static_configs: [{{targets: ["{server.url.removeprefix("http://")}"]}}]
  authorization: {{credentials: "{server.token}"}}
"""
        with prometheus_server(tmp_path, config, flags=["--enable-feature=native-histograms"]) as prometheus:
            prometheus.wait_for(lambda: prometheus.value("sum(http_requests_total)") == 4)
            assert prometheus.value("sum(http_request_duration_seconds_count)") == 4
            assert prometheus.value('sum(http_request_duration_seconds_bucket{le="+Inf"})') == 4

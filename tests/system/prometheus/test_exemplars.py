"""Exemplars in the real Prometheus."""

from __future__ import annotations

import httpx
import pytest

from tests.support.dev_server import dev_server
from tests.support.prometheus_server import prometheus_server

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
SAMPLED = {"traceparent": f"00-{TRACE}-{SPAN}-01"}


@pytest.mark.prometheus
def test_prometheus_answers_with_the_trace_of_a_request(tmp_path_factory: pytest.TempPathFactory) -> None:
    """The real Prometheus stores the exemplars that it scrapes, and returns the trace of a slow bucket."""
    with dev_server() as server:
        config = f"""
- job_name: kairo
  metrics_path: /api/metrics
  static_configs: [{{targets: ["{server.url.removeprefix("http://")}"]}}]
  authorization: {{credentials: "{server.token}"}}
"""
        for _ in range(3):
            httpx.get(f"{server.url}/api/content", headers={"X-Tenant": "acme", **SAMPLED})
        flags = ["--enable-feature=exemplar-storage"]
        with prometheus_server(tmp_path_factory.mktemp("prometheus"), config, flags=flags) as prometheus:

            def traces() -> set[str]:
                query = {"query": "http_request_duration_seconds_bucket", "start": "0", "end": "9999999999"}
                answer = httpx.get(f"{prometheus.url}/api/v1/query_exemplars", params=query).json()
                return {found["labels"]["trace_id"] for series in answer["data"] for found in series["exemplars"]}

            prometheus.wait_for(lambda: bool(traces()))
            assert traces() == {TRACE}

"""Native histograms in the real Prometheus: quantiles of the observations of functions."""

from __future__ import annotations

import random
from pathlib import Path

import httpx
import pytest

from lib.kairo_metrics.model.native_counts import upper_bound
from tests.support.dev_server import dev_server
from tests.support.prometheus_server import prometheus_server

FUNCTION = """
from prometheus_client import CollectorRegistry
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from lib.kairo_metrics import NativeHistogram, install, instrument
from lib.kairo_metrics.store.store_interface import Store

# The dev server runs all functions in one process, where an instrument's name is taken once in a registry.
REGISTRY = CollectorRegistry()
install(REGISTRY)
WAIT = NativeHistogram("wait_seconds", "Wait.", ["of"], schema={schema}, registry=REGISTRY)

async def observe(request):
    for amount in request.query_params["amounts"].split():
        WAIT.labels("a").observe(float(amount))
    return PlainTextResponse("")

app = instrument(Starlette(routes=[Route("/{{path:path}}", observe)]))
"""


METRICS = "from lib.kairo_metrics import metrics_app\n\napp = metrics_app()\n"


@pytest.mark.prometheus
def test_prometheus_finds_the_quantile_that_was_observed(tmp_path: Path) -> None:
    """`histogram_quantile(0.95, rate(x[5m]))` over functions of two resolutions is as exact as documented."""
    (tmp_path / "api").mkdir()
    (tmp_path / "vercel.json").write_text("{}")
    for name, schema in (("one", 3), ("two", 5)):
        (tmp_path / "api" / f"{name}.py").write_text(FUNCTION.format(schema=schema))
    (tmp_path / "api" / "metrics.py").write_text(METRICS)
    (tmp_path / "lib").symlink_to(Path(__file__).parents[3] / "lib")
    chance = random.Random(11)
    amounts = [chance.lognormvariate(-3, 1.2) for _ in range(4_000)]
    with dev_server(tmp_path) as server:
        config = f"""
- job_name: kairo
  metrics_path: /api/metrics
  static_configs: [{{targets: ["{server.url.removeprefix("http://")}"]}}]
  authorization: {{credentials: "{server.token}"}}
"""
        flags = ["--enable-feature=native-histograms"]
        (tmp_path / "prometheus").mkdir()
        with prometheus_server(tmp_path / "prometheus", config, flags=flags) as prometheus:
            for name in (
                "one",
                "two",
            ):  # both series exist before the first observation, so that a rate includes all observations
                httpx.get(f"{server.url}/api/{name}", params={"amounts": "0.05"})
            prometheus.wait_for(lambda: prometheus.value("histogram_count(wait_seconds)") == 2)
            for start in range(0, len(amounts), 100):
                words = " ".join(map(str, amounts[start : start + 100]))
                httpx.get(f"{server.url}/api/{('one', 'two')[start // 100 % 2]}", params={"amounts": words})
            prometheus.wait_for(lambda: prometheus.value("histogram_count(wait_seconds)") == 4_002)
            exact = sorted(amounts)
            for quantile in (0.5, 0.95):
                found = prometheus.value(f"histogram_quantile({quantile}, rate(wait_seconds[5m]))")
                assert found is not None
                at = exact[int(quantile * len(exact))]
                # The estimate is in the right bucket, and a bucket of schema 3 is 9% wide.
                assert abs(found - at) / at < upper_bound(1, 3) - 1
            assert prometheus.value("histogram_sum(wait_seconds)") == pytest.approx(sum(amounts) + 0.1)

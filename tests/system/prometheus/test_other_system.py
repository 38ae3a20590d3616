"""A user's own system, called shop: its rules and its dashboard in the real Prometheus, and nobody's else."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from lib.kairo_metrics.dev.grafana.system import System
from lib.kairo_metrics.dev.grafana.system_files import files_of
from tests.support.alert_rules import quick
from tests.support.dev_server import REPOSITORY, DevServer, dev_server
from tests.support.prometheus_server import PrometheusServer, prometheus_server

pytestmark = [pytest.mark.prometheus, pytest.mark.long]

SHOP = System(job="shop-.*", title="Shop", prefix="shop_", without=frozenset({"database", "push"}))
ORDERS = """
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from lib.kairo_metrics import instrument

async def orders(request):
    return PlainTextResponse("sold out", int(request.query_params["status"]))

app = instrument(Starlette(routes=[Route("/api/orders", orders)]), prefix="shop_")
"""
METRICS = "from lib.kairo_metrics import metrics_app\n\napp = metrics_app()\n"
CONFIG = """
- job_name: {job}
  metrics_path: /api/metrics
  static_configs: [{{targets: ["127.0.0.1:{port}"], labels: {{environment: live}}}}]
  authorization: {{credentials: "{token}"}}
"""


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DevServer]:
    """Serve a project with one function that answers as it is asked."""
    root = tmp_path_factory.mktemp("shop")
    (root / "api").mkdir()
    (root / "api" / "orders.py").write_text(ORDERS)
    (root / "api" / "metrics.py").write_text(METRICS)
    (root / "lib").symlink_to(REPOSITORY / "lib")
    with dev_server(root) as server:
        yield server


def made(folder: Path, system: System = SHOP) -> list[Path]:
    """Write the system's rules, with seconds in the place of minutes."""
    for name in ("rules/alerts.yml", "rules/recording.yml"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(files_of(system)[name])
    return quick((folder / "rules").glob("*.yml"), folder)


def firing(prometheus: PrometheusServer) -> set[str]:
    """Return the names of the alerts that fire."""
    return {row["metric"]["alertname"] for row in prometheus.query('ALERTS{alertstate="firing"}')}


def test_a_failing_shop_raises_its_own_alerts_until_its_page_is_gone(shop: DevServer, tmp_path: Path) -> None:
    """With 100% errors HighErrorRate fires and MetricsAbsent does not; without the job it is the other way round.

    The panels of the shop's dashboard have their numbers meanwhile.
    """
    config = CONFIG.format(job="shop-production", port=shop.port, token=shop.token)
    # A series without new samples ends after this time, by default 5 minutes.
    flags = ["--web.enable-lifecycle", "--query.lookback-delta=5s"]
    with prometheus_server(tmp_path, config, rules=made(tmp_path), flags=flags) as prometheus:

        def fails() -> bool:
            for _ in range(5):
                httpx.get(f"{shop.url}/api/orders?status=500")
            return "HighErrorRate" in firing(prometheus)

        prometheus.wait_for(fails, 60)
        assert "MetricsAbsent" not in firing(prometheus)
        [alert] = prometheus.query('ALERTS{alertname="HighErrorRate",alertstate="firing"}')
        assert (alert["metric"]["job"], alert["metric"]["environment"]) == ("shop-production", "live")
        assert {rule["health"] for rule in prometheus.rules().values()} == {"ok"}
        assert answered(prometheus) >= {"Requests", "Error rate", "Rate by route", "Errors over time", "Flushes"}

        def is_all_errors() -> bool:
            fails()
            return [float(rate["value"][1]) for rate in prometheus.query(query_of("Error rate"))] == [1]

        prometheus.wait_for(is_all_errors, 60)

        # Another system's job is still scraped, and is none of the shop's.
        text = (tmp_path / "prometheus.yml").read_text().replace("shop-production", "blog-production")
        (tmp_path / "prometheus.yml").write_text(text)
        httpx.post(f"{prometheus.url}/-/reload").raise_for_status()
        prometheus.wait_for(lambda: firing(prometheus) == {"MetricsAbsent"}, 60)


def query_of(title: str) -> str:
    """Return the first query of a panel, with its variables filled in."""
    document = json.loads(files_of(SHOP)["dashboard.json"])
    [query] = [panel["targets"][0]["expr"] for panel in document["panels"] if panel["title"] == title]
    filled = re.sub(r"\[\$__\w+\]|\[\d+[md]\]", "[10s]", query)
    return re.sub(r"\$(environment|route)", ".*", filled).replace("$job", SHOP.job)


def answered(prometheus: PrometheusServer) -> set[str]:
    """Return the titles of the panels whose first query has a result."""
    document = json.loads(files_of(SHOP)["dashboard.json"])
    titles = [panel["title"] for panel in document["panels"] if panel.get("targets")]
    return {title for title in titles if prometheus.query(query_of(title))}

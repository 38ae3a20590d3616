"""The dashboard of other projects: their own metrics, their own file, and the numbers of a Prometheus."""

from __future__ import annotations

import shutil
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, expect

from tests.support.browser import DESKTOP, DashboardPage
from tests.support.dashboard_tab import Open, send
from tests.support.dev_server import REPOSITORY, dev_server
from tests.support.prometheus_server import prometheus_server

pytestmark = pytest.mark.long


def test_the_text_of_a_metric_is_enough_to_see_it(browser: Browser, tmp_path: Path) -> None:
    """In a user's own project every metric that no panel shows is drawn by its type, and can be searched."""
    with dev_server(own_project(tmp_path / "my-shop")) as server, httpx.Client(base_url=server.url) as client:
        client.get("/order?kind=toy")
        dashboard = DashboardPage(browser.new_context(viewport=DESKTOP), server)
        dashboard.page.goto(f"{server.url}/dashboard")
        page = dashboard.page
        expect(page.locator("#title")).to_have_text("My Shop")
        expect(page.get_by_role("button", name="Your metrics")).to_have_attribute("aria-expanded", "true")
        orders = dashboard.panel("orders_total").locator(".legend")
        expect(orders).to_contain_text('{kind="toy"}', timeout=20_000)
        client.get("/order?kind=book")
        expect(orders).to_contain_text('{kind="book"}', timeout=10_000)
        # A histogram as quantiles and as a heat map, a gauge as its value, an info as a table.
        names = dashboard.panel("basket_euros").locator(".legend button")
        expect(names).to_have_text(["p50", "p95", "p99"])
        expect(dashboard.panel("basket_euros, all observations").locator("canvas")).to_be_visible()
        expect(dashboard.panel("stock_items").locator(".legend td").first).to_have_text("7")
        expect(dashboard.panel("build_info").locator("tbody")).to_contain_text("1.2")
        titles = page.locator("#row-own article:visible h3")
        shown = titles.all_inner_texts()
        assert len(shown) == len(set(shown))
        assert "shop_http_requests_total" not in shown
        assert [one for one in shown if one.startswith("kairo_")] == shown[
            -sum(one.startswith("kairo_") for one in shown) :
        ]
        page.keyboard.press("/")
        page.keyboard.type("WORTH basket")
        expect(titles).to_have_text(["basket_euros", "basket_euros, all observations"])
        page.get_by_label("Search your metrics").fill("nothing of the kind")
        expect(titles).to_have_count(0)
        expect(page.get_by_text("No metric has these words.")).to_be_visible()
        page.context.close()
        assert dashboard.complaints == []


OWN_APP = """
from prometheus_client import Counter, Gauge, Histogram, Info
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from lib.kairo_metrics import instrument

ORDERS = Counter("orders_total", "Orders placed, by kind.", ["kind"])
BASKET = Histogram("basket_euros", "Worth of a basket.", buckets=(5, 10, 50))
STOCK = Gauge("stock_items", "Items in stock.", multiprocess_mode="mostrecent")
Info("build", "What runs.").info({"version": "1.2"})

async def order(request):
    ORDERS.labels(request.query_params["kind"]).inc()
    BASKET.observe(7)
    STOCK.set(7)
    return PlainTextResponse("thanks")

app = instrument(Starlette(routes=[Route("/order", order)]), prefix="shop_", metrics_path="/api/metrics")
"""


def own_project(root: Path) -> Path:
    """Write a user's project: one app for every path, with metrics of its own."""
    (root / "api").mkdir(parents=True)
    (root / "api" / "index.py").write_text(OWN_APP)
    (root / "vercel.json").write_text('{"rewrites": [{"source": "/(.*)", "destination": "/api/index"}]}')
    (root / "lib").symlink_to(REPOSITORY / "lib")
    return root


@pytest.mark.prometheus
def test_with_a_prometheus_the_numbers_are_its_own(tab: Open, tmp_path: Path) -> None:
    """PROMETHEUS_URL replaces the built-in history, and neither its login nor the token reaches the page."""
    token = "a-token-that-stays-here"
    with dev_server(env={"METRICS_AUTH_TOKEN": token}) as scraped_server:
        send(scraped_server)
        address = scraped_server.url.removeprefix("http://")
        job = f"""
- job_name: kairo-cms-elsewhere
  metrics_path: /api/metrics
  static_configs: [{{targets: ["{address}"]}}]
  authorization: {{credentials: "{token}"}}
"""
        with prometheus_server(tmp_path, job) as prometheus:
            prometheus.wait_for(lambda: bool(prometheus.value("sum(http_requests_total)")))
            login = prometheus.url.replace("://", "://reader:its-password@")
            with dev_server(env={"PROMETHEUS_URL": login}) as server:
                assert "its-password" not in server.output
                dashboard = tab(at=server)
                bodies: list[str] = []
                dashboard.page.on("response", lambda answer: bodies.append(answer.url + str(answer.headers)))
                expect(dashboard.page.locator("#source")).to_contain_text(prometheus.url)
                job_names = dashboard.page.locator("#var-job").locator("option")
                expect(job_names).to_contain_text(["All", "kairo-cms-elsewhere"])
                states = dashboard.draw_all()
                assert "error" not in states.values(), states
                # Large numbers and tables show the current value, even if two points of a graph are 15 minutes apart.
                dashboard.page.get_by_role("button", name="24 h").click()
                expect(dashboard.panel("Metrics page").locator(".value")).to_have_text("up")
                expect(dashboard.panel("Routes now")).to_contain_text("/api/content")
                expect(dashboard.page.locator("#notice")).to_be_hidden()
                # The query box completes with what this Prometheus has, and shows its reason for a refusal.
                field = dashboard.page.get_by_label("Query in PromQL")
                field.fill("sum by (")
                expect(dashboard.page.locator("#completions li").filter(has_text="route")).to_be_visible()
                field.fill('http_requests_total{status="')
                expect(dashboard.page.locator("#completions li").filter(has_text="404")).to_be_visible()
                field.fill("sum(")
                field.press("Enter")
                expect(dashboard.page.locator(".query p")).to_contain_text("parse error")
                # A point of the graph of 24 hours is 15 minutes old; the table shows the current value.
                dashboard.page.get_by_role("button", name="Table", exact=True).click()
                field.fill("sum(http_requests_total)")
                field.press("Enter")
                expect(dashboard.page.locator(".query p")).to_have_text("1 series")
                dashboard.complaints = [text for text in dashboard.complaints if "400 (Bad Request)" not in text]
                seen = dashboard.page.content() + "".join(bodies)
                assert token not in seen
                assert "its-password" not in seen
                dashboard.page.context.close()


def project_with(tmp_path: Path, dashboard: str) -> Path:
    """Create a project with the repository's functions and page, and another dashboard."""
    root = tmp_path / "project"
    for folder in ("api", "lib"):
        shutil.copytree(REPOSITORY / folder, root / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(REPOSITORY / "vercel.json", root)
    (root / "grafana").mkdir()
    (root / "grafana" / "my-dashboard.json").write_text(dashboard)
    return root


OWN = """{"title": "Mine", "panels": [
  {"id": 1, "type": "timeseries", "title": "Beyond", "gridPos": {"x": 0, "y": 0, "w": 12, "h": 6},
   "targets": [{"refId": "A", "expr": "max_over_time(up[1m:5s])"}]},
  {"id": 2, "type": "geomap", "title": "Map", "gridPos": {"x": 12, "y": 0, "w": 12, "h": 6}, "targets": []},
  {"id": 3, "type": "timeseries", "title": "Typo", "gridPos": {"x": 0, "y": 6, "w": 12, "h": 6},
   "targets": [{"refId": "A", "expr": "rate(up"}]},
  {"id": 4, "type": "stat", "title": "Fine", "gridPos": {"x": 12, "y": 6, "w": 12, "h": 6},
   "targets": [{"refId": "A", "expr": "sum(up) + 41", "instant": true}]},
  {"id": 5, "type": "text", "title": "Words", "gridPos": {"x": 0, "y": 12, "w": 12, "h": 6},
   "options": {"mode": "markdown", "content": "**Bold** <img src=x onerror=alert(1)> [run](javascript:alert(1))"}}
]}"""


def test_an_error_is_shown_on_its_panel(browser: Browser, tmp_path: Path) -> None:
    """A query or panel that is not supported is an error on that panel only."""
    with dev_server(project_with(tmp_path, OWN)) as server:
        dashboard = DashboardPage(browser.new_context(viewport=DESKTOP), server).open()
        expect(dashboard.panel("Fine").locator(".value")).to_have_text("42", timeout=20_000)
        expect(dashboard.panel("Beyond").locator(".state")).to_have_text(
            "A subquery is not supported by the built-in engine: set PROMETHEUS_URL to query a real Prometheus"
        )
        expect(dashboard.panel("Typo").locator(".state")).to_contain_text("in the query: rate(up")
        expect(dashboard.panel("Map").locator(".state")).to_contain_text("does not draw panels of the type “geomap”")
        words = dashboard.panel("Words").locator(".words")
        expect(words.locator("strong")).to_have_text("Bold")
        assert words.locator("img, a").count() == 0
        dashboard.page.context.close()
        # The browser reports the refused queries (status 422) and no other error.
        assert [text for text in dashboard.complaints if "422" not in text] == []

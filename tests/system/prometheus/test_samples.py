"""The real Prometheus stores what was sent, and no label makes it refuse a page."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import subprocess
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import httpx
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics

from lib.kairo_metrics.exposition import openmetrics, text
from lib.kairo_metrics.exposition.negotiate import choose_format
from lib.kairo_metrics.model.encoding import label_text
from lib.kairo_metrics.model.schema import Schema
from lib.kairo_metrics.scrape.collector import Limits, collect
from tests.support.dev_server import REPOSITORY, dev_server
from tests.support.instance import WAIT, memory_instance
from tests.support.prometheus_server import prometheus_server, require

pytestmark = pytest.mark.prometheus

# A second function, because the content API itself never fails.
FLAKY = """
from starlette.applications import Starlette
from starlette.routing import Route
from lib.kairo_metrics import instrument

async def flaky(request):
    raise RuntimeError("on purpose")

app = instrument(Starlette(routes=[Route("/api/flaky", flaky)]))
"""

GUIDE_QUERIES = (
    "sum(rate(http_requests_total[5m])) by (method, route)",
    "histogram_quantile(0.95, rate(http_request_duration_seconds_bucket[5m]))",
    "sum(rate(api_errors_total[5m])) / sum(rate(http_requests_total[5m])) * 100",
    'sum(rate(tenant_db_query_duration_seconds_bucket{le="0.2"}[5m])) by (model)',
)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Create a project with this repository's functions, and one that fails."""
    root = tmp_path / "project"
    root.mkdir()
    (root / "lib").symlink_to(REPOSITORY / "lib")
    shutil.copytree(REPOSITORY / "api", root / "api", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(REPOSITORY / "vercel.json", root)
    (root / "api" / "flaky.py").write_text(FLAKY)
    return root


def run_flow(base: str, requests: int) -> Counter[tuple[str, str]]:
    """Send requests with mixed results; count them by method and route."""
    sent: Counter[tuple[str, str]] = Counter()
    with httpx.Client(base_url=base, headers={"X-Tenant": "acme"}) as client:
        for number in range(requests):
            slug = f"entry-{number}"
            method, path, route = [
                ("POST", "/api/content", "/api/content"),
                ("GET", f"/api/content/entry-{number - 1}", "/api/content/{slug}"),
                ("GET", "/api/content", "/api/content"),
                ("DELETE", "/api/content/nothing", "/api/content/{slug}"),
                ("GET", "/api/flaky", "/api/flaky"),
            ][number % 5]
            body = {"slug": slug, "title": "Title", "body": "Body"} if method == "POST" else None
            client.request(method, path, json=body)
            sent[method, route] += 1
    return sent


def test_what_was_requested_is_what_prometheus_stores(project: Path, tmp_path: Path) -> None:
    """200 requests through the dev server are 200 in Prometheus, by method and route; the guide's queries work."""
    with dev_server(project) as server:
        config = f"""
            - job_name: 'kairo-cms-production'
              metrics_path: '/api/metrics'
              scheme: 'http'
              static_configs:
                - targets: ['127.0.0.1:{server.port}']
              bearer_token: '{server.token}'
              scrape_interval: 30s
              scrape_timeout: 10s
        """
        with prometheus_server(tmp_path, config) as prometheus:
            # `rate` needs a sample of the counters before they grow.
            sent = run_flow(server.url, 5)
            prometheus.wait_for(lambda: prometheus.value("sum(http_requests_total)") == 5)
            sent += run_flow(server.url, 195)
            prometheus.wait_for(lambda: prometheus.value("sum(http_requests_total)") == 200)
            assert prometheus.value("up") == 1
            stored = {
                (row["metric"]["method"], row["metric"]["route"]): float(row["value"][1])
                for row in prometheus.query("sum by (method, route) (http_requests_total)")
            }
            assert stored == dict(sent)
            assert prometheus.value("sum(http_request_duration_seconds_count)") == 200
            assert prometheus.value('sum(api_errors_total{type="RuntimeError"})') == 40
            for query in GUIDE_QUERIES:
                prometheus.wait_for(lambda query=query: bool(prometheus.query(query)))  # type: ignore[misc]


AWKWARD = [
    'say "hi"',
    "back\\slash",
    "two\nlines",
    "🙂",
    "nul\x00byte",
    "\udcff\ud800",
    "\r\t\x01\x7f",
    '{a="b"} 1',
    "",
    "é" * 300,
]


def test_no_label_value_breaks_the_page(tmp_path: Path) -> None:
    """With quotes, backslashes, newlines, emoji, NUL and invalid UTF-8, all three parsers accept the page."""
    instance = memory_instance()
    names = Schema("names", "counter", ("name",), help="Awkward names.")
    for value in AWKWARD:
        instance.add(label_text(("name",), [value]), schema=names)
    instance.add('queue="a"', 0.5, schema=WAIT)
    instance.flusher.flush()
    scrape = asyncio.run(collect(instance.store, Limits(3600)))
    plain, strict = (b"".join(form.render(scrape.page.families)) for form in (text, openmetrics))

    checked = subprocess.run([require("promtool"), "check", "metrics"], input=plain, capture_output=True, check=False)
    assert (checked.returncode, checked.stderr) == (0, b"")
    [family] = [family for family in parse_openmetrics(strict.decode()) if family.name == "names"]
    assert len(family.samples) == len(AWKWARD)
    for accept, page in (("", plain), ("application/openmetrics-text", strict)):
        _scraped_by_prometheus(tmp_path, page, choose_format(accept).content_type_header, len(AWKWARD))


def _scraped_by_prometheus(folder: Path, page: bytes, content_type: str, series: int) -> None:
    """Serve the page, and check that Prometheus accepts all of it."""

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(page)))
            self.end_headers()
            self.wfile.write(page)

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        config = json.dumps(
            [{"job_name": "page", "static_configs": [{"targets": [f"127.0.0.1:{server.server_port}"]}]}]
        )
        home = folder / re.sub(r"\W+", "-", content_type)
        home.mkdir()
        with prometheus_server(home, config) as prometheus:
            prometheus.wait_for(lambda: [target["health"] for target in prometheus.targets()] not in ([], ["unknown"]))
            assert [target["lastError"] for target in prometheus.targets()] == [""]
            prometheus.wait_for(lambda: prometheus.value("count(names_total)") == series)
        server.shutdown()

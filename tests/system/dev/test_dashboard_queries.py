"""Every query of the dashboard and of the rules, in the built-in engine and in the real Prometheus."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from grafana import DASHBOARD, FOLDER
from lib.kairo_metrics.dev.dashboard.scraper import samples_of
from tests.support.dev_server import REPOSITORY, DevServer, dev_server
from tests.support.prometheus_server import prometheus_server
from tests.support.promql_pair import PromqlPair, Scrape

pytestmark = pytest.mark.prometheus

VARIABLES = {
    "$job": "kairo-cms.*",
    "$environment": ".*",
    "$route": ".*",
    "$model": ".*",
    "$__rate_interval": "20s",
    "$__interval": "5s",
    "$__range": "5m",
}


UNUSED = ("sort_desc", "lost", "restored", "overflowed", "pushes", "token_reads")


def panels(found: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for panel in found:
        yield panel
        yield from panels(panel.get("panels", []))


def dashboard_queries() -> list[str]:
    """Return the queries of all panels, with values for the variables."""
    document = json.loads((FOLDER / DASHBOARD).read_text())
    targets = [target for panel in panels(document["panels"]) for target in panel.get("targets", [])]
    queries = []
    for target in targets:
        query = target["expr"]
        for name in sorted(VARIABLES, key=len, reverse=True):
            query = query.replace(name, VARIABLES[name])
        queries.append(query)
    return list(dict.fromkeys(queries))


def rule_queries() -> list[str]:
    """Return the expressions of all rules."""
    files = sorted((REPOSITORY / "grafana" / "rules").glob("*.yml"))
    groups = [group for file in files for group in yaml.safe_load(file.read_text())["groups"]]
    return [rule["expr"] for group in groups for rule in group["rules"]]


def traffic(server: DevServer, number: int) -> None:
    """Send a few requests of every kind, with other numbers every time."""
    with httpx.Client(base_url=server.url, headers={"X-Tenant": "acme"}) as client:
        for turn in range(2 + number % 3):
            slug = f"entry-{number}-{turn}"
            client.post("/api/content", json={"slug": slug, "title": "Title", "body": "Body"})
            client.get(f"/api/content/{slug}")
            client.post(f"/api/content/{slug}/publish")
        client.get("/api/content/missing")
        client.get("/api/elsewhere")


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PromqlPair]:
    """Give both engines ten scrapes of a real dev server, with times five seconds apart."""
    scrapes: list[Scrape] = []
    start_ms = round(time.time() * 1000) - 600_000
    target = {"job": "kairo-cms-development", "instance": "here"}
    with dev_server() as server:
        for number in range(10):
            traffic(server, number)
            headers = {"Authorization": f"Bearer {server.token}"}
            text = httpx.get(f"{server.url}/api/metrics", headers=headers).text
            scraped = samples_of(text + "up 1\nscrape_duration_seconds 0.01\n", target)
            scrapes.append((start_ms + number * 5_003, scraped.samples))
    folder: Path = tmp_path_factory.mktemp("queries")
    with prometheus_server(folder, flags=["--web.enable-remote-write-receiver"]) as prometheus:
        yield PromqlPair(prometheus, scrapes)


def test_the_dashboard_shows_what_grafana_would_show(pair: PromqlPair) -> None:
    """Each query of each panel has the same result as in Prometheus for the same samples; most have one."""
    queries = dashboard_queries()
    assert len(queries) > 40
    differences = [
        difference
        for query in queries
        # Nothing failed, was lost, restored, overflowed or pushed.
        for difference in pair.differences(query, step_s=3, empty=any(name in query for name in UNUSED))
    ]
    assert not differences, "\n".join(differences)


def test_the_rules_can_be_tried_in_the_dev_server(pair: PromqlPair) -> None:
    """The expression of each alert has the same result in the dev server as in Prometheus."""
    queries = rule_queries()
    assert queries
    differences = [difference for query in queries for difference in pair.differences(query, step_s=3, empty=True)]
    assert not differences, "\n".join(differences)

"""The whole system: functions, a real Prometheus with the rules, and every query of the dashboard.

One run has four phases: scraped and never used; used, with known numbers; failing and slow; healthy again.
The rules have shorter windows, so that minutes in production are seconds here.
"""

from __future__ import annotations

import math
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from tests.support.alert_rules import FILES, quick, rules
from tests.support.dashboard import PANELS, QUERIES, filled
from tests.support.dev_server import DevServer, dev_server
from tests.support.lab_project import lab_project
from tests.support.prometheus_server import PrometheusServer, prometheus_server

pytestmark = pytest.mark.prometheus

JOB = {"job": "kairo-cms-live", "environment": "test"}
# path -> the number of requests, and their status
SENT = {
    "/api/content": 40,
    "/api/content/nothing": 10,
    "/api/flaky": 10,
    "/api/busy": 5,
    "/api/report?seconds=0.3": 5,
}
BEFORE = {path: count // 5 for path, count in SENT.items()}
TOTAL = sum(SENT.values())
GUIDE = {"HighErrorRate", "SlowQueries"}
# The other alerts that fire if requests fail and take more than a second.
WITH_THEM = {"HighLatency", "ErrorBudgetBurnsFast", "ErrorBudgetBurnsSlowly"}

# The window of every query: wide enough for one scrape per second, and short enough for a test.
WINDOW = "10s"

Answer = list[dict[str, Any]]


@dataclass
class Seen:
    """The results from Prometheus.

    Args:
        quiet: the result of every query of the dashboard, before the first request.
        busy: the same, after the known requests.
        rules: name -> health and last error, at that time.
        recorded: name -> the values that recording rules had recorded.
        firing: the alerts of each phase.
        totals: the requests by method and route in Prometheus.
    """

    quiet: dict[str, Answer] = field(default_factory=dict)
    busy: dict[str, Answer] = field(default_factory=dict)
    rules: dict[str, tuple[str, str]] = field(default_factory=dict)
    recorded: dict[str, Answer] = field(default_factory=dict)
    firing: dict[str, set[str]] = field(default_factory=dict)
    totals: dict[tuple[str, str], float] = field(default_factory=dict)


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seen]:
    """Run the system once, and return the results."""
    folder = tmp_path_factory.mktemp("live")
    environment = {"DATABASE_URL": f"sqlite:///{folder / 'cms.sqlite3'}"}
    with (
        dev_server(lab_project(folder / "project"), environment) as server,
        prometheus_server(folder, _config(server), rules=quick(FILES, folder, WINDOW)) as prometheus,
        ThreadPoolExecutor(8) as pool,
    ):
        yield _phases(server, prometheus, pool)


def _config(server: DevServer) -> str:
    return f"""
        - job_name: {JOB["job"]}
          metrics_path: /api/metrics
          static_configs:
            - targets: ["127.0.0.1:{server.port}"]
              labels: {{environment: {JOB["environment"]}}}
          authorization: {{credentials: "{server.token}"}}
    """


def _phases(server: DevServer, prometheus: PrometheusServer, pool: ThreadPoolExecutor) -> Seen:
    seen = Seen()

    def send(counts: dict[str, int]) -> None:
        with httpx.Client(base_url=server.url, headers={"X-Tenant": "acme"}, timeout=30) as client:
            list(pool.map(client.get, Counter(counts).elements()))

    def firing() -> set[str]:
        return {row["metric"]["alertname"] for row in prometheus.query('ALERTS{alertstate="firing"}')}

    def has_stored(requests: int) -> Callable[[], bool]:
        return lambda: prometheus.value("sum(http_requests_total)") == requests

    prometheus.wait_for(lambda: (prometheus.value("min(count_over_time(up[1m]))") or 0) >= 4)
    seen.quiet = _ask(prometheus)
    seen.firing["quiet"] = firing()

    # A rate begins with the second value of a series, and is exact when the series is older than the window. A fifth is
    # enough, because Prometheus extrapolates an increase to the window's ends, but not to before the counter was zero.
    send(BEFORE)
    prometheus.wait_for(has_stored(sum(BEFORE.values())))
    prometheus.wait_for(lambda: bool(prometheus.query(f"http_requests_total offset {WINDOW}")))
    send(SENT)
    prometheus.wait_for(has_stored(TOTAL + sum(BEFORE.values())))
    seen.busy = _ask(prometheus)
    stored = prometheus.query("sum by (method, route) (http_requests_total)")
    seen.totals = {(row["metric"]["method"], row["metric"]["route"]): _number(row) for row in stored}
    # Recording rules follow within a second.
    prometheus.wait_for(lambda: all(prometheus.query(name) for name in rules("record")))
    seen.recorded = {name: prometheus.query(name) for name in rules("record")}

    def fails_and_fires() -> bool:
        send({"/api/flaky": 8, "/api/report?seconds=1.2": 2})
        return firing() >= GUIDE

    prometheus.wait_for(fails_and_fires, 60)
    seen.firing["failing"] = firing()
    seen.rules = {name: (rule["health"], rule.get("lastError", "")) for name, rule in prometheus.rules().items()}

    def works_and_is_silent() -> bool:
        send({"/api/content": 8})
        return not firing()

    prometheus.wait_for(works_and_is_silent, 60)
    seen.firing["well again"] = firing()
    return seen


def _ask(prometheus: PrometheusServer) -> dict[str, Answer]:
    """Run every query of the dashboard; a query that Prometheus refuses raises."""
    values = {**JOB, "__rate_interval": WINDOW, "__range": WINDOW}
    queries = {name: re.sub(r"\[(5m|30d)\]", f"[{WINDOW}]", filled(query, values)) for name, query in QUERIES.items()}
    now_s = time.time()  # the same time for all, so that they can be compared
    return {name: prometheus.query(query, now_s) for name, query in queries.items()}


def _number(row: dict[str, Any]) -> float:
    return float(row["value"][1])


def _by(answer: Answer, label: str) -> dict[str, float]:
    return {row["metric"].get(label, ""): _number(row) for row in answer}


def _says_why(name: str) -> bool:
    """Return whether the panel of a query has a text of its own for no value."""
    found = re.search(r"\((\d+)\)", name)
    assert found, name
    return PANELS[int(found[1])]["fieldConfig"]["defaults"]["noValue"] not in {"nothing yet", ""}


@pytest.mark.parametrize("name", QUERIES)
def test_no_panel_is_empty_before_the_first_request(seen: Seen, name: str) -> None:
    """On a system that is scraped and was never used, every query has a result or its panel says why not."""
    assert seen.quiet[name] or _says_why(name)


def test_before_the_first_request_nothing_is_wrong(seen: Seen) -> None:
    """The large numbers show no errors, nothing slow, no budget spent, and a page that is up."""
    numbers = {name.partition(" (")[0]: _number(answer[0]) for name, answer in seen.quiet.items() if len(answer) == 1}
    for title, expected in {
        "Requests": 0,
        "Slow queries": 0,
        "Error budget spent": 0,
        "Metrics page": 1,
        "Damaged series": 0,
        "Lost in this time": 0,
        "Clock skew": 0,
    }.items():
        assert numbers[title] == expected, title
    assert numbers["Fullest metric"] < 0.001
    assert math.isnan(numbers["Latency, p95"])


def test_no_alert_fires_before_the_first_request(seen: Seen) -> None:
    """No alert fires for an idle system."""
    assert seen.firing["quiet"] == set()


def test_every_request_is_stored(seen: Seen) -> None:
    """Prometheus has the number of requests that were sent, by method and route."""
    expected = {("GET", path.partition("?")[0]): float(count + BEFORE[path]) for path, count in SENT.items()}
    expected["GET", "/api/content/{slug}"] = expected.pop(("GET", "/api/content/nothing"))
    assert seen.totals == expected


@pytest.mark.parametrize("name", QUERIES)
def test_every_panel_shows_numbers_of_a_used_system(seen: Seen, name: str) -> None:
    """No result is empty, and only values that do not exist are not-a-number: a memory limit, idle models."""
    rows = seen.busy[name]
    # Nothing was lost, restored, overflowed or pushed.
    assert rows or name.startswith(("Batches that Redis lost", "Lost and restored", "Overflow", "Pushes and token"))
    nan = [row["metric"] for row in rows if math.isnan(_number(row))]
    # Raw SQL runs once in SQLite, when a connection is opened.
    assert all(labels.get("model") == "raw" for labels in nan) or name.startswith("Redis, memory in use")


def test_shares_are_exact(seen: Seen) -> None:
    """The shares of errors, in total, by route and by type, match the requests exactly."""
    for name in ("Error rate (2), A", "Errors (8), A"):
        assert _number(seen.busy[name][0]) == pytest.approx(15 / TOTAL)
    by_route = _by(seen.busy["Errors by route (21), A"], "route")
    assert by_route == pytest.approx(
        {"/api/content": 0, "/api/content/{slug}": 0, "/api/flaky": 1, "/api/busy": 1, "/api/report": 0}
    )
    types = _by(seen.busy["Errors over time (30), A"], "type")
    assert types["RuntimeError"] / types["http_503"] == pytest.approx(10 / 5)
    budget = _number(seen.busy["Error budget spent (5), A"][0])
    assert budget == pytest.approx(15 / TOTAL / 0.001)


def test_rates_divide_as_the_requests_did(seen: Seen) -> None:
    """Each route, class and status has its share of the rate; the total is right to within a scrape at each end."""
    [row] = seen.busy["Requests (1), A"]
    rate = _number(row)
    # Prometheus extrapolates to the ends of the window, by at most one scrape.
    assert rate == pytest.approx(TOTAL / 10, rel=0.15)
    routes = _by(seen.busy["Rate by route (20), A"], "route")
    for path, count in SENT.items():
        route = path.partition("?")[0].replace("nothing", "{slug}")
        assert routes[route] / rate == pytest.approx(count / TOTAL), route
    classes = _by(seen.busy["Traffic (7), A"], "class")
    assert {name: share / rate for name, share in classes.items()} == pytest.approx(
        {"2": 45 / TOTAL, "4": 10 / TOTAL, "5": 15 / TOTAL}
    )
    statuses = _by(seen.busy["Responses with 4xx or 5xx (31), A"], "status")
    assert {name: share / rate for name, share in statuses.items()} == pytest.approx(
        {"404": 10 / TOTAL, "500": 10 / TOTAL, "503": 5 / TOTAL}
    )


def test_slow_queries_are_separated_from_fast_ones(seen: Seen) -> None:
    """Every query of the reports took more than 200 ms, and the quantiles of their route and model show it."""
    slow = _by(seen.busy["Slow queries by model (42), A"], "model")
    assert slow["Report"] == pytest.approx(1)
    assert _number(seen.busy["Slow queries (4), A"][0]) >= 5 / 55 - 1e-9
    assert _by(seen.busy["Duration, p95 (41), A"], "model")["Report"] > 0.2
    assert _by(seen.busy["Latency by route, p95 (23), A"], "route")["/api/report"] > 0.2
    assert _by(seen.busy["Latency by route, p50 (22), A"], "route")["/api/report"] > 0.2
    queries = _by(seen.busy["Queries (40), A"], "model")
    assert queries["Entry"] / queries["Report"] == pytest.approx(50 / 5)
    time_s = _by(seen.busy["Time in the database (44), A"], "model")
    assert time_s["Report"] / queries["Report"] >= 0.3


def test_heat_maps_hold_every_request(seen: Seen) -> None:
    """The buckets of a heat map rise to the number of all requests."""
    for name, observed in (("Latency of all requests (25), A", TOTAL), ("Duration of all queries (43), A", 55)):
        buckets = sorted((float(bound), count) for bound, count in _by(seen.busy[name], "le").items())
        counts = [count for _, count in buckets]
        assert counts == sorted(counts)
        assert buckets[-1][0] == math.inf
        assert counts[-1] >= observed * 0.99


def test_the_panels_of_the_pipeline_show_no_fault(seen: Seen) -> None:
    """Batches are applied, and none is lost, sent twice, or counted under another label."""
    assert _number(seen.busy["Flushes (60), A"][0]) > 0
    assert _number(seen.busy["Retries (61), A"][0]) == 0
    for name in ("Lost and restored (63), A", "Lost and restored (63), B", "Overflow (64), A"):
        assert set(_by(seen.busy[name], "family").values()) <= {0}, name
    assert set(_by(seen.busy["Batches that Redis lost (62), A"], "outcome").values()) <= {0}
    series = _by(seen.busy["Series (65), A"], "family")
    assert (series["http_requests"], series["http_request_duration_seconds"]) == (5, 5)
    assert _number(seen.busy["Fullest metric (53), A"][0]) == max(series.values()) / 10_000
    assert _number(seen.busy["Redis, memory (51), A"][0]) > 0


def test_every_rule_is_evaluated(seen: Seen) -> None:
    """No rule fails, and each recording rule has recorded a value."""
    assert seen.rules == dict.fromkeys(rules("alert").keys() | rules("record").keys(), ("ok", ""))
    for name, recorded in seen.recorded.items():
        assert [{label: row["metric"][label] for label in JOB} for row in recorded] == [JOB], name


def test_the_guides_alerts_fire_and_resolve(seen: Seen) -> None:
    """HighErrorRate and SlowQueries fire when requests fail and queries are slow, and resolve afterwards."""
    assert seen.firing["failing"] >= GUIDE
    assert seen.firing["failing"] <= GUIDE | WITH_THEM
    assert seen.firing["well again"] == set()

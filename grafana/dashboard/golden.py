"""Row: the four golden signals (traffic, errors, latency, saturation) and the error budget that is left."""

from __future__ import annotations

from .panels import Panel, PanelSpec, graph, number
from .queries import ENVIRONMENT, MODEL, ROUTE, WINDOW, Query, by, otherwise, quantile, ratio

__all__ = ["PANELS", "TITLE"]

TITLE = "Golden signals"

_REQUESTS = f"rate(http_requests_total{{{ROUTE}}}{WINDOW})"
_ERRORS = f"rate(api_errors_total{{{ROUTE}}}{WINDOW})"
_QUERIES = f"rate(tenant_db_query_duration_seconds_count{{{MODEL}}}{WINDOW})"
_FAST = f'rate(tenant_db_query_duration_seconds_bucket{{{MODEL},le="0.2"}}{WINDOW})'
_LATENCY = "http_request_duration_seconds"
_BUDGET = ratio(
    "", f"increase(api_errors_total{{{ENVIRONMENT}}}[30d])", f"increase(http_requests_total{{{ENVIRONMENT}}}[30d])"
)
# Pushed metrics have no "up".
_PUSHED = f"(2 + 0 * count(kairo_scrape_duration_seconds{{{ENVIRONMENT}}}))"

PANELS: tuple[Panel, ...] = (
    number(
        PanelSpec(1, "Requests", "Answered requests per second.", "reqps", width=4, height=5),
        Query(otherwise(by("", _REQUESTS)), "requests"),
    ),
    number(
        PanelSpec(
            2,
            "Errors",
            "Share of the requests that failed: answers of 5xx and exceptions. HighErrorRate warns from 5% on.",
            "percentunit",
            width=4,
            height=5,
            lines=(0.01, 0.05),
            alerts=("HighErrorRate",),
        ),
        Query(otherwise(ratio("", _ERRORS, _REQUESTS)), "errors"),
    ),
    number(
        PanelSpec(
            3,
            "Latency, p95",
            "19 of 20 requests are faster, from arrival to the last byte of the answer.",
            "s",
            width=4,
            height=5,
            lines=(0.5, 1),
            alerts=("HighLatency",),
            absent="no requests",
        ),
        Query(otherwise(quantile(0.95, "", _LATENCY, ROUTE), "NaN"), "p95", exemplars=True),
    ),
    number(
        PanelSpec(
            4,
            "Slow queries",
            "Share of the database queries that took longer than 200 ms.",
            "percentunit",
            width=4,
            height=5,
            lines=(0.01, 0.05),
            alerts=("SlowQueries",),
        ),
        Query(otherwise(f"1 - {ratio('', _FAST, _QUERIES)}"), "slow queries"),
    ),
    number(
        PanelSpec(
            5,
            "Error budget left",
            "An objective of 99.9% allows some errors in 30 days; this share of them is left. Below 0 the objective is "
            "missed; without requests it is 100%.",
            "percentunit",
            width=4,
            height=5,
            lines=(0.25, 0),
            alerts=("ErrorBudgetBurnsFast", "ErrorBudgetBurnsSlowly"),
            top=1,
        ),
        Query(otherwise(f"1 - {_BUDGET} / 0.001", "1"), "budget left"),
        history=False,
    ),
    number(
        PanelSpec(
            6,
            "Metrics page",
            "Whether Prometheus gets the metrics, by a scrape or a push. If not, the other panels are out of date.",
            "none",
            width=4,
            height=5,
            lines=(1, 0.5),
            alerts=("MetricsDown", "MetricsAbsent", "MetricsVanished"),
            absent="not scraped",
        ),
        Query(otherwise(f"min(up{{{ENVIRONMENT}}}) or on () {_PUSHED}"), "up"),
        {"0": "down", "1": "up", "2": "pushed"},
    ),
    graph(
        PanelSpec(
            7,
            "Traffic",
            "Requests per second, by the class of their status. 499 means that the client left before the response.",
            "reqps",
            width=6,
        ),
        Query(
            otherwise(by("class", f'label_replace({_REQUESTS}, "class", "$1", "status", "(.).*")'), **{"class": "2"}),
            "{{class}}xx",
        ),
        stacked=True,
    ),
    graph(
        PanelSpec(
            8,
            "Errors",
            "Share of the requests that failed. The lines are at 1% and at 5%, where HighErrorRate warns.",
            "percentunit",
            width=6,
            lines=(0.01, 0.05),
            alerts=("HighErrorRate", "ErrorBudgetBurnsFast", "ErrorBudgetBurnsSlowly"),
        ),
        Query(otherwise(ratio("", _ERRORS, _REQUESTS)), "errors"),
    ),
    graph(
        PanelSpec(
            9,
            "Latency",
            "Half of the requests, 19 of 20, and 99 of 100 are faster than this. HighLatency warns at one second "
            "for a route. The points are exemplars: requests with a trace.",
            "s",
            width=6,
            lines=(0.5, 1),
            alerts=("HighLatency",),
        ),
        Query(otherwise(quantile(0.5, "", _LATENCY, ROUTE), "NaN"), "p50"),
        Query(otherwise(quantile(0.95, "", _LATENCY, ROUTE), "NaN"), "p95"),
        Query(otherwise(quantile(0.99, "", _LATENCY, ROUTE), "NaN"), "p99", exemplars=True),
    ),
    graph(
        PanelSpec(
            10,
            "Saturation",
            "How many requests and database queries run at once, on average: the seconds that they took, per second.",
            "short",
            width=6,
        ),
        Query(otherwise(by("", f"rate({_LATENCY}_sum{{{ROUTE}}}{WINDOW})")), "requests at once"),
        Query(otherwise(by("", f"rate(tenant_db_query_duration_seconds_sum{{{MODEL}}}{WINDOW})")), "queries at once"),
    ),
)

"""Row: the four golden signals, traffic, errors, latency and saturation, and what is left of the error budget."""

from __future__ import annotations

from .panels import Panel, Say, graph, number
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
# What is pushed to Prometheus has no "up".
_PUSHED = f"(2 + 0 * count(kairo_scrape_duration_seconds{{{ENVIRONMENT}}}))"

PANELS: tuple[Panel, ...] = (
    number(
        Say(1, "Requests", "Requests that were answered, per second.", "reqps", width=4, height=5),
        Query(otherwise(by("", _REQUESTS)), "requests"),
    ),
    number(
        Say(
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
        Say(
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
        Say(
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
        Say(
            5,
            "Error budget left",
            "Of the errors that an objective of 99.9% allows in 30 days, the share that is left; below 0 it is missed. "
            "Without requests all of it is.",
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
        Say(
            6,
            "Metrics page",
            "Whether Prometheus gets the page, by a scrape or pushed by a cron; if not, all the rest is old.",
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
        Say(
            7,
            "Traffic",
            "Requests per second, by the class of their status. 499 is a client that left before its answer.",
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
        Say(
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
        Say(
            9,
            "Latency",
            "How long requests take: half of them, 19 of 20, and 99 of 100 are faster. HighLatency warns at one second "
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
        Say(
            10,
            "Saturation",
            "How many requests are being served at once, on average: the seconds that requests took, per second. "
            "And how many database queries.",
            "short",
            width=6,
        ),
        Query(otherwise(by("", f"rate({_LATENCY}_sum{{{ROUTE}}}{WINDOW})")), "requests at once"),
        Query(otherwise(by("", f"rate(tenant_db_query_duration_seconds_sum{{{MODEL}}}{WINDOW})")), "queries at once"),
    ),
)

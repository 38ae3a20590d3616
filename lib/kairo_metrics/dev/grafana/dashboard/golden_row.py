"""Row: the four golden signals (traffic, errors, latency, saturation) and the error budget that is left."""

from __future__ import annotations

from ..thresholds import Thresholds
from .panels import Panel, PanelSpec, graph, number
from .queries import ENVIRONMENT, MODEL, ROUTE, WINDOW, Query, by, otherwise, quantile, ratio

__all__ = ["TITLE", "panels"]

TITLE = "Golden signals"

_REQUESTS = f"rate(http_requests_total{{{ROUTE}}}{WINDOW})"
_ERRORS = f"rate(api_errors_total{{{ROUTE}}}{WINDOW})"
_QUERIES = f"rate(tenant_db_query_duration_seconds_count{{{MODEL}}}{WINDOW})"
_FAST = f'rate(tenant_db_query_duration_seconds_bucket{{{MODEL},le="@{{slow_query_s}}"}}{WINDOW})'
_LATENCY = "http_request_duration_seconds"
_BUDGET = ratio(
    "", f"increase(api_errors_total{{{ENVIRONMENT}}}[30d])", f"increase(http_requests_total{{{ENVIRONMENT}}}[30d])"
)
# Pushed metrics have no "up".
_PUSHED = f"(2 + 0 * count(kairo_scrape_duration_seconds{{{ENVIRONMENT}}}))"


def panels(at: Thresholds) -> tuple[Panel, ...]:
    """Return the panels of the row; `at` has the numbers at which alerts fire."""
    return (
        number(
            PanelSpec(1, "Requests", "Answered requests per second.", "reqps", width=4, height=5, about="requests"),
            Query(otherwise(by("", _REQUESTS)), "requests"),
        ),
        number(
            PanelSpec(
                2,
                "Error rate",
                "Share of the requests that failed: answers of 5xx and exceptions. HighErrorRate warns above "
                "@{error_percent}.",
                "percentunit",
                width=4,
                height=5,
                lines=(at.error_share / 5, at.error_share),
                alerts=("HighErrorRate",),
                about="requests",
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
                lines=(at.latency_s / 2, at.latency_s),
                alerts=("HighLatency",),
                absent="no requests",
                about="requests",
            ),
            Query(otherwise(quantile(0.95, "", _LATENCY, ROUTE), "NaN"), "p95", exemplars=True),
        ),
        number(
            PanelSpec(
                4,
                "Slow queries",
                "Share of the database queries that took longer than @{slow_query_s} s.",
                "percentunit",
                width=4,
                height=5,
                lines=(0.01, 0.05),
                alerts=("SlowQueries",),
                about="database",
            ),
            Query(otherwise(f"1 - {ratio('', _FAST, _QUERIES)}"), "slow queries"),
        ),
        number(
            PanelSpec(
                5,
                "Error budget spent",
                "An objective of @{objective_percent} lets @{budget_percent} of the requests of 30 days fail. At 1 "
                "all of "
                "this month's budget is spent, at 28 it is spent 28 times over.",
                "suffix: times",
                width=4,
                height=5,
                lines=(0.75, 1),
                alerts=("ErrorBudgetBurnsFast", "ErrorBudgetBurnsSlowly"),
                about="requests",
            ),
            Query(otherwise(f"{_BUDGET} / @{{budget}}"), "budget spent"),
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
                "Requests per second, by the class of their status. 499 means that the client left before the "
                "response.",
                "reqps",
                width=6,
                about="requests",
                absent="no requests",
            ),
            Query(by("class", f'label_replace({_REQUESTS}, "class", "$1", "status", "(.).*")'), "{{class}}xx"),
            stacked=True,
            colours={"^2xx$": "green", "^[13]xx$": "blue", "^4xx$": "orange", "^5xx$": "red"},
        ),
        graph(
            PanelSpec(
                8,
                "Errors",
                "Share of the requests that failed. The upper line is where HighErrorRate warns.",
                "percentunit",
                width=6,
                lines=(at.error_share / 5, at.error_share),
                alerts=("HighErrorRate", "ErrorBudgetBurnsFast", "ErrorBudgetBurnsSlowly"),
                about="requests",
            ),
            Query(otherwise(ratio("", _ERRORS, _REQUESTS)), "errors"),
            colours={"^errors$": "red"},
        ),
        graph(
            PanelSpec(
                9,
                "Latency",
                "Half of the requests, 19 of 20, and 99 of 100 are faster than this. HighLatency warns above "
                "@{latency_s} s for a route. The points are exemplars: requests with a trace.",
                "s",
                width=6,
                lines=(at.latency_s / 2, at.latency_s),
                alerts=("HighLatency",),
                absent="no requests",
                about="requests",
            ),
            Query(quantile(0.5, "", _LATENCY, ROUTE), "p50"),
            Query(quantile(0.95, "", _LATENCY, ROUTE), "p95"),
            Query(quantile(0.99, "", _LATENCY, ROUTE), "p99", exemplars=True),
        ),
        graph(
            PanelSpec(
                10,
                "Work at once",
                "How many requests and database queries run at once, on average: the seconds that they took, per "
                "second.",
                "short",
                width=6,
                about="requests",
            ),
            Query(otherwise(by("", f"rate({_LATENCY}_sum{{{ROUTE}}}{WINDOW})")), "requests at once"),
            Query(
                otherwise(by("", f"rate(tenant_db_query_duration_seconds_sum{{{MODEL}}}{WINDOW})")),
                "queries at once",
                about="database",
            ),
        ),
    )

"""Row: rate, errors and duration of each route."""

from __future__ import annotations

from ..thresholds import Thresholds
from .panels import Panel, PanelSpec, graph, grid, heat_map
from .queries import ROUTE, WINDOW, Query, by, idle_as_zero, quantile, ratio

__all__ = ["TITLE", "panels"]

TITLE = "Requests by route"

_BY = "method, route"
_LATENCY = "http_request_duration_seconds"
_LEGEND = "{{method}} {{route}}"


def _rate(metric: str, window: str = WINDOW) -> str:
    return f"rate({metric}{{{ROUTE}}}{window})"


def _errors(window: str = WINDOW) -> str:
    requests = _rate("http_requests_total", window)
    return idle_as_zero(ratio(_BY, _rate("api_errors_total", window), requests), _BY, requests)


def _percentile(at: Thresholds, number: int, name: str, what: str) -> Panel:
    return graph(
        PanelSpec(
            number,
            f"Latency by route, {name}",
            f"{what} requests to a route are faster. HighLatency warns when the p95 of a route is above "
            "@{latency_s} s.",
            "s",
            lines=(at.latency_s / 2, at.latency_s),
            alerts=("HighLatency",),
            absent="no requests",
            about="requests",
        ),
        Query(quantile(int(name[1:]) / 100, _BY, _LATENCY, ROUTE), _LEGEND, exemplars=True),
    )


def panels(at: Thresholds) -> tuple[Panel, ...]:
    """Return the panels of the row; `at` has the numbers at which alerts fire."""
    return (
        graph(
            PanelSpec(
                20,
                "Rate by route",
                "Requests per second, by route. Paths that match no route are __unmatched__.",
                "reqps",
                width=12,
                absent="no requests",
                about="requests",
            ),
            Query(by(_BY, _rate("http_requests_total")), _LEGEND),
        ),
        graph(
            PanelSpec(
                21,
                "Errors by route",
                "Share of a route's requests that failed, answers of 5xx and exceptions. The upper line is where "
                "HighErrorRate warns.",
                "percentunit",
                width=12,
                lines=(at.error_share / 5, at.error_share),
                alerts=("HighErrorRate",),
                absent="no requests",
                about="requests",
            ),
            Query(_errors(), _LEGEND),
        ),
        _percentile(at, 22, "p50", "Half of the"),
        _percentile(at, 23, "p95", "19 of 20"),
        _percentile(at, 24, "p99", "99 of 100"),
        heat_map(
            PanelSpec(
                25,
                "Latency of all requests",
                "Requests by duration: a darker cell has more requests. Two bands are two kinds of request. The "
                "points are "
                "exemplars: requests with a trace.",
                "s",
                width=12,
                height=9,
                alerts=("HighLatency",),
                absent="no requests",
                about="requests",
            ),
            Query(
                by("le", f"increase({_LATENCY}_bucket{{{ROUTE}}}{WINDOW})"),
                "{{le}}",
                exemplars=True,
            ),
        ),
        grid(
            PanelSpec(
                26,
                "Routes now",
                "Rate, errors and duration of each route over the last 5 minutes.",
                "short",
                width=12,
                height=9,
                alerts=("HighErrorRate", "HighLatency"),
                absent="no requests",
                about="requests",
            ),
            {
                "Rate": (Query(by(_BY, _rate("http_requests_total", "[5m]")), ""), "reqps"),
                "Errors": (Query(_errors("[5m]"), ""), "percentunit"),
                "p50": (Query(quantile(0.5, _BY, _LATENCY, ROUTE, "[5m]"), ""), "s"),
                "p95": (Query(quantile(0.95, _BY, _LATENCY, ROUTE, "[5m]"), ""), "s"),
                "p99": (Query(quantile(0.99, _BY, _LATENCY, ROUTE, "[5m]"), ""), "s"),
            },
            {"method": "Method", "route": "Route"},
        ),
    )

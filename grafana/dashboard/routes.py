"""Row: rate, errors and duration of each route."""

from __future__ import annotations

from .panels import Panel, PanelSpec, graph, grid, heat_map
from .queries import ROUTE, WINDOW, Query, by, idle_as_zero, otherwise, quantile, ratio

__all__ = ["PANELS", "TITLE"]

TITLE = "Requests by route"

_BY = "method, route"
_LATENCY = "http_request_duration_seconds"
_LEGEND = "{{method}} {{route}}"


def _idle(expr: str, value: str = "0") -> str:
    return otherwise(expr, value, method="no", route="requests yet")


def _rate(metric: str, window: str = WINDOW) -> str:
    return f"rate({metric}{{{ROUTE}}}{window})"


def _errors(window: str = WINDOW) -> str:
    requests = _rate("http_requests_total", window)
    return _idle(idle_as_zero(ratio(_BY, _rate("api_errors_total", window), requests), _BY, requests))


def _percentile(number: int, name: str, what: str) -> Panel:
    return graph(
        PanelSpec(
            number,
            f"Latency, {name}",
            f"{what} requests to a route are faster. HighLatency warns when the p95 of a route is above one second.",
            "s",
            lines=(0.5, 1),
            alerts=("HighLatency",),
        ),
        Query(
            _idle(quantile(int(name[1:]) / 100, _BY, _LATENCY, ROUTE), "NaN"),
            _LEGEND,
            exemplars=True,
        ),
    )


PANELS: tuple[Panel, ...] = (
    graph(
        PanelSpec(
            20, "Rate", "Requests per second, by route. Paths that match no route are __unmatched__.", "reqps", width=12
        ),
        Query(_idle(by(_BY, _rate("http_requests_total"))), _LEGEND),
    ),
    graph(
        PanelSpec(
            21,
            "Errors",
            "Share of a route's requests that failed, answers of 5xx and exceptions; the lines are at 1% and at 5%.",
            "percentunit",
            width=12,
            lines=(0.01, 0.05),
            alerts=("HighErrorRate",),
        ),
        Query(_errors(), _LEGEND),
    ),
    _percentile(22, "p50", "Half of the"),
    _percentile(23, "p95", "19 of 20"),
    _percentile(24, "p99", "99 of 100"),
    heat_map(
        PanelSpec(
            25,
            "Latency of all requests",
            "Requests by duration: a darker cell has more requests. Two bands are two kinds of request. The points are "
            "exemplars: requests with a trace.",
            "s",
            width=12,
            height=9,
            alerts=("HighLatency",),
        ),
        Query(
            otherwise(by("le", f"increase({_LATENCY}_bucket{{{ROUTE}}}{WINDOW})"), le="+Inf"),
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
        ),
        {
            "Rate": (Query(_idle(by(_BY, _rate("http_requests_total", "[5m]"))), ""), "reqps"),
            "Errors": (Query(_errors("[5m]"), ""), "percentunit"),
            "p50": (Query(_idle(quantile(0.5, _BY, _LATENCY, ROUTE, "[5m]"), "NaN"), ""), "s"),
            "p95": (Query(_idle(quantile(0.95, _BY, _LATENCY, ROUTE, "[5m]"), "NaN"), ""), "s"),
            "p99": (Query(_idle(quantile(0.99, _BY, _LATENCY, ROUTE, "[5m]"), "NaN"), ""), "s"),
        },
        {"method": "Method", "route": "Route"},
    ),
)

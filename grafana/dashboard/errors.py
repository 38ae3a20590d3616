"""Row: the errors by type."""

from __future__ import annotations

from .panels import Panel, PanelSpec, graph, grid
from .queries import ROUTE, WINDOW, Query, by, otherwise

__all__ = ["PANELS", "TITLE"]

TITLE = "Errors by type"

_IN_THIS_TIME = by("method, route, type", f"increase(api_errors_total{{{ROUTE}}}[$__range])")

PANELS: tuple[Panel, ...] = (
    graph(
        PanelSpec(
            30,
            "Errors by type",
            "Failed requests per second. The type is the class of an exception, or http_503 if the code itself "
            "answered with that status.",
            "reqps",
            alerts=("HighErrorRate", "ErrorBudgetBurnsFast", "ErrorBudgetBurnsSlowly"),
        ),
        Query(
            otherwise(by("type", f"rate(api_errors_total{{{ROUTE}}}{WINDOW})"), type="no requests yet"),
            "{{type}}",
        ),
        stacked=True,
    ),
    graph(
        PanelSpec(
            31,
            "Responses with 4xx or 5xx",
            "Requests per second that ended with 4xx or 5xx. Many 4xx come from a faulty client or a broken link.",
            "reqps",
        ),
        Query(
            otherwise(by("status", f'rate(http_requests_total{{{ROUTE},status=~"[45].."}}{WINDOW})'), status="none"),
            "{{status}}",
        ),
        stacked=True,
    ),
    grid(
        PanelSpec(
            32,
            "Errors in this time",
            "How many requests failed in the time range of the dashboard, by route and type.",
            "short",
            alerts=("HighErrorRate",),
        ),
        {
            "Errors": (
                Query(
                    otherwise(f"sort_desc({_IN_THIS_TIME} > 0)", type="none"),
                    "",
                ),
                "short",
            )
        },
        {"method": "Method", "route": "Route", "type": "Type"},
    ),
)

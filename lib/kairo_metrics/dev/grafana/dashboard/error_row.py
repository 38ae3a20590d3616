"""Row: the errors by type."""

from __future__ import annotations

from ..thresholds import Thresholds
from .panels import Panel, PanelSpec, graph, grid
from .queries import ROUTE, WINDOW, Query, by

__all__ = ["TITLE", "panels"]

TITLE = "Errors by type"

# What a status means, as a colour: 2xx is green, 4xx amber, 5xx red.
_STATUS_COLOURS = {"^4": "orange", "^5": "red"}

_IN_THIS_TIME = by("method, route, type", f"increase(api_errors_total{{{ROUTE}}}[$__range])")


def panels(_at: Thresholds) -> tuple[Panel, ...]:
    """Return the panels of the row."""
    return (
        graph(
            PanelSpec(
                30,
                "Errors over time",
                "Failed requests per second. The type is the class of an exception, or http_503 if the code itself "
                "answered with that status.",
                "reqps",
                alerts=("HighErrorRate", "ErrorBudgetBurnsFast", "ErrorBudgetBurnsSlowly"),
                absent="no errors",
                about="requests",
            ),
            Query(by("type", f"rate(api_errors_total{{{ROUTE}}}{WINDOW})"), "{{type}}"),
            stacked=True,
            colours={"": "red"},
        ),
        graph(
            PanelSpec(
                31,
                "Responses with 4xx or 5xx",
                "Requests per second that ended with 4xx or 5xx. Many 4xx come from a faulty client or a broken link.",
                "reqps",
                absent="none",
                about="requests",
            ),
            Query(by("status", f'rate(http_requests_total{{{ROUTE},status=~"[45].."}}{WINDOW})'), "{{status}}"),
            stacked=True,
            colours=_STATUS_COLOURS,
        ),
        grid(
            PanelSpec(
                32,
                "Errors in this time",
                "How many requests failed in the time range of the dashboard, by route and type.",
                "short",
                alerts=("HighErrorRate",),
                absent="no errors",
                about="requests",
            ),
            {
                "Errors": (
                    Query(f"sort_desc({_IN_THIS_TIME} > 0)", ""),
                    "short",
                )
            },
            {"method": "Method", "route": "Route", "type": "Type"},
        ),
    )

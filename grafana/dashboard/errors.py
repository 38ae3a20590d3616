"""Row: which errors there are."""

from __future__ import annotations

from .panels import Panel, Say, graph, grid
from .queries import ROUTE, WINDOW, Query, by, otherwise

__all__ = ["PANELS", "TITLE"]

TITLE = "Errors by type"

_IN_THIS_TIME = by("method, route, type", f"increase(api_errors_total{{{ROUTE}}}[$__range])")

PANELS: tuple[Panel, ...] = (
    graph(
        Say(
            30,
            "Errors by type",
            "Failed requests per second. A type is the class of an exception, or http_503 for an answer of 5xx that "
            "the code gave itself.",
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
        Say(
            31,
            "Answers that are no success",
            "Requests per second that ended with 4xx or 5xx. Many 4xx are a client's fault, or a broken link.",
            "reqps",
        ),
        Query(
            otherwise(by("status", f'rate(http_requests_total{{{ROUTE},status=~"[45].."}}{WINDOW})'), status="none"),
            "{{status}}",
        ),
        stacked=True,
    ),
    grid(
        Say(
            32,
            "Errors in this time",
            "How many requests failed within the time that is shown, and where.",
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

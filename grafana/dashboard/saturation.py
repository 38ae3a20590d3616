"""Row: what is filling up."""

from __future__ import annotations

from .panels import Panel, Say, graph, number
from .queries import ENVIRONMENT, ROUTE, WINDOW, Query, by, otherwise

__all__ = ["PANELS", "TITLE"]

TITLE = "Saturation"

_UNTOLD = "not told by this Redis"
_USED = f"kairo_store_memory_bytes{{{ENVIRONMENT}}}"
_LIMIT = f"kairo_store_max_memory_bytes{{{ENVIRONMENT}}}"

PANELS: tuple[Panel, ...] = (
    graph(
        Say(
            50,
            "Requests at once",
            "How many requests of a route are being served at once, on average: the seconds they took, per second.",
            "short",
        ),
        Query(
            otherwise(
                by("route", f"rate(http_request_duration_seconds_sum{{{ROUTE}}}{WINDOW})"), route="no requests yet"
            ),
            "{{route}}",
        ),
        stacked=True,
    ),
    graph(
        Say(
            51,
            "Redis, memory",
            "Bytes that Redis uses, all its data together, and the bytes that it may use; no limit is shown as 0.",
            "bytes",
            alerts=("StoreMemoryNearLimit",),
            absent=_UNTOLD,
        ),
        Query(otherwise(f"max({_USED})", "NaN"), "used"),
        Query(otherwise(f"max({_LIMIT})", "NaN"), "limit"),
    ),
    number(
        Say(
            52,
            "Redis, memory in use",
            "Share of its memory that Redis uses. StoreMemoryNearLimit warns from 85% on.",
            "percentunit",
            width=4,
            lines=(0.7, 0.85),
            alerts=("StoreMemoryNearLimit",),
            absent="no limit is known",
            top=1,
        ),
        Query(otherwise(f"max({_USED} / ({_LIMIT} > 0))", "NaN"), "in use"),
    ),
    number(
        Say(
            53,
            "Fullest metric",
            "The metric with the most series, as a share of those that it may have. SeriesNearLimit warns from 80% on.",
            "percentunit",
            width=4,
            lines=(0.6, 0.8),
            alerts=("SeriesNearLimit", "SeriesOverflow"),
            top=1,
        ),
        Query(
            otherwise(
                f"max(kairo_series{{{ENVIRONMENT}}} / on (job, environment, instance) group_left () "
                f"kairo_max_series{{{ENVIRONMENT}}})"
            ),
            "series",
        ),
    ),
)

"""Row: how full the system is."""

from __future__ import annotations

from ..thresholds import Thresholds
from .panels import Panel, PanelSpec, graph, number
from .queries import ENVIRONMENT, ROUTE, WINDOW, Query, by, otherwise

__all__ = ["TITLE", "panels"]

TITLE = "Saturation"

_NOT_REPORTED = "not reported by this Redis"
_USED = f"kairo_store_memory_bytes{{{ENVIRONMENT}}}"
_LIMIT = f"kairo_store_max_memory_bytes{{{ENVIRONMENT}}}"


def panels(at: Thresholds) -> tuple[Panel, ...]:
    """Return the panels of the row; `at` has the numbers at which alerts fire."""
    return (
        graph(
            PanelSpec(
                50,
                "Requests at once",
                "How many requests of a route run at once, on average: the seconds that they took, per second.",
                "short",
                absent="no requests",
                about="requests",
            ),
            Query(by("route", f"rate(http_request_duration_seconds_sum{{{ROUTE}}}{WINDOW})"), "{{route}}"),
            stacked=True,
        ),
        graph(
            PanelSpec(
                51,
                "Redis, memory",
                "Bytes that Redis uses for all its data, and the bytes that it may use. 0 means no limit.",
                "bytes",
                alerts=("StoreMemoryNearLimit",),
                absent=_NOT_REPORTED,
            ),
            Query(otherwise(f"max({_USED})", "NaN"), "used"),
            Query(otherwise(f"max({_LIMIT})", "NaN"), "limit"),
        ),
        number(
            PanelSpec(
                52,
                "Redis, memory in use",
                "Share of its memory that Redis uses. StoreMemoryNearLimit warns above @{memory_percent}.",
                "percentunit",
                width=4,
                lines=(at.memory_share * 0.8, at.memory_share),
                alerts=("StoreMemoryNearLimit",),
                absent="no limit is known",
                top=1,
            ),
            Query(otherwise(f"max({_USED} / ({_LIMIT} > 0))", "NaN"), "in use"),
        ),
        number(
            PanelSpec(
                53,
                "Fullest metric",
                "Series of the metric with the most, as a share of the limit. SeriesNearLimit warns above "
                "@{series_percent}.",
                "percentunit",
                width=4,
                lines=(at.series_share * 0.75, at.series_share),
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

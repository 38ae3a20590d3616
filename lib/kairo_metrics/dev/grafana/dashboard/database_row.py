"""Row: the queries to the tenants' database, by model and operation."""

from __future__ import annotations

from ..thresholds import Thresholds
from .panels import Panel, PanelSpec, graph, heat_map
from .queries import MODEL, WINDOW, Query, by, idle_as_zero, quantile, ratio

__all__ = ["TITLE", "panels"]

TITLE = "Database"

_DB, _NONE = "database", "no queries"
_BY = "model, operation"
_LATENCY = "tenant_db_query_duration_seconds"
_LEGEND = "{{model}}.{{operation}}"
_COUNT = f"rate({_LATENCY}_count{{{MODEL}}}{WINDOW})"
_FAST = f'rate({_LATENCY}_bucket{{{MODEL},le="@{{slow_query_s}}"}}{WINDOW})'


def panels(at: Thresholds) -> tuple[Panel, ...]:
    """Return the panels of the row; `at` has the numbers at which alerts fire."""
    return (
        graph(
            PanelSpec(40, "Queries", "Database queries per second, failed ones too.", "ops", absent=_NONE, about=_DB),
            Query(by(_BY, _COUNT), _LEGEND),
        ),
        graph(
            PanelSpec(
                41,
                "Duration, p95",
                "19 of 20 queries are faster. SlowQueries warns above @{query_s} s.",
                "s",
                lines=(at.slow_query_s, at.query_s),
                alerts=("SlowQueries",),
                absent=_NONE,
                about=_DB,
            ),
            Query(quantile(0.95, _BY, _LATENCY, MODEL), _LEGEND, exemplars=True),
        ),
        graph(
            PanelSpec(
                42,
                "Slow queries by model",
                "Share of the queries that took longer than @{slow_query_s} s; the lines are at 1% and at 5%.",
                "percentunit",
                lines=(0.01, 0.05),
                alerts=("SlowQueries",),
                absent=_NONE,
                about=_DB,
            ),
            Query(idle_as_zero(f"1 - {ratio(_BY, _FAST, _COUNT)}", _BY, _COUNT), _LEGEND),
        ),
        heat_map(
            PanelSpec(
                43,
                "Duration of all queries",
                "Queries by duration: a darker cell has more queries.",
                "s",
                width=12,
                height=9,
                alerts=("SlowQueries",),
                absent=_NONE,
                about=_DB,
            ),
            Query(
                by("le", f"increase({_LATENCY}_bucket{{{MODEL}}}{WINDOW})"),
                "{{le}}",
                exemplars=True,
            ),
        ),
        graph(
            PanelSpec(
                44,
                "Time in the database",
                "Seconds of queries per second, which is how many run at once. Make the largest faster first.",
                "short",
                width=12,
                height=9,
                absent=_NONE,
                about=_DB,
            ),
            Query(by(_BY, f"rate({_LATENCY}_sum{{{MODEL}}}{WINDOW})"), _LEGEND),
            stacked=True,
        ),
    )

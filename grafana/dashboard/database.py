"""Row: the queries to the tenants' database, by model and operation."""

from __future__ import annotations

from .panels import Panel, PanelSpec, graph, heat_map
from .queries import MODEL, WINDOW, Query, by, idle_as_zero, otherwise, quantile, ratio

__all__ = ["PANELS", "TITLE"]

TITLE = "Tenant database"

_BY = "model, operation"
_LATENCY = "tenant_db_query_duration_seconds"
_LEGEND = "{{model}}.{{operation}}"
_COUNT = f"rate({_LATENCY}_count{{{MODEL}}}{WINDOW})"
_FAST = f'rate({_LATENCY}_bucket{{{MODEL},le="0.2"}}{WINDOW})'


def _idle(expr: str, value: str = "0") -> str:
    return otherwise(expr, value, model="no", operation="queries yet")


PANELS: tuple[Panel, ...] = (
    graph(
        PanelSpec(40, "Queries", "Database queries per second, failed ones too.", "ops"),
        Query(_idle(by(_BY, _COUNT)), _LEGEND),
    ),
    graph(
        PanelSpec(
            41,
            "Duration, p95",
            "19 of 20 queries are faster. SlowQueries warns at one second.",
            "s",
            lines=(0.2, 1),
            alerts=("SlowQueries",),
        ),
        Query(_idle(quantile(0.95, _BY, _LATENCY, MODEL), "NaN"), _LEGEND, exemplars=True),
    ),
    graph(
        PanelSpec(
            42,
            "Slow queries",
            "Share of the queries that took longer than 200 ms; the lines are at 1% and at 5%.",
            "percentunit",
            lines=(0.01, 0.05),
            alerts=("SlowQueries",),
        ),
        Query(_idle(idle_as_zero(f"1 - {ratio(_BY, _FAST, _COUNT)}", _BY, _COUNT)), _LEGEND),
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
        ),
        Query(
            otherwise(by("le", f"increase({_LATENCY}_bucket{{{MODEL}}}{WINDOW})"), le="+Inf"),
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
        ),
        Query(_idle(by(_BY, f"rate({_LATENCY}_sum{{{MODEL}}}{WINDOW})")), _LEGEND),
        stacked=True,
    ),
)

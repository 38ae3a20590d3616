"""Queries: parts of PromQL that use the dashboard's variables, and results for queries without series.

A panel that says "No data" makes people look for a fault. So a query for one number always has a result: zero if
nothing has happened, not-a-number if there is no value. A query for several series has those that exist; if
there are none, the panel shows its text for no value.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["ENVIRONMENT", "MODEL", "ROUTE", "WINDOW", "Query", "by", "idle_as_zero", "otherwise", "quantile", "ratio"]

# Without curly braces, so that more matchers can be added.
ENVIRONMENT = 'job=~"$job",environment=~"$environment"'
ROUTE = f'{ENVIRONMENT},route=~"$route"'
MODEL = f'{ENVIRONMENT},model=~"$model"'
# Grafana makes it at least four scrape intervals long.
WINDOW = "[$__rate_interval]"


@dataclass(frozen=True, slots=True)
class Query:
    """One query of a panel.

    Args:
        expr: PromQL with Grafana's variables.
        legend: the name of a series in the legend, such as `{{route}}`.
        exemplars: whether to query exemplars, the points that link to traces.
        about: the part of a system that it asks for, if the rest of its panel is about another.
    """

    expr: str
    legend: str
    exemplars: bool = False
    about: str = ""


def otherwise(expr: str, value: str = "0") -> str:
    """Let a query for one number return this value if it finds no series.

    Example:
        >>> otherwise("sum(up)")
        'sum(up) or on () vector(0)'
    """
    return f"{expr} or on () vector({value})"


def by(labels: str, expr: str) -> str:
    """Sum by labels, or over all series if there are no labels.

    Example:
        >>> by("route", "rate(x[1m])"), by("", "rate(x[1m])")
        ('sum by (route) (rate(x[1m]))', 'sum(rate(x[1m]))')
    """
    return f"sum by ({labels}) ({expr})" if labels else f"sum({expr})"


def ratio(labels: str, part: str, whole: str) -> str:
    """Divide two sums; if the whole is zero, there is no value instead of not-a-number.

    Example:
        >>> ratio("route", "rate(errors[1m])", "rate(requests[1m])")
        'sum by (route) (rate(errors[1m])) / (sum by (route) (rate(requests[1m])) > 0)'
    """
    return f"{by(labels, part)} / ({by(labels, whole)} > 0)"


def idle_as_zero(expr: str, labels: str, whole: str) -> str:
    """Let a share be zero for label sets that exist and had no updates, so that their lines do not disappear.

    Example:
        >>> idle_as_zero("errors / (requests > 0)", "route", "rate(requests[1m])")
        'errors / (requests > 0) or 0 * sum by (route) (rate(requests[1m]))'
    """
    return f"{expr} or 0 * {by(labels, whole)}"


def quantile(share: float, labels: str, histogram: str, selector: str, window: str = WINDOW) -> str:
    """Estimate a quantile of a histogram over all instances; not-a-number if nothing was observed.

    Example:
        >>> quantile(0.95, "route", "wait_seconds", 'job="a"', "[1m]")
        'histogram_quantile(0.95, sum by (route, le) (rate(wait_seconds_bucket{job="a"}[1m])))'
    """
    names = f"{labels}, le" if labels else "le"
    return f"histogram_quantile({share}, sum by ({names}) (rate({histogram}_bucket{{{selector}}}{window})))"

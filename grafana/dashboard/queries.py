"""Queries: the series that the variables choose, and an answer where there are none.

A panel that says "No data" makes people look for a fault. So every query of the dashboard has an answer on a system
that is scraped, from its first minute on: zero where nothing has happened, not-a-number where there is nothing to tell.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["ENVIRONMENT", "MODEL", "ROUTE", "WINDOW", "Query", "by", "idle_as_zero", "otherwise", "quantile", "ratio"]

# Without curly braces, so that more labels may follow.
ENVIRONMENT = 'job=~"$job",environment=~"$environment"'
ROUTE = f'{ENVIRONMENT},route=~"$route"'
MODEL = f'{ENVIRONMENT},model=~"$model"'
# Grafana makes it four scrapes wide at least.
WINDOW = "[$__rate_interval]"


@dataclass(frozen=True, slots=True)
class Query:
    """One query of a panel.

    Args:
        expr: PromQL with Grafana's variables.
        legend: how a series is called, such as `{{route}}`.
        exemplars: whether to ask for exemplars, the points that lead to traces.
    """

    expr: str
    legend: str
    exemplars: bool = False


def otherwise(expr: str, value: str = "0", **labels: str) -> str:
    """Let a query answer with one series of that value and those labels where it would have none.

    Example:
        >>> otherwise("sum(up)")
        'sum(up) or on () vector(0)'
        >>> otherwise("up", job="none")
        'up or on () label_replace(vector(0), "job", "none", "", "")'
    """
    series = f"vector({value})"
    for name, text in labels.items():
        series = f'label_replace({series}, "{name}", "{text}", "", "")'
    return f"{expr} or on () {series}"


def by(labels: str, expr: str) -> str:
    """Sum by labels, or over everything where there are none.

    Example:
        >>> by("route", "rate(x[1m])"), by("", "rate(x[1m])")
        ('sum by (route) (rate(x[1m]))', 'sum(rate(x[1m]))')
    """
    return f"sum by ({labels}) ({expr})" if labels else f"sum({expr})"


def ratio(labels: str, part: str, whole: str) -> str:
    """Divide two sums; where the whole is zero there is no value in place of not-a-number.

    Example:
        >>> ratio("route", "rate(errors[1m])", "rate(requests[1m])")
        'sum by (route) (rate(errors[1m])) / (sum by (route) (rate(requests[1m])) > 0)'
    """
    return f"{by(labels, part)} / ({by(labels, whole)} > 0)"


def idle_as_zero(expr: str, labels: str, whole: str) -> str:
    """Let a share be zero for what is known and was idle, so that nobody takes it for something new.

    Example:
        >>> idle_as_zero("errors / (requests > 0)", "route", "rate(requests[1m])")
        'errors / (requests > 0) or 0 * sum by (route) (rate(requests[1m]))'
    """
    return f"{expr} or 0 * {by(labels, whole)}"


def quantile(share: float, labels: str, histogram: str, selector: str, window: str = WINDOW) -> str:
    """Estimate a quantile of a histogram over all instances; not-a-number where nothing was observed.

    Example:
        >>> quantile(0.95, "route", "wait_seconds", 'job="a"', "[1m]")
        'histogram_quantile(0.95, sum by (route, le) (rate(wait_seconds_bucket{job="a"}[1m])))'
    """
    names = f"{labels}, le" if labels else "le"
    return f"histogram_quantile({share}, sum by ({names}) (rate({histogram}_bucket{{{selector}}}{window})))"

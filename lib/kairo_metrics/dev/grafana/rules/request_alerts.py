"""The alerts about what users notice: errors, slow requests, slow queries, the error budget."""

from __future__ import annotations

from .alert import Alert

__all__ = ["ALERTS"]

_BURNS = """
(
  {first}{{job=~"@{{job}}"}} > {first_rate}@{{budget}}
  and {second} > {first_rate}@{{budget}}
  and job_environment:api_errors:increase{first_window} >= @{{budget_errors}}
) or (
  {third}{{job=~"@{{job}}"}} > {second_rate}@{{budget}}
  and {fourth} > {second_rate}@{{budget}}
  and job_environment:api_errors:increase{second_window} >= @{{budget_errors}}
)
"""


def _burns(first: tuple[str, str, str], second: tuple[str, str, str]) -> str:
    """Compare two pairs of windows with the budget, each (long window, short window, factor)."""
    ratio = "job_environment:api_errors_per_http_requests:ratio_rate"
    return _BURNS.format(
        first=ratio + first[0], second=ratio + first[1], first_rate=first[2], first_window=first[0],
        third=ratio + second[0], fourth=ratio + second[1], second_rate=second[2], second_window=second[0],
    )  # fmt: skip


ALERTS = (
    Alert(
        "HighErrorRate",
        """
        sum by (job, environment) (rate(api_errors_total{job=~"@{job}"}[5m]))
          / (sum by (job, environment) (rate(http_requests_total{job=~"@{job}"}[5m])) > 0)
          > @{error_share}
        """,
        "Many requests fail",
        "{{ $value | humanizePercentage }} of the requests to @system fail; more than @{error_percent} for 5 minutes.",
        wait="5m",
        about="requests",
        comment="By environment, so that a healthy production does not hide a broken preview. Without requests the "
        "ratio has no value instead of NaN.",
    ),
    Alert(
        "SlowQueries",
        """
        histogram_quantile(0.95, sum by (job, environment, model, operation, le) (
          rate(tenant_db_query_duration_seconds_bucket{job=~"@{job}"}[5m])
        )) > @{query_s}
        """,
        "Database queries are slow",
        "The slowest 5% of the queries {{ $labels.model }}.{{ $labels.operation }} of @system take longer than "
        "{{ $value | humanizeDuration }}.",
        wait="5m",
        about="database",
        comment='Summed by "le" and by labels that an operator can act on: without the sum there is a quantile for '
        "each series. Without queries the quantile is NaN, which is above no threshold.",
    ),
    Alert(
        "HighLatency",
        """
        histogram_quantile(0.95, sum by (job, environment, method, route, le) (
          rate(http_request_duration_seconds_bucket{job=~"@{job}"}[5m])
        )) > @{latency_s}
        """,
        "A route is slow",
        "The slowest 5% of the requests {{ $labels.method }} {{ $labels.route }} to @system take longer than "
        "{{ $value | humanizeDuration }}.",
        wait="10m",
        about="requests",
    ),
    Alert(
        "ErrorBudgetBurnsFast",
        _burns(("1h", "5m", "14.4 * "), ("6h", "30m", "6 * ")),
        "Errors use up the month's budget within days",
        "{{ $value | humanizePercentage }} of the requests to @system failed of late; the objective allows "
        "@{budget_percent}.",
        wait="2m",
        is_critical=True,
        about="requests",
        comment="The objective is @{objective_percent} over 30 days. At 14.4 times the rate of errors that it allows, "
        "2% of the month's budget is spent in an hour, at 6 times 5% in 6 hours, at 3 times 10% in a day, at 1 times "
        "10% in 3 days. The short window ends the alert soon after the errors end. Source: The Site Reliability "
        "Workbook, chapter 5. Fewer than @{budget_errors} errors are no alert: with little traffic a single error can "
        "be 100% of the requests.",
    ),
    Alert(
        "ErrorBudgetBurnsSlowly",
        _burns(("1d", "2h", "3 * "), ("3d", "6h", "")),
        "Errors use up the month's budget before the month is over",
        "{{ $value | humanizePercentage }} of the requests to @system failed over the last days; the objective allows "
        "@{budget_percent}.",
        wait="15m",
        about="requests",
    ),
)

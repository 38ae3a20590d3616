"""The two files of rules, as YAML."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator

from ..system import System
from . import metrics_alerts, request_alerts
from .alert import Alert

__all__ = ["alerts_of", "alerts_yml", "recording_yml"]

_ABOUT = """\
# - The jobs of @{title} are those that match @{jobs}.
# - "environment" is a label of the scrape target. All targets without it are one environment.
"""
_ALERTS = (
    """\
# The alerts of @{title} and of its metrics. Load this file together with recording.yml: `rule_files: ["rules/*.yml"]`.
# For other jobs or thresholds edit no expression: write all files again, with other options.
#   @{again}
#
"""
    + _ABOUT
    + """\
# - Without traffic no alert fires; those about the metrics' own health do not depend on traffic.
# - runbook_url is the file @{runbooks}. If you publish it, set its address in prometheus.yml, and every alert links
#   there: `global: {external_labels: {runbooks: "https://…/runbooks.md"}}`.
"""
)
_RECORDING = (
    """\
# For the error-budget alerts in alerts.yml: the share of failed requests over seven windows, and the number of
# failed requests. Load both files: `rule_files: ["rules/*.yml"]`. alerts.yml says how they are written again.
#
"""
    + _ABOUT
    + """\
# - A failure is what api_errors_total counts: a response with 5xx, or an exception; each request counts once at most.
# - Without requests, "> 0" gives a ratio no value; 0/0 would be NaN.
"""
)
_RATIO = """\
- record: job_environment:api_errors_per_http_requests:ratio_rate{window}
  expr: |
    sum by (job, environment) (rate(api_errors_total{{job=~"@{{job}}"}}[{window}]))
      / (sum by (job, environment) (rate(http_requests_total{{job=~"@{{job}}"}}[{window}])) > 0)
"""
_INCREASE = """\
- record: job_environment:api_errors:increase{window}
  expr: |
    sum by (job, environment) (increase(api_errors_total{{job=~"@{{job}}"}}[{window}]))
"""


def alerts_of(system: System) -> tuple[Alert, ...]:
    """Return the alerts about what the system has."""
    return tuple(_had(system, (*request_alerts.ALERTS, *metrics_alerts.ALERTS)))


def alerts_yml(system: System) -> str:
    """Return the text of alerts.yml."""
    groups = (
        ("@{slug}_alerts", list(_had(system, request_alerts.ALERTS))),
        ("kairo_metrics_alerts", list(_had(system, metrics_alerts.ALERTS))),
    )
    written = [
        _group(name, "30s", "\n".join("\n".join([*alert.lines(), ""]) for alert in alerts))
        for name, alerts in groups
        if alerts
    ]
    return system.filled(_ALERTS + _thresholds(system) + "groups:\n" + "\n".join(written))


def recording_yml(system: System) -> str:
    """Return the text of recording.yml; a system without requests has no recording rules."""
    if not system.has("requests"):
        return system.filled(_RECORDING) + "groups: []\n"
    short = _rules(_RATIO, "5m", "30m", "1h") + _rules(_INCREASE, "1h")
    long = _rules(_RATIO, "2h", "6h", "1d", "3d") + _rules(_INCREASE, "6h", "1d", "3d")
    return system.filled(
        _RECORDING
        + "groups:\n"
        + _group("@{slug}_error_ratios", "30s", short)
        + "\n  # Long windows change slowly and are expensive; the interval must stay below Prometheus' lookback of 5 "
        "minutes.\n" + _group("@{slug}_error_ratios_long", "2m", long)
    )


def _thresholds(system: System) -> str:
    text = f"- The thresholds are {system.thresholds.listed()}."
    return textwrap.fill(text, 116, initial_indent="# ", subsequent_indent="#   ") + "\n"


def _had(system: System, alerts: Iterable[Alert]) -> Iterator[Alert]:
    return (alert for alert in alerts if system.has(alert.about))


def _rules(text: str, *windows: str) -> str:
    return "".join(text.format(window=window) for window in windows)


def _group(name: str, interval: str, rules: str) -> str:
    return f"  - name: {name}\n    interval: {interval}\n    rules:\n" + textwrap.indent(rules, " " * 6)

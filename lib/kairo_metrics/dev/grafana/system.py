"""The system that files are written for: which jobs are its own, what its metrics are called, what it has."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, field

from .thresholds import Thresholds

__all__ = ["PARTS", "PREFIXED", "System"]

# What a system may lack; the panels, alerts and runbooks about it can be left out.
PARTS = {
    "requests": "requests and their errors, such as with the metric names of another library",
    "database": "database queries",
    "push": "pushes, and a token that is read from AWS",
}
# The metrics that METRICS_PREFIX renames and that the files ask for.
PREFIXED = (
    "http_requests_total",
    "http_request_duration_seconds",
    "api_errors_total",
    "tenant_db_query_duration_seconds",
)
_NAME = re.compile(rf"(?<![\w:])(?:{'|'.join(PREFIXED)})(?=\b|_(?:bucket|count|sum)\b)")
_FIELD = re.compile(r"@\{(\w+)\}")
_PREFIX = re.compile(r"[a-zA-Z_:][\w:]*", re.ASCII)
_LONGEST_UID = 40  # of Grafana


@dataclass(frozen=True, slots=True)
class System:
    """One system with its jobs.

    Args:
        job: a regular expression of Prometheus (RE2) that matches the names of its jobs, and of no others.
        title: its name for people.
        prefix: goes before the names of its request and query metrics, as `METRICS_PREFIX` does.
        without: the parts that it does not have: names in `PARTS`.
        thresholds: when alerts fire.
        runbooks: where the runbooks are, for alerts in a Prometheus that has no external label "runbooks".
        command: how its users start this package's command line.
        written_by: how its files are written again; the command `grafana` with its options if it is empty.
        domain: the host of its metrics page, in the runbooks' commands.

    Raises:
        ValueError: one of these can't be used; the text names it.

    Example:
        >>> shop = System(job="shop-.*", title="My Shop", prefix="shop_")
        >>> shop.uid, shop.filled('rate(http_requests_total{job=~"@{job}"}[5m])')
        ('my-shop', 'rate(shop_http_requests_total{job=~"shop-.*"}[5m])')
    """

    job: str
    title: str
    prefix: str = ""
    without: frozenset[str] = frozenset()
    thresholds: Thresholds = field(default_factory=Thresholds)
    runbooks: str = "runbooks.md"
    command: str = "kairo-metrics"
    domain: str = "example.com"
    written_by: str = ""

    def __post_init__(self) -> None:
        for name, text in (("job", self.job), ("title", self.title)):
            if not text.strip() or not text.isprintable():
                raise ValueError(f"{name} must be one line of text, not {text!r}")
        try:
            re.compile(self.job)
        except re.error as err:
            raise ValueError(f"job must be a regular expression, such as 'shop-.*', not {self.job!r}: {err}") from err
        if "{{" in self.job:
            raise ValueError(f"job={self.job!r} would begin a template in the texts of alerts: write it without {{{{")
        if self.prefix and not _PREFIX.fullmatch(self.prefix):
            raise ValueError(f"prefix={self.prefix!r} is not the beginning of a metric's name, such as 'shop_'")
        if unknown := sorted(self.without - PARTS.keys()):
            raise ValueError(f"there is no part {unknown[0]}; these are: {', '.join(PARTS)}")

    @property
    def uid(self) -> str:
        """The dashboard's id in Grafana, and the beginning of its address."""
        return re.sub(r"[^a-z0-9]+", "-", self.title.lower()).strip("-")[:_LONGEST_UID].rstrip("-") or "kairo-metrics"

    @property
    def slug(self) -> str:
        """The beginning of the names of groups of rules."""
        return self.uid.replace("-", "_")

    @property
    def again(self) -> str:
        """What to type for the same files again.

        Example:
            >>> System(job="shop-.*", title="My Shop", without=frozenset({"push"})).again
            "kairo-metrics grafana --job 'shop-.*' --title 'My Shop' --without push --out DIR"
        """
        changed = self.thresholds.listed(Thresholds())
        options = [
            *("--job", self.job, "--title", self.title),
            *(["--prefix", self.prefix] if self.prefix else []),
            *(word for part in sorted(self.without) for word in ("--without", part)),
            *(word for one in changed.split(", ") if one for word in ("--threshold", one)),
            *(["--domain", self.domain] if self.domain != "example.com" else []),
        ]
        return self.written_by or f"{self.command} grafana {shlex.join(options)} --out DIR"

    def has(self, about: str) -> bool:
        """Return whether the system has what a panel or an alert is about; an empty text is about every system."""
        return about not in self.without

    def filled(self, text: str) -> str:
        """Replace each `@{name}` by its value, and put the prefix before the names of metrics.

        Raises:
            KeyError: there is no such name.
        """
        values = {
            # In a string of PromQL, a backslash and a quote are escaped.
            "job": self.job.replace("\\", "\\\\").replace('"', '\\"'),
            "jobs": self.job,
            "title": self.title,
            "slug": self.slug,
            "runbooks": self.runbooks,
            "command": self.command,
            "domain": self.domain,
            "again": self.again,
            **self.thresholds.words(),
        }
        return self.named(_FIELD.sub(lambda found: values[found[1]], text))

    def named(self, text: str) -> str:
        """Put the prefix before the names of metrics in a text."""
        return _NAME.sub(lambda found: self.prefix + found[0], text)

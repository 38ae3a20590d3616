"""The findings of the checks, and the list of all checks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["CHECKS", "Finding", "Mark", "fail", "ok", "skipped", "warn"]

Mark = Literal["ok", "warn", "fail", "skipped"]

# Every check by name, with what it checks. docs/doctor.md has the same list, and leads from symptoms to these names.
CHECKS = {
    "settings": "the environment variables have values that can work",
    "switch": "ENABLE_METRICS is on",
    "token": "there is a token that is hard to guess; from outside: it opens the page",
    "token-source": "AWS returns the token, if it is kept there",
    "packages": "protobuf is installed in a version that works: one page format and pushes need it",
    "push": "the receiver of pushes answers in their protocol, and accepts the login",
    "redis": "Redis answers, and accepts the login",
    "latency": "how long a command takes",
    "version": "Redis can run the script",
    "eviction": "Redis drops no metrics when its memory is full",
    "memory": "how full the memory of Redis is",
    "rights": "the login may run every command that flushes and scrapes send",
    "clock": "this machine's clock and the server's agree",
    "replica": "METRICS_READ_URL, if it is set, follows the Redis that is written to",
    "families": "metrics have arrived, and when the last ones did",
    "quarantine": "nothing that is stored is damaged",
    "clashes": "no family is left out because another one has its name",
    "series": "no family is near METRICS_MAX_SERIES",
    "lost": "everything that was counted was delivered",
    "dns": "the name has an address",
    "connection": "the server accepts a connection, and its certificate is valid",
    "redirect": "the address is the final one",
    "protection": "no login page stands before the endpoint",
    "door": "without a token the answer is 401",
    "wrong-token": "with a wrong token the answer is 401",
    "store": "the endpoint can read Redis",
    "content-type": "the page has a content type of Prometheus",
    "page": "the page contains metrics",
    "cache": "no cache keeps a copy of the page",
    "gzip": "the page is compressed",
    "text": "a strict parser reads the page in Prometheus' text format",
    "openmetrics": "a strict parser reads the page in OpenMetrics",
    "requests": "http_requests_total is there",
    "duration": "a scrape takes less than Prometheus' default timeout",
    "size": "how large the page is",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report.

    Args:
        check: one of `CHECKS`.
        mark: ok, warn, fail or skipped.
        text: what was found.
        advice: what to do about it; empty if there is nothing to do.
    """

    check: str
    mark: Mark
    text: str
    advice: str = ""


def ok(check: str, text: str) -> Finding:
    """Return a finding that needs no action."""
    return Finding(check, "ok", text)


def warn(check: str, text: str, advice: str) -> Finding:
    """Return a finding that may become a problem, or may be intended."""
    return Finding(check, "warn", text, advice)


def fail(check: str, text: str, advice: str) -> Finding:
    """Return a finding about something that does not work."""
    return Finding(check, "fail", text, advice)


def skipped(check: str, text: str, advice: str = "") -> Finding:
    """Return the reason why a check was not made."""
    return Finding(check, "skipped", text, advice)

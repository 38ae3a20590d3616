"""What a check found, and the time that it may take."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

__all__ = ["CHECKS", "Finding", "Mark", "fail", "ok", "skipped", "warn", "within"]

Mark = Literal["ok", "warn", "fail", "skipped"]
T = TypeVar("T")

# Every check, by name, with what it looks at. docs/doctor.md leads from what one sees to these names.
CHECKS = {
    "settings": "the environment variables have values that can work",
    "switch": "ENABLE_METRICS is on",
    "token": "there is a token, and nobody guesses it; from outside: it opens the page",
    "token-source": "AWS hands out the token, where it is kept there",
    "redis": "Redis answers, and takes the login",
    "latency": "how long a command takes",
    "version": "Redis can run the script",
    "eviction": "Redis keeps what it was given",
    "memory": "how full it is",
    "rights": "the login may run every command that flushes and scrapes send",
    "clock": "this machine's clock and the other's agree",
    "replica": "METRICS_READ_URL, where it is set, follows the Redis that is written to",
    "families": "metrics have arrived, and when last",
    "quarantine": "nothing that is stored is damaged",
    "series": "no family is near METRICS_MAX_SERIES",
    "lost": "everything that was counted was delivered",
    "dns": "the name has an address",
    "connection": "the server takes a connection, and its certificate is good",
    "redirect": "the address is the final one",
    "protection": "no login page stands before the endpoint",
    "door": "without a token the answer is 401",
    "wrong-token": "with a wrong token the answer is 401",
    "store": "the endpoint can read Redis",
    "content-type": "the page says what it is",
    "page": "the page is one of metrics, and not empty",
    "cache": "nobody keeps a copy",
    "gzip": "the page comes compressed",
    "text": "Prometheus' text format, strictly",
    "openmetrics": "OpenMetrics, strictly",
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
        advice: what to do about it; empty where there is nothing to do.
    """

    check: str
    mark: Mark
    text: str
    advice: str = ""


def ok(check: str, text: str) -> Finding:
    """Say that all is well."""
    return Finding(check, "ok", text)


def warn(check: str, text: str, advice: str) -> Finding:
    """Say what will become a problem, or may be meant so."""
    return Finding(check, "warn", text, advice)


def fail(check: str, text: str, advice: str) -> Finding:
    """Say what does not work."""
    return Finding(check, "fail", text, advice)


def skipped(check: str, text: str, advice: str = "") -> Finding:
    """Say why it could not be looked at."""
    return Finding(check, "skipped", text, advice)


def within(limit_s: float, work: Callable[..., T], *arguments: Any) -> T:
    """Return what `work` returns, or raise what it raises.

    A name server or a peer that never answers holds up a thread that nobody waits for, and not the caller.

    Args:
        limit_s: seconds that it may take.
        work: what to do.
        arguments: what it is called with.

    Raises:
        TimeoutError: it took longer; it may still be at it.

    Example:
        >>> within(5, sum, [1, 2])
        3
    """
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(work(*arguments))
        except BaseException as err:  # noqa: BLE001  it is raised where the result is waited for
            future.set_exception(err)

    threading.Thread(target=run, daemon=True).start()
    return future.result(limit_s)

"""What the dashboard answers in place of numbers."""

from __future__ import annotations

from ...errors import DevError

__all__ = ["NotKnownHere", "QueryError"]


class QueryError(DevError):
    """A query that is malformed or has no one answer; the sentence is Prometheus' own where it has one."""


class NotKnownHere(QueryError):
    """A query that Prometheus would answer and the built-in engine does not.

    Args:
        what: the function, operator or modifier.
    """

    def __init__(self, what: str) -> None:
        super().__init__(f"{what} is not known to the built-in engine: set PROMETHEUS_URL to ask a real Prometheus")

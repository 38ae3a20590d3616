"""The errors of a query."""

from __future__ import annotations

from ...errors import DevError

__all__ = ["NotSupported", "QueryError"]


class QueryError(DevError):
    """A query is malformed or ambiguous; the message is Prometheus' own where it has one."""


class NotSupported(QueryError):
    """A query has a part that the built-in engine does not support.

    Args:
        what: the function, operator or modifier.
    """

    def __init__(self, what: str) -> None:
        super().__init__(
            f"{what} is not supported by the built-in engine: set PROMETHEUS_URL to query a real Prometheus"
        )

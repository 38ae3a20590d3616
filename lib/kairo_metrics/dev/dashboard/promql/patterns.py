"""Regular expressions of queries, in RE2: Prometheus' own dialect, whose time grows only with the text's length."""

from __future__ import annotations

from typing import Any

import re2

from ..query_error import QueryError

__all__ = ["pattern"]

_MEMORY_BYTES = 1 << 20


def pattern(expression: str) -> Any:
    """Compile a regular expression; use `fullmatch` of the result.

    Raises:
        QueryError: it is malformed or too large.

    Example:
        >>> bool(pattern("a+").fullmatch("aaa"))
        True
    """
    options = re2.Options()
    options.log_errors = False
    options.dot_nl = True  # as in Prometheus
    options.max_mem = _MEMORY_BYTES
    try:
        return re2.compile(expression, options)
    except re2.error as err:
        reason = err.args[0].decode(errors="replace") if isinstance(err.args[0], bytes) else str(err)
        raise QueryError(f"{expression[:200]!r} is not a regular expression: {reason}") from err

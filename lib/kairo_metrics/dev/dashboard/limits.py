"""The limits of a query: its length and depth before it is parsed, its time and its samples while it runs."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

from .query_error import QueryError

__all__ = ["LONGEST_LABEL", "LONGEST_QUERY", "TIME_LIMIT_S", "Budget", "check_size"]

LONGEST_QUERY = 20_000
LONGEST_LABEL = 16_384
TIME_LIMIT_S = 5.0
# The parser and the evaluation call themselves for each level and each operator in a row. The parser is native code: at
# a few thousand levels the process would end. These limits need less than 512 KiB of stack.
_DEEPEST = 50
_MOST_OPERATORS = 150
_MOST_SAMPLES = 2_000_000
_CHECKED_EVERY = 64

# Strings and comments may hold any sign. A string that does not end is the token "bad".
_TOKEN = re.compile(
    r"""(?P<text>"(?:[^"\\\n]|\\[^\n])*+"|'(?:[^'\\\n]|\\[^\n])*+'|`[^`]*+`|\#[^\n]*+)"""
    r"""|(?P<bad>["'`])|(?P<open>[(\[{])|(?P<close>[)\]}])"""
    r"""|(?P<operator>[-+*/%^<>]=?|[=!]=|@|\b(?:and|or|unless|atan2|offset)\b)""",
    re.IGNORECASE,
)
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


def check_size(query: str) -> None:
    """Refuse a query that is too long, too deep, or has too many operators.

    Raises:
        QueryError: it is; the error names the limit.
    """
    if len(query) > LONGEST_QUERY:
        raise QueryError(f"the query has {len(query)} characters, and at most {LONGEST_QUERY} are allowed: shorten it")
    if _CONTROL.search(query):
        raise QueryError("the query has a control character: write it as an escape, such as \\r")
    depth = operators = 0
    for token in _TOKEN.finditer(query):
        match token.lastgroup:
            case "bad":
                raise QueryError(f"the text that begins at character {token.start()} of the query does not end")
            case "open":
                depth += 1
            case "close":
                depth -= 1
            case "operator":
                operators += 1
        if depth > _DEEPEST:
            raise QueryError(f"the query has more than {_DEEPEST} brackets inside each other: make it less deep")
        if operators > _MOST_OPERATORS:
            raise QueryError(f"the query has more than {_MOST_OPERATORS} operators: split it into several")


class Budget:
    """What one query may use: time and samples.

    Args:
        time_limit_s: seconds from now until the query is ended.
        clock: returns seconds that only rise.

    Example:
        >>> budget = Budget()
        >>> budget.use(1_000)
    """

    def __init__(self, time_limit_s: float = TIME_LIMIT_S, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._limit_s = time_limit_s
        self._ends_at_s = clock() + time_limit_s
        self._samples_left = _MOST_SAMPLES
        self._ticks = 0
        self._is_cancelled = False

    def cancel(self) -> None:
        """End the query at its next look at the clock; another thread may call this."""
        self._is_cancelled = True

    def use(self, samples: int) -> None:
        """Count samples that the query reads or computes.

        Raises:
            QueryError: there are too many, or the time is over.
        """
        self._samples_left -= samples
        if self._samples_left < 0:
            raise QueryError(
                f"the query needs more than {_MOST_SAMPLES} samples: narrow the selector or the time range"
            )
        self.check()

    def tick(self) -> None:
        """Note a small piece of work, and look at the clock now and then.

        Raises:
            QueryError: the time is over.
        """
        self._ticks += 1
        if self._ticks % _CHECKED_EVERY == 0:
            self.check()

    def check(self) -> None:
        """Look at the clock.

        Raises:
            QueryError: the time is over, or the query was cancelled.
        """
        if self._is_cancelled:
            raise QueryError("the query was cancelled")
        if self._clock() >= self._ends_at_s:
            raise QueryError(f"the query took longer than {self._limit_s:g} s: narrow the selector or the time range")

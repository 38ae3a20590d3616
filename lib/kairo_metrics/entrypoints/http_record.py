"""What is counted of one HTTP request, whichever interface it came through."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from ..frameworks.facts import RequestFacts

if TYPE_CHECKING:
    from typing import Protocol

    from .body_sizes import BodySizes
    from .exchange import MeasuredRequest
    from .request_counts import RequestCounts

    class Rules(Protocol):
        """What counts the requests of an app, once the first response has left; see `RequestRules`."""

        @property
        def counts(self) -> RequestCounts: ...


__all__ = ["UNKNOWN", "HTTPRecord", "status_text"]

UNKNOWN = "__unknown__"
# RFC 9110 and RFC 5789. A client may send any other method; all of those are one label value.
_METHODS = frozenset({"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"})
_SERVER_ERROR = 500
# RFC 9110, section 15. An app may answer with any number, and may let the client choose it.
_STATUSES = range(100, 600)
# The status that nginx logs for a client that has closed the connection before the response.
_CLIENT_LEFT = 499


class HTTPRecord:
    """One request: what is known about it while it is served, and what is counted of it at its end.

    Args:
        rules: has what counts it.
        method: the request's method.
        facts: what the framework tells of the request.
        route: returns the template of the request's route.

    Attributes:
        is_answered: whether the last byte was sent.
        status: the status that is counted; None until the response begins.
        client_left: whether the client has closed the connection.
        sizes: counts the bytes of the bodies; None if that is not chosen.
    """

    __slots__ = (
        "_answered",
        "_had_left",
        "_is_ended",
        "_method",
        "_route",
        "_rules",
        "_started_s",
        "client_left",
        "facts",
        "is_answered",
        "status",
    )
    sizes: BodySizes | None = None

    def __init__(self, rules: Rules, method: str, facts: RequestFacts, route: Callable[[], str]) -> None:
        self._rules = rules
        self._method = method if method in _METHODS else UNKNOWN
        self._route = route
        self._started_s = time.perf_counter()
        self._had_left = False
        self.is_answered = False
        self._is_ended = False
        self.facts = facts
        self.status: int | None = None
        self.client_left = False

    def begin(self, request: MeasuredRequest, *paths: str) -> None:
        """Do what the rules ask for when a request begins; see `ChosenRecord`."""

    def begin_response(self, status: int, _headers: Iterable[tuple[Any, Any]] = ()) -> None:
        """Note the status. A client that has left gets no response, so the app's status is not counted."""
        self._had_left = self.client_left
        self.status = _CLIENT_LEFT if self.client_left else status

    def end_response(self) -> None:
        """Count the request, and the time until now. What the app does later does not delay the client."""
        if self.is_answered:
            return
        self.is_answered = True
        seconds = time.perf_counter() - self._started_s
        if self.status is None:
            self.status = _CLIENT_LEFT if self.client_left else _SERVER_ERROR
        self._count(self.status, seconds)

    def _count(self, status: int, seconds: float) -> None:
        self._answered = self._method, self._route()
        self._rules.counts.count(self._answered, status_text(status), seconds)

    def end(self, error: BaseException | None = None) -> None:
        """Count the request if its response has not ended, and its error if there is one; later calls add errors only.

        Args:
            error: the exception that left the app.
        """
        if self._is_ended and error is None:
            return
        self._is_ended = True
        left = self._had_left or (self.client_left and not self.is_answered)
        if not self.is_answered:
            self.end_response()
        if left:
            return  # whoever hangs up early can't spend the error budget
        failed = self.status is None or self.status >= _SERVER_ERROR
        if error is None and failed:
            error = self.facts.error
        if error is not None:
            self._count_error(type(error).__name__)
        elif failed:
            status = status_text(self.status)
            self._count_error(status if status == UNKNOWN else f"http_{status}")

    def _count_error(self, kind: str) -> None:
        self._rules.counts.count_error(self._answered, kind)


@lru_cache(maxsize=1024)
def status_text(status: int | None) -> str:
    """Print a status as a label's value.

    Example:
        >>> status_text(200), status_text(None)
        ('200', '__unknown__')
    """
    return str(int(status)) if status and status in _STATUSES else UNKNOWN

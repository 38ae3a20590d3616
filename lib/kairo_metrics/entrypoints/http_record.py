"""What is counted of one HTTP request, whichever interface it came through."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from ..frameworks.facts import RequestFacts
from .request_rules import RequestRules

if TYPE_CHECKING:
    from .body_sizes import BodySizes
    from .exchange import MeasuredRequest

__all__ = ["UNKNOWN", "HTTPRecord"]

UNKNOWN = "__unknown__"
# RFC 9110 and RFC 5789. A client may send any other method; all of those are one label value.
_METHODS = frozenset({"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"})
_SERVER_ERROR = 500
# RFC 9110, section 15. An app may answer with any number, and may let the client choose it.
_STATUSES = range(100, 600)
# The status that nginx logs for a client that has closed the connection before the response.
_CLIENT_LEFT = 499
_NO_LABELS: Mapping[str, str] = {}


class HTTPRecord:
    """One request: what is known about it while it is served, and what is counted of it at its end.

    Args:
        rules: what is counted of it.
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
        "_facts",
        "_had_left",
        "_is_ended",
        "_is_skipped",
        "_labels",
        "_method",
        "_request",
        "_response_headers",
        "_route",
        "_rules",
        "_started_s",
        "client_left",
        "facts",
        "is_answered",
        "sizes",
        "status",
    )

    def __init__(self, rules: RequestRules, method: str, facts: RequestFacts, route: Callable[[], str]) -> None:
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
        self._is_skipped = False
        self._request: MeasuredRequest | None = None
        self._response_headers: Iterable[tuple[Any, Any]] = ()
        self._labels: Mapping[str, str] = _NO_LABELS
        self._facts: dict[str, str] = {}
        self.sizes: BodySizes | None = None

    def begin(self, request: MeasuredRequest, *paths: str) -> None:
        """Do what the rules ask for when a request begins, unless they are plain.

        Args:
            request: the request.
            paths: its path, with and without the prefix under which the server has the app.
        """
        rules = self._rules
        if rules.skip(request.method, *paths):
            self._is_skipped = True
            return
        self._request = request
        if rules.labels is not None:
            self._labels = rules.labels.of_request(request)
        if rules.preset is not None:
            self.facts.told = {}
        if rules.count_sizes:
            from .body_sizes import BodySizes, content_length_of

            self.sizes = BodySizes(content_length_of(request.headers.items()))
        for child in rules.in_progress:
            child({"method": self._method, **self._labels}).inc()

    def begin_response(self, status: int, headers: Iterable[tuple[Any, Any]] = ()) -> None:
        """Note the status. A client that has left gets no response, so the app's status is not counted."""
        self._had_left = self.client_left
        self.status = _CLIENT_LEFT if self.client_left else status
        self._response_headers = headers
        if self.sizes is not None:
            self.sizes.begin_response(headers)

    def add_header(self, name: str, value: str) -> None:
        """Note one more header of the response."""
        self._response_headers = [*self._response_headers, (name, value)]
        if self.sizes is not None:
            self.sizes.begin_response(self._response_headers)

    def end_response(self) -> None:
        """Count the request, and the time until now. What the app does later does not delay the client."""
        if self.is_answered:
            return
        self.is_answered = True
        seconds = time.perf_counter() - self._started_s
        if self.status is None:
            self.status = _CLIENT_LEFT if self.client_left else _SERVER_ERROR
        if not self._is_skipped:
            self._count(self.status, seconds)

    def _count(self, status: int, seconds: float) -> None:
        rules = self._rules
        # The values of all labels, by what they are.
        facts = self._facts = {"method": self._method, "route": self._route(), "status": self._status_text()}
        if not rules.are_plain:
            self._is_skipped = not self._choose(facts, status)
            if self._is_skipped:
                return
        for child in rules.requests:
            child(facts).inc()
        for child in rules.seconds:
            child(facts).observe(seconds)
        for what, child in rules.lengths:
            child(facts).observe(float(facts.get(f"@{what}", 0)))
        if self.sizes is not None:
            for child in rules.request_bytes:
                child(facts).observe(self.sizes.of_request(client_left=self.client_left))
            for child in rules.response_bytes:
                child(facts).observe(self.sizes.of_response(self._method, status, client_left=self.client_left))
        # It begins at zero with a route's first request, so that an error rate has data before the first error.
        facts["type"] = "http_500"
        for child in rules.errors:
            child(facts)

    def end(self, error: BaseException | None = None) -> None:
        """Count the request if its response has not ended, and its error if there is one; later calls add errors only.

        Args:
            error: the exception that left the app.
        """
        if self._is_ended and error is None:
            return
        self._is_ended = True
        left = self._had_left or (self.client_left and not self.is_answered)
        self.end_response()
        if self._is_skipped or left:
            return  # whoever hangs up early can't spend the error budget
        failed = self.status is None or self.status >= _SERVER_ERROR
        if error is None and failed:
            error = self.facts.error
        if error is not None:
            kind = type(error).__name__
        elif failed:
            status = self._status_text()
            kind = status if status == UNKNOWN else f"http_{status}"
        else:
            return
        self._facts["type"] = kind
        for child in self._rules.errors:
            child(self._facts).inc()

    def _choose(self, facts: dict[str, str], status: int) -> bool:
        """Bring what the app has chosen into the facts, and return whether the request is counted."""
        rules = self._rules
        for child in rules.in_progress:
            child({"method": self._method, **self._labels}).dec()
        facts["route"] = rules.counted_route(facts["route"], status)
        if rules.skip_answered(facts["route"], status):
            return False
        if rules.group_status and facts["status"] != UNKNOWN:
            facts["status"] = f"{facts['status'][0]}xx"
        facts.update(self._labels)
        if self._request is not None and rules.labels is not None and rules.labels.need_response:
            from .exchange import MeasuredResponse

            self._request.route = facts["route"]
            facts.update(rules.labels.of_response(self._request, MeasuredResponse(status, self._response_headers)))
        if self._request is not None and rules.preset is not None:
            from .preset_facts import add_preset_facts

            add_preset_facts(facts, rules.preset, self._request, self._response_headers, self.facts.told)
        return True

    def _status_text(self) -> str:
        return str(int(self.status)) if self.status and self.status in _STATUSES else UNKNOWN

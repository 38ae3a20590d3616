"""What counts the requests of an app that has chosen nothing; imported once the first response has left."""

from __future__ import annotations

from ..instruments.catalogue import catalogue
from ..instruments.children import count, known_child, observe
from ..instruments.request_instruments import RequestInstruments

__all__ = ["RequestCounts"]


class RequestCounts:
    """The requests, their durations, and the errors."""

    def __init__(self) -> None:
        self._requests, self._durations, self._errors = catalogue(RequestInstruments).members

    def count(self, labels: tuple[str, str], status: str, seconds: float) -> None:
        """Count a request whose response has ended.

        Args:
            labels: its method and its route.
            status: the status of the response.
            seconds: from the request's arrival to the end of the response.
        """
        method, route = labels
        count(self._requests, (method, route, status))
        observe(self._durations, labels, seconds)
        # It begins at zero with a route's first request, so that an error rate has data before the first error.
        known_child(self._errors, (method, route, "http_500"))

    def count_error(self, labels: tuple[str, str], kind: str) -> None:
        """Count the error of a request, of a kind; for the labels see `count`."""
        count(self._errors, (*labels, kind))

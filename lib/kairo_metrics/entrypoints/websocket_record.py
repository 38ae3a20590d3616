"""What is counted of one websocket."""

from __future__ import annotations

import time
from collections.abc import Callable

from ..frameworks.facts import RequestFacts
from ..instruments.catalogue import catalogue
from ..instruments.websocket_instruments import WebSocketInstruments

__all__ = ["WebSocketRecord"]

# RFC 6455, section 7.4.1, "policy violation": how frameworks answer what is the client's fault, as 4xx does.
_CLIENT_FAULT = 1008


class WebSocketRecord:
    """One websocket, from the client's request to the end of the connection.

    Args:
        facts: what the framework tells of it.
        route: returns the template of its route.
    """

    __slots__ = (
        "_accepted_route",
        "_code",
        "_facts",
        "_instruments",
        "_is_closed",
        "_is_refused",
        "_left",
        "_route",
        "_started_s",
    )

    def __init__(self, facts: RequestFacts, route: Callable[[], str]) -> None:
        self._facts = facts
        self._code: int | None = None
        self._is_closed = False
        self._instruments = catalogue(WebSocketInstruments)
        self._route = route
        self._started_s = time.perf_counter()
        self._accepted_route: str | None = None
        self._is_refused = False
        self._left = False

    def accept(self) -> None:
        """Count the connection as accepted, and as one in progress."""
        route = self._accepted_route = self._route()
        self._instruments.connections.labels(route, "accepted").inc()
        self._instruments.in_progress.labels(route).inc()
        self._instruments.errors.labels(route, "Exception")

    def close(self, code: int | None = None) -> None:
        """Count the connection as refused, unless it was accepted before.

        Args:
            code: the code with which the app closes it, if it does.
        """
        self._code, self._is_closed = code, True
        if self._accepted_route is None and not self._is_refused:
            self._is_refused = True
            self._instruments.connections.labels(self._route(), "refused").inc()

    def leave(self) -> None:
        """Note that the client has left; after the app has closed the connection it leaves in any case."""
        self._left = self._left or not self._is_closed

    def end(self, error: BaseException | None = None) -> None:
        """Count the time of an accepted connection, and the exception that ended it, unless the client had left.

        Args:
            error: the exception that left the app. A framework may have answered another one by closing the connection.
        """
        route = self._accepted_route
        if route is not None:
            self._instruments.in_progress.labels(route).dec()
            self._instruments.duration.labels(route).observe(time.perf_counter() - self._started_s)
        elif not self._is_refused:
            self._instruments.connections.labels(self._route(), "refused").inc()
        if error is None and self._code != _CLIENT_FAULT:
            error = self._facts.error
        if error is not None and not self._left:
            self._instruments.errors.labels(route or self._route(), type(error).__name__).inc()

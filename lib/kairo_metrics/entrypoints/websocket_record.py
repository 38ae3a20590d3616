"""What is counted of one websocket."""

from __future__ import annotations

import time
from collections.abc import Callable

from ..instruments.catalogue import WebSocketInstruments, catalogue

__all__ = ["WebSocketRecord"]


class WebSocketRecord:
    """One websocket, from the client's request to the end of the connection.

    Args:
        route: returns the template of its route.
    """

    __slots__ = ("_accepted_route", "_families", "_is_refused", "_route", "_started_s", "client_left")

    def __init__(self, route: Callable[[], str]) -> None:
        self._families = catalogue(WebSocketInstruments)
        self._route = route
        self._started_s = time.perf_counter()
        self._accepted_route: str | None = None
        self._is_refused = False
        self.client_left = False

    def accept(self) -> None:
        """Count the connection as accepted, and as one in progress."""
        route = self._accepted_route = self._route()
        self._families.connections.labels(route, "accepted").inc()
        self._families.in_progress.labels(route).inc()
        self._families.errors.labels(route, "Exception")

    def refuse(self) -> None:
        """Count the connection as refused, unless it was accepted before: then it is closed."""
        if self._accepted_route is None and not self._is_refused:
            self._is_refused = True
            self._families.connections.labels(self._route(), "refused").inc()

    def end(self, error: BaseException | None = None) -> None:
        """Count the time of an accepted connection, and the exception that left the app, unless the client had left."""
        route = self._accepted_route
        if route is not None:
            self._families.in_progress.labels(route).dec()
            self._families.duration.labels(route).observe(time.perf_counter() - self._started_s)
        elif not self._is_refused:
            self._families.connections.labels(self._route(), "refused").inc()
        if error is not None and not self.client_left:
            self._families.errors.labels(route or self._route(), type(error).__name__).inc()

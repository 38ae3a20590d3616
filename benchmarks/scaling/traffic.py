"""Records what a request to the watched system records, with the same families and labels, but without its app."""

from __future__ import annotations

import random
from bisect import bisect_left

from lib.kairo_metrics.instruments.pending_series import PendingSeries
from lib.kairo_metrics.instruments.recorder import Recorder
from lib.kairo_metrics.model.encoding import label_text
from lib.kairo_metrics.model.schema import Schema

__all__ = ["Traffic"]

_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.35, 0.5, 1.0, 2.5, 5.0, 10.0)
_REQUESTS = Schema("http_requests", "counter", ("method", "route", "status"))
_DURATIONS = Schema("http_request_duration_seconds", "histogram", ("method", "route"), (*map(str, _BOUNDS), "+Inf"))
_ERRORS = Schema("api_errors", "counter", ("method", "route", "type"))
_QUERIES = Schema("tenant_db_query_duration_seconds", "histogram", ("model", "operation"), (*map(str, _BOUNDS), "+Inf"))
_METHODS = ("GET", "GET", "GET", "GET", "POST", "PUT", "DELETE")
_STATUSES = ("200", "200", "200", "200", "200", "200", "200", "304", "404", "500")
_OPERATIONS = ("select", "select", "select", "insert", "update", "delete")
_MODELS = 10


class Traffic:
    """The requests of one instance: each has a route, a status, one to three queries, and sometimes an error.

    Args:
        chance: the source of random numbers.
        routes: the number of routes, each with four methods and four statuses.
    """

    def __init__(self, chance: random.Random, routes: int) -> None:
        self.recorder = Recorder()
        self._chance = chance
        self._routes = [f"/api/part{number}/{{id}}" for number in range(routes)]
        self._series: dict[tuple[Schema, str], PendingSeries] = {}

    def request(self) -> None:
        """Record one request."""
        choice = self._chance.choice
        method, route, status = choice(_METHODS), choice(self._routes), choice(_STATUSES)
        with self.recorder.lock:
            self._add(_REQUESTS, method, route, status)
            self._observe(_DURATIONS, method, route)
            for _ in range(self._chance.randint(1, 3)):
                self._observe(_QUERIES, f"Model{self._chance.randrange(_MODELS)}", choice(_OPERATIONS))
            if status == "500":
                self._add(_ERRORS, method, route, "OperationalError")

    def everything(self) -> None:
        """Record one update of every possible series."""
        with self.recorder.lock:
            for route in self._routes:
                for method in sorted(set(_METHODS)):
                    for status in sorted(set(_STATUSES)):
                        self._add(_REQUESTS, method, route, status)
                    self._observe(_DURATIONS, method, route)
                    self._add(_ERRORS, method, route, "OperationalError")
            for number in range(_MODELS):
                for operation in sorted(set(_OPERATIONS)):
                    self._observe(_QUERIES, f"Model{number}", operation)

    def _add(self, schema: Schema, *labels: str) -> None:
        self.recorder.add(self._find_or_add(schema, labels), 1, 1.0, weight=1.0)

    def _observe(self, schema: Schema, *labels: str) -> None:
        seconds = self._chance.expovariate(20.0)
        series = self._find_or_add(schema, labels)
        self.recorder.add(series, 1, seconds)
        self.recorder.add(series, 2 + bisect_left(_BOUNDS, seconds), 1.0, weight=1.0)

    def _find_or_add(self, schema: Schema, labels: tuple[str, ...]) -> PendingSeries:
        text = label_text(schema.labelnames, labels)
        return self._series.setdefault((schema, text), PendingSeries(schema, text))

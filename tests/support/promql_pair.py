"""The same samples in the real Prometheus and in the built-in history, so that tests can compare their answers."""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping, Sequence
from typing import Any

import httpx

from lib.kairo_metrics.dev.dashboard.api import BuiltIn
from lib.kairo_metrics.dev.dashboard.history import History, Labels
from lib.kairo_metrics.dev.dashboard.query_error import QueryError
from lib.kairo_metrics.exposition.remote_write import HEADERS
from lib.kairo_metrics.exposition.remote_write_pb2 import WriteRequest
from lib.kairo_metrics.exposition.snappy import wrap
from tests.support.prometheus_server import PrometheusServer

# The NaN with which Prometheus marks the end of a series.
_STALE = struct.unpack("<d", struct.pack("<Q", 0x7FF0000000000002))[0]

Scrape = tuple[int, Mapping[Labels, float]]
# Labels -> time -> value; or the word "error".
Result = dict[Labels, dict[float, float]] | str


class PromqlPair:
    """Queries both engines.

    Args:
        prometheus: its remote-write receiver is on.
        scrapes: `(time in ms, samples)`, oldest first.
    """

    def __init__(self, prometheus: PrometheusServer, scrapes: Sequence[Scrape]) -> None:
        self._prometheus = prometheus
        self._history = History(keep_ms=3_600_000)
        for at_ms, samples in scrapes:
            self._history.add(at_ms, samples)
        self.first_s, self.last_s = scrapes[0][0] / 1000, scrapes[-1][0] / 1000
        self._write()

    def differences(self, query: str, *, step_s: float = 7, empty: bool = False) -> list[str]:
        """Return the differences between the two answers to a query, over the whole time and at its end.

        Args:
            query: PromQL.
            step_s: seconds between two moments.
            empty: whether the query may have no result; otherwise no result counts as a difference.
        """
        ranged = {"query": query, "start": str(self.first_s - 20), "end": str(self.last_s + 400), "step": str(step_s)}
        instant = {"query": query, "time": str(self.last_s)}
        found = []
        for path, parameters in (("query_range", ranged), ("query", instant)):
            theirs, ours = self._theirs(path, parameters), self._ours(path, parameters)
            if not _same(theirs, ours):
                found.append(f"{path} {query}\n  Prometheus: {theirs}\n  built in:   {ours}")
            if path == "query_range" and not theirs and not empty:
                found.append(f"{query} has no result")
        return found

    def _theirs(self, path: str, parameters: dict[str, str]) -> Result:
        answer = httpx.get(f"{self._prometheus.url}/api/v1/{path}", params=parameters).json()
        return "error" if answer["status"] == "error" else _result(answer["data"])

    def _ours(self, path: str, parameters: dict[str, str]) -> Result:
        built_in = BuiltIn(self._history)  # anew, because its time limit begins with it
        try:
            return _result(built_in.query_range(parameters) if path == "query_range" else built_in.query(parameters))
        except QueryError:
            return "error"

    def _write(self) -> None:
        request = WriteRequest()
        bounds = self._history.bounds_ms()
        assert bounds is not None
        for series in self._history.select(None, lambda _labels: True, *bounds):
            written = request.timeseries.add()
            for name, value in series.labels:
                written.labels.add(name=name, value=value)
            for at_ms, number in zip(series.times, series.values, strict=True):
                written.samples.add(value=_STALE if number is None else number, timestamp=at_ms)
        url = f"{self._prometheus.url}/api/v1/write"
        answer = httpx.post(url, content=wrap(request.SerializeToString()), headers=HEADERS, timeout=30)
        assert answer.is_success, answer.text


def _result(data: dict[str, Any]) -> Result:
    if data["resultType"] == "scalar":
        return {(): {data["result"][0]: float(data["result"][1])}}
    return {
        tuple(sorted(row["metric"].items())): {at: float(value) for at, value in row.get("values") or [row["value"]]}
        for row in data["result"]
    }


def _same(theirs: Result, ours: Result) -> bool:
    if isinstance(theirs, str) or isinstance(ours, str):
        return theirs == ours
    if theirs.keys() != ours.keys():
        return False
    return all(
        points.keys() == ours[labels].keys() and all(_close(value, ours[labels][at]) for at, value in points.items())
        for labels, points in theirs.items()
    )


def _close(one: float, other: float) -> bool:
    return (math.isnan(one) and math.isnan(other)) or math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-12)

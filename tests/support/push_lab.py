"""Pushes to a real receiver, by a clock that a test holds: minutes pass at once, in the last quarter of an hour."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field, replace
from typing import Any

import httpx
from prometheus_client import Counter, Histogram, Summary

from lib.kairo_metrics import NativeHistogram
from lib.kairo_metrics.delivery import process_pipeline
from lib.kairo_metrics.endpoints.push_endpoint import push_endpoint
from lib.kairo_metrics.instruments.recorder import RECORDER
from lib.kairo_metrics.testing.memory_store import MemoryStore
from tests.support.adopted import adopted_registry
from tests.support.instance import settings
from tests.support.prometheus_server import PrometheusServer
from tests.support.push_settings import SECRET, push_settings

__all__ = ["TOTALS", "TRACE", "Pushed", "push_to"]

_AGO_S = 900
TRACE = {"trace_id": "4bf92f3577b34da6a3ce929d0e0e4736"}
# Name of a sample -> what was counted of it in all, of which the first push has the first part.
TOTALS = {
    "born_total": 6,
    "wait_count": 4,
    "wait_sum": 6,
    'wait_bucket{le="1.0"}': 2,
    'wait_bucket{le="+Inf"}': 4,
    "size_count": 2,
    "size_sum": 9,
    "fine_count": 2,
    "early_total": 3,
}


@dataclass
class Pushed:
    """What a receiver has of four pushes, one each minute.

    Args:
        answers: the status of each push.
        increases: name of a sample -> what `increase` says, at the time of the last push.
        values: name of a sample -> its values, one after the other.
        traces: the traces of its exemplars.
        late: how `increases` looks after a push by a function that does not know what was pushed before.
        late_answer: the status of that push.
    """

    answers: list[int] = field(default_factory=list)
    increases: dict[str, float] = field(default_factory=dict)
    values: dict[str, list[float]] = field(default_factory=dict)
    traces: set[str] = field(default_factory=set)
    late: dict[str, float] = field(default_factory=dict)
    late_answer: int = 0


class _Deployment:
    """A program that counts in this process, and its push function."""

    def __init__(self, url: str, protocol: str) -> None:
        self.now_ms = int((time.time() - _AGO_S) * 1000)
        self.pushed_s = 0.0
        self.registry = adopted_registry()
        self._pushes = push_settings(
            f"{url}/api/v1/write",
            protocol=protocol,
            otlp_url=f"{url}/opentelemetry/v1/metrics",
            labels={"job": _job(protocol)},
            timeout_ms=60_000,
        )
        RECORDER.forget()
        process_pipeline.close_pipeline()
        process_pipeline.open_pipeline(settings(), MemoryStore(settings(), lambda: self.now_ms))
        RECORDER.forget()

    def push(self, **changes: str) -> int:
        """Push half a minute after what came before, as a function that has just started, and return the status.

        Args:
            changes: name of a setting -> what is added to it.
        """
        added = {name: f"{getattr(self._pushes, name)}{more}" for name, more in changes.items()}
        pushes = replace(self._pushes, **added)  # type: ignore[arg-type]
        opened = process_pipeline.current_pipeline()
        assert opened is not None
        opened.flusher.flush()
        self.now_ms += 30_000
        status = asyncio.run(_call(push_endpoint(opened, settings(), pushes)))
        self.pushed_s = self.now_ms / 1000
        self.now_ms += 30_000
        return status


async def _call(app: object) -> int:
    transport = httpx.ASGITransport(app)  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url="http://cms.example.org") as client:
        return (await client.get("/api/push", headers={"Authorization": f"Bearer {SECRET}"})).status_code


def push_to(server: PrometheusServer, protocol: str, *, native: bool, victoria: bool) -> Pushed:
    """Push what is counted between four pushes, and once more when it is not known what was pushed before.

    Args:
        server: the receiver.
        protocol: how to push.
        native: whether native histograms are to arrive as such.
        victoria: whether it is VictoriaMetrics, which has no exemplars.
    """
    deployment, pushed = _Deployment(server.url, protocol), Pushed()
    registry = deployment.registry
    Counter("early", "Counted before the first push.", registry=registry).inc(3)
    pushed.answers.append(deployment.push())
    born = Counter("born", "Born at 5.", ["kind"], registry=registry).labels("refund")
    wait = Histogram("wait", "Wait.", buckets=(1, 2), registry=registry)
    size = Summary("size", "Size.", registry=registry)
    fine = NativeHistogram("fine", "Fine.", registry=registry)
    born.inc(5, TRACE)
    for seconds in (0.5, 1.5, 3):
        wait.observe(seconds, TRACE)
    size.observe(7)
    fine.observe(1)
    pushed.answers += [deployment.push(), deployment.push()]
    born.inc()
    wait.observe(1)
    size.observe(2)
    fine.observe(1)
    pushed.answers.append(deployment.push())
    asked = _Asked(server, protocol, deployment.pushed_s, native=native)
    server.wait_for(lambda: all(asked.arrived(sample, total) for sample, total in TOTALS.items()))
    pushed.increases = asked.increases()
    pushed.values = {sample: asked.values(sample) for sample in TOTALS}
    if not victoria:
        pushed.traces = asked.traces()
    # The address is part of what tells one receiver from another.
    pushed.late_answer = deployment.push(url="?another", otlp_url="?another")
    pushed.late = _Asked(server, protocol, deployment.pushed_s, native=native).increases()
    process_pipeline.close_pipeline()
    return pushed


def _job(protocol: str) -> str:
    return f"pushed by {protocol}"


class _Asked:
    """What a receiver says of one job at one time, by the names that samples have on the page."""

    def __init__(self, server: PrometheusServer, protocol: str, at_s: float, *, native: bool) -> None:
        self._server, self._protocol, self._at_s, self._native = server, protocol, at_s, native

    def rows(self, sample: str, window: str = "") -> list[dict[str, Any]]:
        return self._server.query(f"{self._selector(sample)}{window}", self._at_s)

    def arrived(self, sample: str, total: float) -> bool:
        """Tell whether the last push can be seen: VictoriaMetrics shows samples some time after it has taken them."""
        return bool(self.rows(sample, "[15m]")) and self.values(sample)[-1] == total

    def values(self, sample: str) -> list[float]:
        [row] = self.rows(sample, "[15m]")
        if "histograms" in row:
            return [float(histogram["count"]) for _, histogram in row["histograms"]]
        return [float(value) for _, value in row["values"]]

    def increases(self) -> dict[str, float]:
        found = {}
        for sample in TOTALS:
            query = f"increase({self._selector(sample)}[15m])"
            if self._is_native(sample):
                query = f"histogram_count({query})"
            found[sample] = self._server.value(query, self._at_s) or 0
        return found

    def traces(self) -> set[str]:
        asked = {"query": f'{{job="{_job(self._protocol)}"}}', "start": "0", "end": "9999999999"}
        found = httpx.get(f"{self._server.url}/api/v1/query_exemplars", params=asked).json()["data"]
        return {exemplar["labels"]["trace_id"] for series in found for exemplar in series["exemplars"]}

    def _is_native(self, sample: str) -> bool:
        return self._native and sample == "fine_count"

    def _selector(self, sample: str) -> str:
        name, _, labels = ("fine" if self._is_native(sample) else sample).partition("{")
        if self._protocol == "otlp":
            labels = labels.replace(".0", "")  # there a bound is a number, and each receiver prints it in its own way
        return f'{name}{{job="{_job(self._protocol)}",{labels or "}"}'

"""Pushes to a real receiver, by a clock that a test holds: minutes pass at once, in the last quarter of an hour."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field, replace

import httpx
from prometheus_client import Counter, Histogram, Summary

from lib.kairo_metrics import NativeHistogram
from lib.kairo_metrics.delivery import pipeline
from lib.kairo_metrics.endpoints.push_endpoint import push_endpoint
from lib.kairo_metrics.instruments.values import RECORDER
from lib.kairo_metrics.testing.memory_store import MemoryStore
from tests.support.adopted import adopted_registry
from tests.support.instance import settings
from tests.support.prometheus_server import PrometheusServer
from tests.support.push_settings import SECRET, push_settings

__all__ = ["TOTALS", "Pushed", "push_to"]

_AGO_S = 900
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
        late: how `increases` looks after a push by a function that does not know what was pushed before.
        late_answer: the status of that push.
    """

    answers: list[int] = field(default_factory=list)
    increases: dict[str, float] = field(default_factory=dict)
    values: dict[str, list[float]] = field(default_factory=dict)
    late: dict[str, float] = field(default_factory=dict)
    late_answer: int = 0


class _Deployment:
    """A program that counts in this process, and its push function."""

    def __init__(self, url: str) -> None:
        self.now_ms = int((time.time() - _AGO_S) * 1000)
        self.pushed_s = 0.0
        self.registry = adopted_registry()
        self._pushes = push_settings(f"{url}/api/v1/write", labels={"job": "pushed"})
        RECORDER.forget()
        pipeline.close_pipeline()
        pipeline.open_pipeline(settings(), MemoryStore(settings(), lambda: self.now_ms))
        RECORDER.forget()

    def push(self, **changes: str) -> int:
        """Push half a minute after what came before, as a function that has just started, and return the status."""
        pushes = replace(self._pushes, **changes)  # type: ignore[arg-type]
        opened = pipeline.current_pipeline()
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


def push_to(server: PrometheusServer) -> Pushed:
    """Push what is counted between four pushes, and once more when it is not known what was pushed before."""
    deployment, pushed = _Deployment(server.url), Pushed()
    registry = deployment.registry
    Counter("early", "Counted before the first push.", registry=registry).inc(3)
    pushed.answers.append(deployment.push())
    born = Counter("born", "Born at 5.", ["kind"], registry=registry).labels("refund")
    wait = Histogram("wait", "Wait.", buckets=(1, 2), registry=registry)
    size = Summary("size", "Size.", registry=registry)
    fine = NativeHistogram("fine", "Fine.", registry=registry)
    born.inc(5)
    for seconds in (0.5, 1.5, 3):
        wait.observe(seconds)
    size.observe(7)
    fine.observe(1)
    pushed.answers += [deployment.push(), deployment.push()]
    born.inc()
    wait.observe(1)
    size.observe(2)
    fine.observe(1)
    pushed.answers.append(deployment.push())
    server.wait_for(lambda: bool(server.query(_selector("born_total"), deployment.pushed_s)))
    pushed.increases = _increases(server, deployment.pushed_s)
    for sample in TOTALS:
        [row] = server.query(f"{_selector(sample)}[15m]", deployment.pushed_s)
        pushed.values[sample] = [float(value) for _, value in row["values"]]
    # The account is part of what tells one receiver from another.
    pushed.late_answer = deployment.push(username="another", password="account")
    pushed.late = _increases(server, deployment.pushed_s)
    pipeline.close_pipeline()
    return pushed


def _increases(server: PrometheusServer, at_s: float) -> dict[str, float]:
    return {sample: server.value(f"increase({_selector(sample)}[15m])", at_s) or 0 for sample in TOTALS}


def _selector(sample: str) -> str:
    name, _, labels = sample.partition("{")
    return f'{name}{{job="pushed",{labels or "}"}'

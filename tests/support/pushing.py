"""A pusher of a test, a page for it, and the pauses that it makes."""

from __future__ import annotations

import time
from typing import Any

from lib.kairo_metrics.endpoints.pusher import Pusher, PushOutcome
from lib.kairo_metrics.exposition.family import Exemplar, Family
from lib.kairo_metrics.exposition.page import Page
from lib.kairo_metrics.model.schema import Schema
from tests.support.push_settings import push_settings
from tests.support.write_receiver import WriteReceiver

__all__ = ["AT_MS", "JOBS", "Pushing", "page"]

AT_MS = 1_764_000_000_123
JOBS = Schema("jobs", "counter", ("queue",))


def page(*queues: str, exemplars: bool = False, native: bool = False) -> Page:
    """Return a page with a counter, old enough to have no zero."""
    rows = {f'queue="{queue}"'.encode(): b"5" for queue in queues or ("a", "b")}
    marks = {text: {1: Exemplar(b'trace_id="4bf9"', b"1", AT_MS)} for text in rows} if exemplars else {}
    families = [Family(JOBS, rows, marks)]
    if native:
        schema = Schema("fine", "native", (), ("1.0", "+Inf"))
        families.append(Family(schema, {b"": b"12 4 1 0 0.001 2:2,3:1 -"}))
    return Page(tuple(families), AT_MS)


class Pushing:
    """A pusher, and the pauses that it made."""

    def __init__(self, receiver: WriteReceiver, protocol: str = "remote-write", **changes: Any) -> None:
        self.pauses: list[float] = []
        url = receiver.url
        self.pusher = Pusher(push_settings(url, protocol=protocol, otlp_url=url, **changes), self.pauses.append)

    def push(self, pushed: Page | None = None, limit_s: float = 60) -> PushOutcome:
        return self.pusher.push(pushed or page(), time.monotonic() + limit_s)

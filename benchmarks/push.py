"""The bodies of a push, compared with the page of a scrape for the same families."""

from __future__ import annotations

from benchmarks.timing import median_s, row
from lib.kairo_metrics.exposition import text
from lib.kairo_metrics.exposition.family import Family
from lib.kairo_metrics.exposition.page import Page
from lib.kairo_metrics.exposition.remote_write import body_of, write_requests
from lib.kairo_metrics.model.encoding import label_text
from lib.kairo_metrics.model.schema import Schema

__all__ = ["bench_push"]

_ROUNDS = 9
_LABELS = ("method", "route", "status")
_SAMPLES = 10_000


def bench_push() -> None:
    """Measure the time to encode families as bodies, without sending them."""
    print("Push, floor: the page of the same 10000 counters")
    texts = [label_text(_LABELS, ["GET", f"/api/items/{number}", "200"]).encode() for number in range(_SAMPLES)]
    family = Family(Schema("requests", "counter", _LABELS), dict.fromkeys(texts, b"12345.0"))
    target = {"job": "kairo", "instance": "production"}
    floor_s = median_s(lambda: b"".join(text.render([family])), _ROUNDS)
    row(f"{_SAMPLES} counters as text", floor_s)
    row(
        f"{_SAMPLES} counters as bodies",
        median_s(lambda: [body_of(series) for series in write_requests(Page((family,), 0), target)], _ROUNDS),
        floor_s,
    )

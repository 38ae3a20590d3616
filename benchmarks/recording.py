"""Recording alone, compared with plain prometheus_client: the same calls, in turn, in one process."""

from __future__ import annotations

import statistics

from prometheus_client import CollectorRegistry, Counter, Histogram

from benchmarks.timing import median_s, row
from lib.kairo_metrics import Settings
from lib.kairo_metrics.delivery.process_pipeline import close_pipeline, open_pipeline
from lib.kairo_metrics.testing import MemoryStore

__all__ = ["bench_recording"]

_ROUNDS, _CALLS = 15, 1_000


class _Instruments:
    def __init__(self, registry: CollectorRegistry) -> None:
        self.jobs = Counter("bench_jobs", "", ["queue", "outcome"], registry=registry)
        self.wait = Histogram("bench_wait", "", ["queue"], registry=registry)

    def record(self) -> None:
        """Count and observe as a request does."""
        for _ in range(_CALLS):
            self.jobs.labels("mail", "done").inc()
            self.wait.labels("mail").observe(0.25)


def bench_recording() -> None:
    """Measure `labels`, `inc` and `observe` in a registry that nobody sends, and in one that is sent."""
    print("Recording of 1 counter + 1 histogram, floor: plain prometheus_client")
    plain, published = CollectorRegistry(), CollectorRegistry()
    theirs = _Instruments(plain)
    settings = Settings(enabled=True)
    open_pipeline(settings, MemoryStore(settings), (published,))
    ours = _Instruments(published)
    rounds = [(median_s(theirs.record, 3), median_s(ours.record, 3)) for _ in range(_ROUNDS)]
    floor_s, ours_s = (statistics.median(times) / _CALLS for times in zip(*rounds, strict=True))
    row("prometheus_client", floor_s)
    row("in a registry that is sent", ours_s, floor_s)
    close_pipeline()


if __name__ == "__main__":
    bench_recording()

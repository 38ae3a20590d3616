"""Medians and percentiles, and the rows of the table that shows them."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence

__all__ = ["median_s", "percentile", "row"]

_MILLISECOND_S = 1e-3


def median_s(work: Callable[[], object], rounds: int) -> float:
    """Return the median duration of a call, in seconds, after a tenth of the rounds to warm up."""
    for _ in range(max(1, rounds // 10)):
        work()
    durations = []
    for _ in range(rounds):
        started = time.perf_counter()
        work()
        durations.append(time.perf_counter() - started)
    return statistics.median(durations)


def percentile(durations: Sequence[float], share: float) -> float:
    """Return the duration that this share of the durations does not exceed."""
    ordered = sorted(durations)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def row(what: str, seconds: float, floor_s: float | None = None) -> None:
    """Print one measurement, and its ratio to the floor."""
    amount = f"{seconds * 1e6:9.0f} µs" if seconds < _MILLISECOND_S else f"{seconds * 1e3:9.1f} ms"
    print(f"  {what:<52}{amount}" + (f"{seconds / floor_s:7.2f} x floor" if floor_s else ""))

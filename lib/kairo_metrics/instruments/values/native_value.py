"""The value under a native histogram."""

from __future__ import annotations

import math
from copy import deepcopy

from ...model.native_counts import NativeCounts
from ..pending_series import PendingSeries
from ..recorder import RECORDER

__all__ = ["NativeValue"]


class NativeValue:
    """What this process has observed; once it is shared, what of it is not sent yet is in the series.

    Args:
        bounds: the upper bounds of the classic histogram that other scrapers get.
        native: schema, zero threshold, and the most buckets that there may be.
    """

    __slots__ = ("_native", "_total", "bounds", "series")

    def __init__(self, bounds: tuple[str, ...], native: tuple[int, float, int]) -> None:
        self.bounds = bounds
        self._native = native
        self._total = self._empty()
        self.series: PendingSeries | None = None

    def share(self, series: PendingSeries) -> None:
        """Record observations in the series from now on, those until now included; a second call changes nothing."""
        with RECORDER.lock:
            if self.series is None:
                self.series = series
                RECORDER.observe(series, deepcopy(self._total), self._native[2], weight=float(self._total.count))

    def _empty(self) -> NativeCounts:
        return NativeCounts(*self._native[:2])

    def observe(self, amount: float) -> None:
        """Count one observation."""
        with RECORDER.lock:
            if math.isnan(amount):
                # NaN falls into no bucket, and the shared sum would be NaN for ever.
                if self.series is not None:
                    RECORDER.count_lost(self.series.schema.name, 1.0)
                return
            self._total.observe(amount)
            self._total.limit(self._native[2])
            if self.series is not None:
                observed = self._empty()
                observed.observe(amount)
                RECORDER.observe(self.series, observed, self._native[2], weight=1.0)

    def add(self, counts: NativeCounts) -> None:
        """Count what was observed elsewhere, bucket by bucket; the counts are changed."""
        with RECORDER.lock:
            if math.isnan(counts.sum):
                counts.sum = 0.0
                if self.series is not None:
                    RECORDER.count_lost(self.series.schema.name, 1.0)
            self._total.add(deepcopy(counts))
            self._total.limit(self._native[2])
            if self.series is not None:
                RECORDER.observe(self.series, counts, self._native[2], weight=float(counts.count))

    def total(self) -> NativeCounts:
        """Return a copy of all that this process has observed."""
        with RECORDER.lock:
            return deepcopy(self._total)

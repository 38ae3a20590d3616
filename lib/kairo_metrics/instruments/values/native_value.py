"""The value under a native histogram."""

from __future__ import annotations

import math
from collections.abc import Sequence
from copy import deepcopy

from ...model.native_counts import NativeCounts
from ..pending_series import PendingSeries, new_series, schema_of
from .value import MAKING, RECORDER

__all__ = ["NativeValue"]


class NativeValue:
    """What this process has observed; what of it is not sent yet is in the series, unless it is not recorded.

    Args:
        name: the family's name.
        labelnames: in the instrument's order.
        labelvalues: in the same order.
        help_text: the documentation line.
        bounds: the upper bounds of the classic histogram that other scrapers get.
        native: schema, zero threshold, and the most buckets that there may be.
    """

    __slots__ = ("_native", "_total", "series")

    def __init__(  # noqa: PLR0913, PLR0917  a histogram has that many parts
        self,
        name: str,
        labelnames: Sequence[str],
        labelvalues: Sequence[str],
        help_text: str,
        bounds: tuple[str, ...],
        native: tuple[int, float, int],
    ) -> None:
        self._native = native
        self._total = self._empty()
        self.series: PendingSeries | None = None
        if not MAKING.recorded:
            return
        schema = schema_of(name, "native", labelnames, help_text, bounds=bounds)
        self.series = new_series(schema, labelnames, labelvalues)
        with RECORDER.lock:
            RECORDER.observe(self.series, self._empty(), self._native[2], weight=0.0)

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

    def total(self) -> NativeCounts:
        """Return a copy of all that this process has observed."""
        with RECORDER.lock:
            return deepcopy(self._total)

"""The value under a counter."""

from __future__ import annotations

import math

from ..recorder import Series
from .base import RECORDER, Plain

__all__ = ["CounterValue"]


class CounterValue(Plain):
    """Adds up over all instances."""

    __slots__ = ()

    def __init__(self, series: Series) -> None:
        super().__init__(series)
        # A new series is announced at zero, as it would be on the program's own page: only then can
        # Prometheus see its first increment.
        with RECORDER.lock:
            RECORDER.touch(series)

    def inc(self, amount: float) -> None:
        with RECORDER.lock:
            if math.isnan(amount):
                # Added once, it would be the shared total for ever, and scrapers refuse it.
                RECORDER.lose(self.series.schema.name, 1.0)
                return
            self._total += amount
            RECORDER.add(self.series, 1, amount, weight=amount)

    def set(self, value: float) -> None:
        """Begin anew; `Counter.reset` is the only caller, with zero."""
        with RECORDER.lock:
            RECORDER.restart(self.series)
            self._total = value

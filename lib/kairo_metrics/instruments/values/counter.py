"""The value under a counter."""

from __future__ import annotations

import math

from prometheus_client.samples import Exemplar

from ..current_call import CURRENT_CALL
from ..pending_series import PendingSeries
from ..recorder import RECORDER
from .exemplar import record_exemplar
from .value import SeriesValue

__all__ = ["CounterValue"]


class CounterValue(SeriesValue):
    """Adds up over all instances."""

    __slots__ = ()

    def __init__(self, series: PendingSeries) -> None:
        super().__init__(series)
        # A new series is sent at zero, as it would be on the program's own page: only then can Prometheus see the
        # first increment.
        with RECORDER.lock:
            RECORDER.touch(series)

    def inc(self, amount: float) -> None:
        with RECORDER.lock:
            if math.isnan(amount):
                # One NaN would make the shared total NaN for ever, and scrapers refuse it.
                RECORDER.count_lost(self.series.schema.name, 1.0)
                return
            self._total += amount
            RECORDER.add(self.series, 1, amount, amount)
        if (call := CURRENT_CALL.get()) is not None and call.exemplar:
            record_exemplar(self.series, 1, amount, None)

    def carry_over(self, amount: float) -> None:
        """Add what was counted before the value took its place."""
        with RECORDER.lock:
            if math.isnan(amount):
                RECORDER.count_lost(self.series.schema.name, 1.0)
            elif amount:
                self._total += amount
                RECORDER.add(self.series, 1, amount, weight=amount)

    def set_exemplar(self, exemplar: Exemplar) -> None:
        """Keep the exemplar that the caller of `inc` gave."""
        self._exemplar = exemplar
        record_exemplar(self.series, 1, exemplar.value, exemplar.labels)

    def set(self, value: float, timestamp: float | None = None) -> None:
        """Begin again at zero; only `Counter.reset` calls it."""
        del timestamp
        with RECORDER.lock:
            RECORDER.restart(self.series)
            self._total = value

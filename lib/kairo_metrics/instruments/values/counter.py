"""The value under a counter."""

from __future__ import annotations

import math

from prometheus_client.samples import Exemplar

from ..pending_series import PendingSeries
from .base import RECORDER, Plain
from .request_exemplar import exemplify

__all__ = ["CounterValue"]


class CounterValue(Plain):
    """Adds up over all instances."""

    __slots__ = ()

    def __init__(self, series: PendingSeries) -> None:
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
        exemplify(self.series, 1, amount, None)

    def set_exemplar(self, exemplar: Exemplar) -> None:
        """Keep what the caller of `inc` gave."""
        self._exemplar = exemplar
        exemplify(self.series, 1, exemplar.value, exemplar.labels)

    def set(self, value: float) -> None:
        """Begin anew; `Counter.reset` is the only caller, with zero."""
        with RECORDER.lock:
            RECORDER.restart(self.series)
            self._total = value

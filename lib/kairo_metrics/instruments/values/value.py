"""What all values have in common: a total of this process, and a series."""

from __future__ import annotations

import os

from prometheus_client.samples import Exemplar

from ..pending_series import PendingSeries

__all__ = ["LocalTotal", "SeriesValue"]


class LocalTotal:
    """What this process has added up or set last, and the last exemplar that the program gave."""

    __slots__ = ("_exemplar", "_total")

    def __init__(self) -> None:
        self._total = 0.0
        self._exemplar: Exemplar | None = None

    def get(self) -> float:
        return self._total

    def get_exemplar(self) -> Exemplar | None:
        return self._exemplar


class SeriesValue(LocalTotal):
    """The one value of a series; `process` is the id of the process whose total it has."""

    __slots__ = ("process", "series")

    def __init__(self, series: PendingSeries) -> None:
        super().__init__()
        self.series = series
        self.process = os.getpid()

    def reset_after_fork(self) -> None:
        """Begin at zero in a forked child: what the parent holds stays the parent's."""
        if self.process != os.getpid():
            self.process, self._total = os.getpid(), 0.0

"""The value under an info or an enum, which prometheus_client gives none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...model.encoding import info_word
from ..pending_series import PendingSeries
from ..recorder import RECORDER

__all__ = ["InfoValue"]


class InfoValue:
    """The series of one info or enum: of the values that instances set, the newest is shown.

    Args:
        series: the series.
        instrument: a child, or an instrument without labels.
    """

    __slots__ = ("series",)

    def __init__(self, series: PendingSeries, instrument: Any) -> None:
        self.series = series
        self.series.value = _printed(instrument)
        with RECORDER.lock:
            RECORDER.touch(self.series)

    def record(self, instrument: Any) -> None:
        """Record the instrument's present value."""
        with RECORDER.lock:
            RECORDER.replace(self.series, _printed(instrument))


def _printed(instrument: Any) -> str:
    value: Mapping[str, str] | int = instrument._value  # noqa: SLF001  prometheus_client keeps it private
    return f"{value}.0" if isinstance(value, int) else info_word(value)

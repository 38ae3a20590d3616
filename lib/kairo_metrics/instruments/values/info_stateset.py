"""What an info and an enum say, which prometheus_client keeps in no value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prometheus_client import Enum

from ...model.encoding import info_word
from ...model.schema import Schema
from ..pending_series import PendingSeries
from .base import RECORDER, schema_of, series_of

__all__ = ["Word"]


class Word:
    """The series of one info or enum, new and announced; of what instances say, the newest is shown.

    Args:
        instrument: a child, or an instrument without labels.
    """

    __slots__ = ("series",)

    def __init__(self, instrument: Any) -> None:
        self.series: PendingSeries = series_of(_schema(instrument), instrument._labelnames, instrument._labelvalues)  # noqa: SLF001
        self.series.value = _printed(instrument)
        with RECORDER.lock:
            RECORDER.touch(self.series)

    def follow(self, instrument: Any) -> None:
        """Say what the instrument says now."""
        with RECORDER.lock:
            RECORDER.replace(self.series, _printed(instrument))


def _printed(instrument: Any) -> str:
    value: Mapping[str, str] | int = instrument._value  # noqa: SLF001  prometheus_client keeps it private
    return f"{value}.0" if isinstance(value, int) else info_word(value)


def _schema(instrument: Any) -> Schema:
    name, labelnames, text = instrument._name, instrument._labelnames, instrument._documentation  # noqa: SLF001
    if isinstance(instrument, Enum):
        return schema_of(name, "stateset", labelnames, text, states=tuple(instrument._states))  # noqa: SLF001
    return schema_of(name, "info", labelnames, text)

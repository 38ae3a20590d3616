"""Exemplars: the trace that an increment belongs to, given by the caller or taken from the request."""

from __future__ import annotations

from collections.abc import Mapping

from ...model.encoding import exemplar_word
from ..current_call import CURRENT_CALL
from ..pending_series import PendingSeries
from ..recorder import RECORDER

__all__ = ["record_exemplar"]


def record_exemplar(series: PendingSeries, index: int, value: float, labels: Mapping[str, str] | None) -> None:
    """Record an exemplar for one number of a series; it replaces an older one.

    Args:
        series: the series that was counted.
        index: the place of the number in its packed line, from 1.
        value: what was added or observed.
        labels: those that the caller gave; with None those of the request are taken, if it has any.
    """
    call = CURRENT_CALL.get()
    labels = labels or (None if call is None else call.exemplar)
    if labels:
        with RECORDER.lock:
            RECORDER.set_exemplar(series, index, exemplar_word(labels, value))

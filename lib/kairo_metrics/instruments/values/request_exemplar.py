"""Exemplars: the trace that an increment belongs to, given by the caller or taken from the request."""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar

from ...model.encoding import exemplar_word
from ..pending_series import PendingSeries
from .base import RECORDER

__all__ = ["REQUEST_EXEMPLAR", "exemplify"]

# The labels for what is counted while a request is served, where the caller gives none.
REQUEST_EXEMPLAR: ContextVar[Mapping[str, str] | None] = ContextVar("kairo_request_exemplar", default=None)


def exemplify(series: PendingSeries, index: int, value: float, labels: Mapping[str, str] | None) -> None:
    """Keep an exemplar for one number of a series: the newest one is shown.

    Args:
        series: what was counted.
        index: where the number stands in its packed line, from 1.
        value: what was added or observed.
        labels: those given by the caller; None takes the request's, if there are any.
    """
    labels = labels or REQUEST_EXEMPLAR.get()
    if labels:
        with RECORDER.lock:
            RECORDER.exemplify(series, index, exemplar_word(labels, value))

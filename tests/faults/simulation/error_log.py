"""The errors that the package logs while a schedule runs."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from tests.faults.simulation.parcels import Violation

__all__ = ["logged_errors"]


@contextmanager
def logged_errors() -> Iterator[list[str]]:
    """Give the list of errors that the package logs: no user's mistake can cause them here."""
    heard: list[str] = []
    handler = _Listener(heard)
    log = logging.getLogger("kairo_metrics")
    before = log.propagate
    log.propagate = False
    log.addHandler(handler)
    try:
        yield heard
    finally:
        log.removeHandler(handler)
        log.propagate = before


class _Listener(logging.Handler):
    def __init__(self, heard: list[str]) -> None:
        super().__init__(logging.ERROR)
        self._heard = heard

    def emit(self, record: logging.LogRecord) -> None:
        err = record.exc_info[1] if record.exc_info else None
        self._heard.append(f"{record.getMessage()}: {err!r}" if not isinstance(err, Violation) else str(err))

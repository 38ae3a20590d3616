"""Instances of a program inside the test's process, each with its own instruments, deltas and flusher."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from prometheus_client import CollectorRegistry, values

from lib.kairo_metrics.config.settings import Settings
from lib.kairo_metrics.delivery.flusher import Flusher
from lib.kairo_metrics.instruments import adoption
from lib.kairo_metrics.instruments.recorder import RECORDER, Recorder
from lib.kairo_metrics.model.moment import CLOCKS, Clocks
from lib.kairo_metrics.store.store_interface import Store

__all__ = ["Program", "apart"]


class Program:
    """One instance. A process has one recorder; here each program swaps its own content into it.

    Args:
        store: shared by the instances.
        settings: the flusher's settings.
        name: used in place of the instance's random id.
        clocks: its monotonic and its wall clock.
    """

    def __init__(self, store: Store, settings: Settings, name: str, clocks: Clocks = CLOCKS) -> None:
        self.registry = CollectorRegistry()
        self.instruments: dict[str, Any] = {}
        self._recorder = vars(Recorder(clocks))
        with self.running():
            self._flusher = Flusher(RECORDER, store, settings)
            RECORDER.instance = name

    @property
    def _outbox(self) -> Any:
        return self._flusher._outbox

    @contextmanager
    def running(self) -> Iterator[None]:
        """Count what instruments do in the block for this instance."""
        with _recorded_in(self._recorder):
            adoption.adopt(self.registry)
            yield

    def flush(self) -> None:
        """Send what is pending."""
        with self.running():
            self._flusher.flush()

    def renew(self) -> None:
        """Send the values that the instance holds again, as an instance in use does from time to time."""
        with self.running():
            RECORDER.renew()
            self._flusher.flush()


@contextmanager
def _recorded_in(content: dict[str, Any]) -> Iterator[None]:
    before = RECORDER.__dict__
    RECORDER.__dict__ = content
    try:
        yield
    finally:
        RECORDER.__dict__ = before


@contextmanager
def apart(value_class: Any) -> Iterator[None]:
    """Make instruments in the block prometheus_client's own, with values of that class."""
    ours = values.ValueClass
    with _recorded_in(vars(Recorder())):
        values.ValueClass = value_class
        try:
            yield
        finally:
            values.ValueClass = ours

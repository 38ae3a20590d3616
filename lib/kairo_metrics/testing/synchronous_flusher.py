"""Delivery without tasks, timers and threads that could outlive a test: when a call ends, everything is sent."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from ..config.settings import Settings
from ..delivery.flusher import Flusher
from ..delivery.pipeline import Pipeline
from ..instruments.recorder import RECORDER

if TYPE_CHECKING:
    from ..store.store_interface import Store

__all__ = ["SynchronousFlusher", "SynchronousPipeline"]


class _NoTicker(AbstractContextManager[None]):
    """Does nothing while something is served: a test reads what is pending as well."""

    def begin(self) -> None:
        """See `ThreadTicker.begin`."""

    def end(self, *_error: object) -> None:
        """See `ThreadTicker.end`."""

    __enter__, __exit__ = begin, end

    def stop(self) -> None:
        """See `ThreadTicker.stop`."""


_NO_TICKER: Any = _NoTicker()


class SynchronousFlusher(Flusher):
    """Delivers the deltas of the process at once, also in an event loop: a store in memory lets nobody wait.

    Args:
        store: gets the deltas.
        settings: the number of shards, and the budget, which another store may need.

    Attributes:
        is_closed: whether the deltas are no longer for this store.
    """

    def __init__(self, store: Store, settings: Settings) -> None:
        self.is_closed = False
        super().__init__(RECORDER, store, settings)

    def flush(self) -> None:
        """See `Flusher.flush`."""
        if not self.is_closed:
            super().flush()

    def after_call(self, **_keeps_awake: bool) -> None:
        """See `Flusher.after_call`. None relies on another one: a test may look at the store when any has ended."""
        if not self.is_closed:
            super().after_call(keeps_awake=False)

    async def aflush(self) -> None:
        """See `Flusher.aflush`."""
        self.flush()

    async def after_response(self, **_keeps_awake: bool) -> None:
        """See `Flusher.after_response`."""
        self.after_call()

    def flush_beside(self) -> None:
        """See `Flusher.flush_beside`."""
        self.after_call()


class SynchronousPipeline(Pipeline):
    """A pipeline in which nothing ticks."""

    loop_ticker = thread_ticker = _NO_TICKER

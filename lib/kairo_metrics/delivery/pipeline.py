"""The pipeline: from the process's instruments, through a flusher, to the store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..config.settings import Settings
from ..model.fork_locks import SETUP_LOCK
from .loop_ticker import LoopTicker, loop_is_running

if TYPE_CHECKING:
    from ..store.store_interface import Store
    from .flusher import Flusher
    from .thread_ticker import ThreadTicker

__all__ = ["Pipeline"]


class Pipeline:
    """A store, the flusher that delivers this process's deltas to it, and what ticks while something is served.

    The store in Redis and the flusher are imported with the first flush: by then the first response has left.

    Args:
        settings: those of all of it.
        store: by default Redis.
        flusher: by default one that is made with the first flush.
    """

    def __init__(self, settings: Settings, store: Store | None = None, flusher: Flusher | None = None) -> None:
        self.settings = settings
        self._store = store
        self._flusher = flusher
        self._make_tickers()

    def _make_tickers(self) -> None:
        self.loop_ticker = LoopTicker(self.settings.stream_flush_s, lambda: self.flusher.flush_beside())  # noqa: PLW0108  made late
        self._thread_ticker: ThreadTicker | None = None

    @property
    def store(self) -> Store:
        """The shared state."""
        if self._store is None:
            with SETUP_LOCK:  # see `fork_lock`: no child is forked while a thread imports
                from ..store.redis_store import RedisStore

                self._store = self._store or RedisStore(self.settings)
        return self._store

    @property
    def flusher(self) -> Flusher:
        """What delivers the deltas."""
        if self._flusher is None:
            with SETUP_LOCK:
                from ..instruments.recorder import RECORDER
                from .flusher import Flusher

                self._flusher = self._flusher or Flusher(RECORDER, self.store, self.settings)
        return self._flusher

    @property
    def thread_ticker(self) -> ThreadTicker:
        """Flushes while threads serve something; what runs in an event loop does without it."""
        if self._thread_ticker is None:
            with SETUP_LOCK:
                from .thread_ticker import ThreadTicker

                self._thread_ticker = self._thread_ticker or ThreadTicker(
                    self.settings.stream_flush_s,
                    lambda: self.flusher.after_call(keeps_awake=False),
                    lambda: self.flusher.pending,
                )
        return self._thread_ticker

    @property
    def ticker(self) -> LoopTicker | ThreadTicker:
        """The ticker for async code: in trio, which has no loop of asyncio, a thread sends what is counted."""
        return self.loop_ticker if loop_is_running() else self.thread_ticker

    def forget(self) -> None:
        """Start as a new writer in a forked child: the parent sends what is on its way, over its connections."""
        self._make_tickers()
        if self._flusher is not None:
            self._flusher.forget()
        if self._store is not None:
            self._store.forget_connections()

    def flush_at_exit(self) -> None:
        """Send what a flush beside an event loop has left, as that of a script that ends right after a function has."""
        if self._flusher is not None and self._flusher.is_left_to_exit and self._flusher.pending:
            self._flusher.after_call(keeps_awake=False)

"""The pipeline: from the process's instruments, through a flusher, to the store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..config.settings import Settings
from ..model.made_late import made_late
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
        if store is not None:
            self.store = store
        if flusher is not None:
            self.flusher = flusher

    @made_late
    def store(self) -> Store:
        """The shared state."""
        from ..store.redis_store import RedisStore

        return RedisStore(self.settings)

    @made_late
    def flusher(self) -> Flusher:
        """What delivers the deltas."""
        from ..instruments.recorder import RECORDER
        from .flusher import Flusher

        return Flusher(RECORDER, self.store, self.settings)

    @made_late
    def loop_ticker(self) -> LoopTicker:
        """Flushes while an event loop serves something."""
        return LoopTicker(self.settings.stream_flush_s, lambda: self.flusher.flush_beside())  # noqa: PLW0108  made late

    @made_late
    def thread_ticker(self) -> ThreadTicker:
        """Flushes while threads serve something; what runs in an event loop does without it."""
        from .thread_ticker import ThreadTicker

        return ThreadTicker(
            self.settings.stream_flush_s,
            lambda: self.flusher.after_call(keeps_awake=False),
            lambda: self.flusher.pending,
        )

    @property
    def ticker(self) -> LoopTicker | ThreadTicker:
        """The ticker for async code: in trio, which has no loop of asyncio, a thread sends what is counted."""
        return self.loop_ticker if loop_is_running() else self.thread_ticker

    def forget(self) -> None:
        """Start as a new writer in a forked child: the parent sends what is on its way, over its connections."""
        made = vars(self)
        for ticker in ("loop_ticker", "thread_ticker"):
            made.pop(ticker, None)
        if "flusher" in made:
            self.flusher.forget()
        if "store" in made:
            self.store.forget_connections()

    def flush_at_exit(self) -> None:
        """Send what a flush beside an event loop has left, as that of a script that ends right after a function has."""
        if "flusher" in vars(self) and self.flusher.is_left_to_exit and self.flusher.pending:
            self.flusher.after_call(keeps_awake=False)

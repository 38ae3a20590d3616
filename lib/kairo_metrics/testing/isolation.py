"""`isolated_metrics`: a block in which a program counts for itself, and what the block has of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..config.settings import Settings
from ..delivery import process_pipeline
from ..delivery.process_pipeline import published_registries
from ..errors import KairoError
from ..instruments.asked_shape import asked_of
from .fresh_apps import fresh_apps, settle_names
from .fresh_instruments import Members, fresh_instruments
from .fresh_process import Program, choose_as, forget_own_names, fresh_process
from .fresh_registries import fresh_registries
from .kept_variables import kept_variables
from .memory_store import MemoryStore
from .synchronous_flusher import SynchronousFlusher, SynchronousPipeline

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from ..config.options import RequestOptions
    from ..store.store_interface import Store

__all__ = ["Isolation", "current_isolation", "isolated_metrics"]

_TOKEN = "test"  # noqa: S105  it opens a page in memory


@dataclass(slots=True)
class Isolation:
    """What a block of `isolated_metrics` has of its own.

    Args:
        settings: those in force; a call in the block that gives others changes them.
        store: where the block's counts are.
    """

    settings: Settings
    store: Store
    _flusher: SynchronousFlusher = field(repr=False)
    _program: Program = field(repr=False)
    _members: Members = field(repr=False)
    _end: ExitStack = field(repr=False)

    def flush(self) -> None:
        """Put what is counted into the store."""
        self._flusher.flush()

    def allow(
        self, settings: Settings | None, store: Store | None, prefix: str | None, options: RequestOptions | None
    ) -> None:
        """Let a call in the block have other settings, store, prefix or options than those before."""
        try:
            asked_of(prefix, options, (settings or self.settings).options)
        except KairoError:
            self._forget_own_names()
        if settings is not None and settings.options != self.settings.options:
            self._forget_own_names()
        if store is not None and store is not self.store:
            self.close()
            self.store = store
            chosen = settings or self.settings
            if isinstance(store, MemoryStore):
                chosen = chosen.changed(shards=store.shards)
            self._flusher = SynchronousFlusher(store, chosen)
        elif settings is None or settings == self.settings:
            return
        elif settings is not None and isinstance(self.store, MemoryStore):
            self.store.limit(settings)
        self.settings = settings or self.settings
        self.open()

    @staticmethod
    def _forget_own_names() -> None:
        settle_names()
        forget_own_names()

    def collected(self) -> list[CollectorRegistry]:
        """Return the registries whose collectors run for a page: those of the program, if it makes one."""
        return published_registries() if process_pipeline._given["first"].has_page else []

    def open(self) -> None:
        """Make the block's settings and its store those of the process."""
        process_pipeline._opened.clear()
        first = process_pipeline._given.get("first", process_pipeline._Given(None, None))
        has_page = first.has_page or self._program.has_page
        process_pipeline._given["first"] = process_pipeline._Given(
            self.settings, self.store, named=first.named, has_page=has_page
        )
        if self.settings.enabled:
            process_pipeline._opened["pipeline"] = SynchronousPipeline(self.settings, self.store, self._flusher)
            for listener in process_pipeline._listeners:
                listener()

    def close(self) -> None:
        """Put what is counted into the store, and nothing more."""
        self._flusher.after_call(keeps_awake=False)
        self._flusher.is_closed = True


_open: list[Isolation] = []


def current_isolation() -> Isolation:
    """Return the innermost block that is open.

    Raises:
        KairoError: none is.
    """
    if not _open:
        raise KairoError("nothing is counted apart from other tests here: call it inside `with isolated_metrics():`")
    return _open[-1]


@contextmanager
def isolated_metrics(settings: Settings | None = None) -> Iterator[Isolation]:
    """Let the program count for this block alone, in memory: a context manager, and so a fixture of three lines.

    A block begins as a process does: nothing is counted, and no option is chosen but those of the program's modules.
    Its end puts back all that it has changed. Apps that were given to `instrument` before are measured in it, also if
    metrics were off then. Calls of `instrument` in the block may give settings, a store or a prefix that differ from
    those before: the last ones count. There is no Redis, no thread and no task. Blocks may stand in each other; each
    counts for itself. A block belongs to the process, so tests that run in threads beside each other can't have one
    each; those of pytest-xdist can.

    Args:
        settings: by default metrics are on, and the token of the page is `test`. Variables are not read.

    Raises:
        TypeError: `settings` are no Settings.
        KairoError: at the end: another block began in this one and has not ended, as in threads or tasks that run
            beside each other. Both have ended then, and what the program counts is as before.

    Example:
        >>> with isolated_metrics() as metrics:
        ...     metrics.settings.auth_tokens
        ('test',)
    """
    if settings is not None and not isinstance(settings, Settings):
        raise TypeError(f"isolated_metrics takes Settings, not {type(settings).__name__}")
    chosen = settings or Settings(enabled=True, auth_tokens=(_TOKEN,), namespace="test")
    # A store in memory has one part: what a cluster's parts hold is added up anyway.
    unsharded = chosen.changed(shards=1)
    with ExitStack() as state:
        state.enter_context(kept_variables(enabled=chosen.enabled))
        imported = state.enter_context(fresh_registries())
        program = state.enter_context(fresh_process(_open[0]._program if _open else None))
        choose_as(chosen.options)
        members = state.enter_context(fresh_instruments(imported, _open[0]._members if _open else None))
        store = MemoryStore(unsharded)
        isolation = Isolation(chosen, store, SynchronousFlusher(store, unsharded), program, members, state)
        _open.append(isolation)
        state.callback(_open.remove, isolation)
        process_pipeline._allowances.append(isolation.allow)
        state.callback(process_pipeline._allowances.remove, isolation.allow)
        isolation.open()
        process_pipeline.open_pipeline()
        state.enter_context(fresh_apps())
        state.callback(isolation.close)
        try:
            yield isolation
            if _open[-1:] != [isolation]:
                raise KairoError(
                    "blocks of isolated_metrics may stand in each other, and not beside each other: another one has "
                    "begun in this block and not ended in it; run such tests one after another, or in processes"
                )
        finally:
            # What those have put in place is taken out in the reverse order.
            for inner in reversed(_open[_open.index(isolation) + 1 :] if isolation in _open else []):
                inner._end.close()

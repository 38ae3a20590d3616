"""Sending what is pending: one flush at a time, within a budget, behind a circuit breaker."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from ..config.settings import Settings
from ..errors import StoreError, StoreUnavailable
from ..instruments.recorder import Recorder
from ..model.fork_locks import SETUP_LOCK
from ..model.made_late import made_late
from ..store.command_flow import CommandFlow, arun_flow, run_flow
from .breaker import Breaker
from .flush_lock import FlushLock
from .group_commit import GroupCommit
from .loop_tasks import forget_closed, running, start
from .loop_ticker import loop_is_running

if TYPE_CHECKING:
    from ..store.store_interface import Store
    from ..store.transports import AsyncTransport
    from .outbox import Outbox
    from .waiting import Waiting

__all__ = ["Flusher"]

_log = logging.getLogger("kairo_metrics")
# An event loop can't wait for the flush of a thread or of another loop, so it asks for the lock again after so many s.
_POLL_S = 0.002
# A flush may outlast its budget: if its connection breaks at the very end, it opens another one.
_BUDGETS_PER_LEASE = 3


class Flusher:
    """Delivers the recorder's deltas to the store.

    In an event loop a flush is a task with a budget of its own. Requests wait for the same task, each within its own
    budget. A request that is cancelled, or whose budget is over, does not end the task.

    Args:
        recorder: has the deltas.
        store: gets them.
        settings: the budget of one flush, and the number of shards.
        draw: returns a random number from 0 up to its argument, which is excluded.

    Attributes:
        is_left_to_exit: whether a flush was started for which nobody waits, so that the end of the process must look.
    """

    def __init__(
        self,
        recorder: Recorder,
        store: Store,
        settings: Settings,
        draw: Callable[[int], int] = secrets.randbelow,
    ) -> None:
        self.recorder = recorder
        self._store = store
        self._settings = settings
        self._clock = recorder.clocks[0]
        self._draw = draw
        self._budget_s = settings.flush_budget_ms / 1000
        self.forget()

    def forget(self) -> None:
        """Start as a new writer: in a forked child, the parent sends what is on its way."""
        vars(self).pop("_outbox", None)
        self._lock = FlushLock(_BUDGETS_PER_LEASE * self._budget_s, self._clock)
        self._breaker = Breaker(self._clock)
        self._commit = GroupCommit(self._budget_s, self._clock)
        self._settled_epoch = self.recorder.epoch - 1
        self.is_left_to_exit = False
        self._flushes: dict[asyncio.AbstractEventLoop, asyncio.Task[None]] = {}
        self._loads: dict[asyncio.AbstractEventLoop, asyncio.Task[None]] = {}
        self._waiting: dict[asyncio.AbstractEventLoop, Waiting] = {}

    @made_late
    def _outbox(self) -> Outbox:
        """The batches that are on their way."""
        from .outbox import Outbox

        return Outbox(self.recorder, self._settings.shards, self._settings.instance_lease_s, self._draw)

    @property
    def pending(self) -> bool:
        """Whether anything is not yet delivered."""
        return self.recorder.pending or ("_outbox" in vars(self) and self._outbox.unsettled)

    async def aflush(self) -> None:
        """Return when everything recorded before the call is in the store.

        Raises:
            StoreError: it could not be sent within the budget; it stays pending.
        """
        if not loop_is_running():
            self.flush()
            return
        epoch = self.recorder.open_epoch()
        if self._settled_epoch < epoch and not self._store.is_loaded:
            await self._load()
        deadline_s = self._clock() + self._budget_s
        while self._settled_epoch < epoch:
            earlier = running(self._flushes)
            flush = earlier or self._start_flush(epoch)
            done, _ = await asyncio.wait({flush}, timeout=deadline_s - self._clock())
            if not done:
                raise self._too_slow()
            if earlier is None:  # the failure of a flush that began earlier is not raised here: ours comes next
                flush.result()

    async def after_response(self, *, keeps_awake: bool = True) -> None:
        """Flush for a request that has its response: within the budget, and without an error.

        A call that `keeps_awake` the instance ends at once if another one waits; see `GroupCommit`. While the store is
        away, the breaker decides which may try it, and a timer flushes if no further one comes. A cancelled one waits.
        """
        if (epoch := self._epoch_to_send(keeps_awake)) is None:
            return
        leader = self._commit.lead(epoch) if keeps_awake and not self._breaker.pause_s() else None
        cancelled, deadline_s = None, 0.0
        for _ in range(2):  # one that is cancelled waits all the same, but not if it is cancelled again
            if self._settled_epoch >= epoch or self._breaker.pause_s():
                break
            try:
                if not self._store.is_loaded:
                    await self._load()
                waiting = self._waiting_here()
                deadline_s = deadline_s or waiting.time() + self._budget_s
                running(self._flushes) or self._start_flush(epoch)
                await waiting.until(epoch, deadline_s)
                break
            except asyncio.CancelledError as err:
                cancelled = err
            finally:
                self._commit.leave(leader)  # nobody relies on one that is cancelled
        self._retry_if_failed()
        if self._settled_epoch < epoch and (flush := running(self._flushes)):
            flush.add_done_callback(self._retry_if_failed)  # it outlasts this request, and may still fail
        if cancelled is not None:
            raise cancelled

    def _epoch_to_send(self, may_join: bool) -> int | None:
        """Return the epoch whose end a call must wait for; None if all is sent, or if it can join a call that waits."""
        # Where no function has to be asked first, a request of a busy instance needs no lock, and no more than this.
        if may_join and not self.recorder.followers and self._commit.join(self.recorder.epoch):
            return None
        epoch = self.recorder.open_epoch()
        return None if self._settled_epoch >= epoch or (may_join and self._commit.join(epoch)) else epoch

    def _waiting_here(self) -> Waiting:
        """Return the requests of the running event loop that wait."""
        loop = asyncio.get_running_loop()
        if loop not in self._waiting:
            from .waiting import Waiting  # no response waits for the import

            forget_closed(self._waiting)
            self._waiting[loop] = Waiting(loop)
        return self._waiting[loop]

    def flush_beside(self) -> None:
        """Start a flush in the running event loop, for which nobody waits; the breaker and a timer see to a failure."""
        if not self.is_left_to_exit:  # the event loop may be closed before the flush is through
            import concurrent.futures.thread  # noqa: F401  the client of Redis needs it, and at the exit it is too late

            self.is_left_to_exit = True
        self._retry()

    def _retry(self) -> None:
        if self._breaker.pause_s():
            self._retry_if_failed()
        elif self._settled_epoch < (epoch := self.recorder.open_epoch()):
            (running(self._flushes) or self._start_flush(epoch)).add_done_callback(self._retry_if_failed)

    def _retry_if_failed(self, _flush: object = None) -> None:
        if (pause_s := self._breaker.pause_s()) and self.pending:
            self._waiting_here().try_again(pause_s, self._retry)

    def flush(self) -> None:
        """Do the same as `aflush`, and block the thread; async code uses `aflush`.

        Raises:
            StoreError: it could not be sent within the budget; it stays pending.
        """
        self._flush_in_thread(self.recorder.open_epoch(), lambda: False)

    def after_call(self, *, keeps_awake: bool = True) -> None:
        """Do the same as `after_response`, and block the thread: for WSGI apps, handler classes and functions."""
        if (epoch := self._epoch_to_send(keeps_awake)) is None or self._breaker.pause_s():
            return
        leader = self._commit.lead(epoch) if keeps_awake else None
        try:
            with suppress(StoreError):  # the breaker and the log have it
                self._flush_in_thread(epoch, lambda: self._breaker.pause_s() > 0, leader and self._commit.pause_s)
        finally:
            self._commit.leave(leader)

    def _flush_in_thread(self, epoch: int, gives_up: Callable[[], bool], pause_s: float | None = None) -> None:
        if self._settled_epoch < epoch and not self._store.is_loaded:
            try:
                self._load_modules()
            except RuntimeError as err:  # a thread that outlives the main thread can't import `concurrent.futures`
                late = StoreUnavailable(f"the client of Redis can't be imported now: {err}")
                raise self._failed(late) from err
        deadline_s = self._clock() + self._budget_s
        if pause_s:
            time.sleep(pause_s)
        while self._settled_epoch < epoch and not gives_up():
            if (left_s := deadline_s - self._clock()) <= 0:
                raise self._too_slow()
            holder = self._lock.acquire()
            if holder is None:
                self._lock.wait(left_s)
                continue
            with self._attempt(holder), self._store.sync_client() as client:
                run_flow(self._deliver(epoch), client, deadline_s)

    async def _load(self) -> None:
        """Import what the store needs, before the budget begins: on a slow instance the import takes longer than one.

        A thread does it, so that other requests go on. It is done once, also if many requests wait for it.
        """
        await asyncio.wait({running(self._loads) or start(self._loads, asyncio.to_thread(self._load_modules))})

    def _load_modules(self) -> None:
        with SETUP_LOCK:  # see `fork_locks`: no child is forked while a thread imports
            from . import outbox  # noqa: F401  no response waits for it
        self._store.load()

    def _start_flush(self, epoch: int) -> asyncio.Task[None]:
        # It may fail when no request waits for it any more; the breaker and the log have the failure.
        flush = start(self._flushes, self._flush_in_loop(asyncio.get_running_loop(), epoch))
        flush.add_done_callback(self._on_flush_end)
        return flush

    def _on_flush_end(self, flush: asyncio.Task[None]) -> None:
        """Wake the requests that need not wait any more; for the others start the next flush, which they share."""
        waiting = self._waiting_here()
        if flush.cancelled() or self._breaker.pause_s():  # the event loop is shutting down, or the store is away
            waiting.wake()
            return
        waiting.wake(self._settled_epoch)
        # A request that came before this callback has begun the next one: two would both go on, and so double.
        if (epoch := waiting.epoch) is not None and not running(self._flushes):
            self._start_flush(epoch)

    async def _flush_in_loop(self, loop: asyncio.AbstractEventLoop, epoch: int) -> None:
        if not self._store.is_loaded:
            await self._load()
        deadline_s = self._clock() + self._budget_s
        while (holder := self._lock.acquire(loop)) is None:
            if self._clock() > deadline_s:
                raise self._too_slow()
            await asyncio.sleep(_POLL_S)
        with self._attempt(holder, loop):
            async with asyncio.timeout(self._budget_s), self._store.client() as client:
                await arun_flow(self._deliver(epoch, client), client)
        self._waiting_here().wake(self._settled_epoch)  # the loop may serve many requests before the task is done

    @contextmanager
    def _attempt(self, holder: object, loop: asyncio.AbstractEventLoop | None = None) -> Iterator[None]:
        """Release the lock after the block, and let the breaker know what came of it."""
        try:
            yield
            self._breaker.succeed()
        except TimeoutError as err:
            raise self._failed(self._too_slow()) from err
        except StoreError as err:
            self._failed(err)
            raise
        except Exception as err:
            if loop is None or not loop.is_closed():  # else nothing waits for the outcome
                raise self._unexpected(err) from err
        finally:
            self._lock.release(holder)

    def _deliver(self, epoch: int, transport: AsyncTransport | None = None) -> CommandFlow[None]:
        """Send batch after batch until the epoch is settled; the next flush sends what is recorded meanwhile.

        Args:
            epoch: what was recorded up to its end is to be delivered.
            transport: of an event loop, where the budget may end while the connection is still being opened.
        """
        outbox = self._outbox
        while self._settled_epoch < epoch:
            batch = outbox.next()
            if batch is None:
                self._settled_epoch = self.recorder.epoch - 1
                return
            # Marked first: before the reply the budget may end, and an event loop may be closed or never run again.
            outbox.mark_sent(batch)
            sent = transport.sent if transport is not None else 0
            try:
                verdict = yield from self._store.apply(outbox.writer, batch)
            except StoreError as err:
                if not (isinstance(err, StoreUnavailable) and err.sent):
                    outbox.mark_unsent(batch)
                raise
            except GeneratorExit:
                if transport is not None and transport.sent == sent:
                    outbox.mark_unsent(batch)
                raise
            outbox.settle(batch, verdict)
            if not outbox.unsettled:
                self._settled_epoch = self.recorder.epoch - 1

    def _too_slow(self) -> StoreUnavailable:
        return StoreUnavailable(f"the store took longer than METRICS_FLUSH_BUDGET_MS={self._settings.flush_budget_ms}")

    def _unexpected(self, err: Exception) -> StoreUnavailable:
        """Log an error of ours: it must not reach a request that has its response."""
        _log.exception("the flush failed with an unexpected error")
        self._breaker.fail()
        return StoreUnavailable(f"the flush failed: {err!r}")

    def _failed(self, err: StoreError) -> StoreError:
        if self._breaker.fail():
            _log.warning("metrics could not be flushed and stay pending: %s", err)
        return err

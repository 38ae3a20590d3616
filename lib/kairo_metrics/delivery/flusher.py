"""Sending what is pending: one flush at a time, within its budget, behind a circuit breaker."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Callable
from contextvars import Context
from typing import TYPE_CHECKING, Any

from ..config.settings import Settings
from ..errors import StoreError, StoreUnavailable
from ..instruments.recorder import Recorder
from ..model.moment import CLOCKS, Clocks
from ..store.command_flow import CommandFlow, arun_flow, run_flow
from .breaker import Breaker
from .flush_lock import FlushLock
from .outbox import Outbox

if TYPE_CHECKING:
    from ..store.protocol import Store

__all__ = ["Flusher"]

_log = logging.getLogger("kairo_metrics")
# How often a thread or an event loop asks whether the other one's flush is over. Two of a kind never ask.
_POLL_S = 0.002
# A flush ends with its budget, but for one connection that breaks at its very end and is replaced.
_LENT_BUDGETS = 3


class Flusher:
    """Delivers the recorder's deltas to the store.

    In an event loop a flush is a task of its own, with its own budget. Requests wait for it, together, for as
    long as their budgets last; one that is cancelled or has waited long enough does not cut it short.

    Args:
        recorder: the deltas.
        store: where they go.
        settings: the budget of one flush, and the shards.
        clocks: monotonic and wall clock.
        draw: gives a random number below another one.
    """

    def __init__(
        self,
        recorder: Recorder,
        store: Store,
        settings: Settings,
        clocks: Clocks = CLOCKS,
        draw: Callable[[int], int] = secrets.randbelow,
    ) -> None:
        self.recorder = recorder
        self._store = store
        self._settings = settings
        self._clocks = clocks
        self._clock = clocks[0]
        self._draw = draw
        self._budget_s = settings.flush_budget_ms / 1000
        self.forget()

    def forget(self) -> None:
        """Start as a new writer: after a fork, what is unsent or under way is the parent's."""
        settings = self._settings
        self._outbox = Outbox(self.recorder, settings.shards, settings.instance_lease_s, self._clocks, self._draw)
        self._turn = FlushLock(_LENT_BUDGETS * self._budget_s, self._clock)
        self._breaker = Breaker(self._clock)
        self._settled_epoch = self.recorder.epoch - 1
        self._flights: dict[asyncio.AbstractEventLoop, asyncio.Task[None]] = {}
        self._retries: dict[asyncio.AbstractEventLoop, asyncio.TimerHandle] = {}
        self._loads: dict[asyncio.AbstractEventLoop, asyncio.Task[None]] = {}

    @property
    def pending(self) -> bool:
        """Whether anything is still to be delivered."""
        return self.recorder.pending or self._outbox.unsettled

    async def aflush(self) -> None:
        """Return when everything recorded before the call is in the store.

        Raises:
            StoreError: it could not be sent within the budget; it stays pending.
        """
        epoch = self._open_epoch()
        if self._settled_epoch < epoch:
            await self._load()
        deadline_s = self._clock() + self._budget_s
        while self._settled_epoch < epoch:
            under_way = self._under_way()
            flight = under_way or self._start(epoch)
            landed, _ = await asyncio.wait({flight}, timeout=deadline_s - self._clock())
            if not landed:
                raise self._too_slow()
            if under_way is None:  # the failure of one that others had begun says nothing of ours
                flight.result()

    async def after_response(self) -> None:
        """Flush for a request that has its answer: within the budget, and without raising.

        While the store is away requests do not try it one by one: the breaker decides when one may, and a
        timer stands in for the request that may never come. A request that is cancelled is flushed, too.
        """
        cancelled: asyncio.CancelledError | None = None
        epoch = self._open_epoch()
        if self._settled_epoch < epoch and not self._breaker.pause_s():
            try:
                await self._load()
            except asyncio.CancelledError as err:
                cancelled = err
        deadline_s = self._clock() + self._budget_s
        while self._settled_epoch < epoch and not self._breaker.pause_s() and self._clock() < deadline_s:
            flight = self._under_way() or self._start(epoch)
            try:
                await asyncio.wait({flight}, timeout=deadline_s - self._clock())
            except asyncio.CancelledError as err:
                if cancelled is not None:
                    break  # whoever insists does not want to wait; the flush goes on without us
                cancelled = err
            if flight.done() and flight.cancelled():
                break  # the event loop is shutting down
        if self._breaker.pause_s() and self.pending:
            self._retry_later()
        elif under_way := self._under_way():
            under_way.add_done_callback(self._retry_again)  # it outlasts this request, and may still fail
        if cancelled is not None:
            raise cancelled

    def flush(self) -> None:
        """Do as `aflush`, blocking the thread; in async code `aflush` is the one to use.

        Raises:
            StoreError: it could not be sent within the budget; it stays pending.
        """
        epoch = self._open_epoch()
        if self._settled_epoch < epoch:
            self._store.load()
        deadline_s = self._clock() + self._budget_s
        while self._settled_epoch < epoch:
            if self._clock() >= deadline_s:
                raise self._too_slow()
            taken = self._turn.take()
            if taken is None:
                time.sleep(_POLL_S)
                continue
            try:
                with self._store.sync_client() as client:
                    run_flow(self._deliver(epoch), client, deadline_s)
                self._breaker.succeed()
            except StoreError as err:
                self._fail(err)
                raise
            finally:
                self._turn.give_back(taken)

    def _open_epoch(self) -> int:
        """Return the epoch that takes what is recorded by now."""
        self.recorder.sample_followers()
        return self.recorder.open_epoch()

    async def _load(self) -> None:
        """Have the store import what it needs, before a budget begins: on a slow instance it alone outlasts one.

        In a thread, for other requests go on meanwhile; and once, however many wait for it.
        """
        if self._store.is_loaded:
            return
        loop = asyncio.get_running_loop()
        _forget_closed(self._loads)
        loading = self._loads.get(loop)
        if loading is None or loading.done():
            loading = self._loads[loop] = loop.create_task(asyncio.to_thread(self._store.load), context=Context())
            loading.add_done_callback(_look_at)
        await asyncio.wait({loading})

    def _under_way(self) -> asyncio.Task[None] | None:
        """Return the flush of this event loop that is under way."""
        flight = self._flights.get(asyncio.get_running_loop())
        return None if flight is None or flight.done() else flight

    def _start(self, epoch: int) -> asyncio.Task[None]:
        loop = asyncio.get_running_loop()
        _forget_closed(self._flights)
        # In a context of its own: it carries the deltas of many requests, not the trace of the one that started it.
        flight = self._flights[loop] = loop.create_task(self._fly(loop, epoch), context=Context())
        # Everybody may have stopped waiting when it fails; the breaker and the log know.
        flight.add_done_callback(_look_at)
        return flight

    async def _fly(self, loop: asyncio.AbstractEventLoop, epoch: int) -> None:
        await self._load()
        deadline_s = self._clock() + self._budget_s
        while (taken := self._turn.take(loop)) is None:
            if self._clock() > deadline_s:
                raise self._too_slow()
            await asyncio.sleep(_POLL_S)
        try:
            async with asyncio.timeout(self._budget_s), self._store.client() as client:
                await arun_flow(self._deliver(epoch), client)
            self._breaker.succeed()
        except TimeoutError as err:
            slow = self._too_slow()
            self._fail(slow)
            raise slow from err
        except StoreError as err:
            self._fail(err)
            raise
        except Exception as err:
            if loop.is_closed():
                return  # it was closed in the midst of this, and there is nobody left to tell
            # Whatever it is, it must not reach the request that has had its answer.
            _log.exception("the flush failed in a way that it should not")
            self._breaker.fail()
            raise StoreUnavailable(f"the flush failed: {err!r}") from err
        finally:
            self._turn.give_back(taken)

    def _deliver(self, epoch: int) -> CommandFlow[None]:
        """Send batch after batch until the epoch is settled; what comes in meanwhile is the next flush's."""
        while self._settled_epoch < epoch:
            batch = self._outbox.next()
            if batch is None:
                self._settled_epoch = self.recorder.epoch - 1
                return
            try:
                verdict = yield from self._store.apply(self._outbox.writer, batch)
            except StoreUnavailable as err:
                if err.sent:
                    self._outbox.mark_sent(batch)
                raise
            except GeneratorExit:
                # The budget ran out, or the loop was closed, while the reply was due.
                self._outbox.mark_sent(batch)
                raise
            self._outbox.settle(batch, verdict)
            if not self._outbox.unsettled:
                self._settled_epoch = self.recorder.epoch - 1

    def _too_slow(self) -> StoreUnavailable:
        return StoreUnavailable(f"the store took longer than METRICS_FLUSH_BUDGET_MS={self._settings.flush_budget_ms}")

    def _fail(self, err: StoreError) -> None:
        if self._breaker.fail():
            _log.warning("metrics could not be flushed and stay pending: %s", err)

    def _retry_later(self) -> None:
        loop = asyncio.get_running_loop()
        _forget_closed(self._retries)
        if loop not in self._retries:
            self._retries[loop] = loop.call_later(self._breaker.pause_s(), self._retry, loop)

    def _retry(self, loop: asyncio.AbstractEventLoop) -> None:
        self._retries.pop(loop, None)
        if self._breaker.pause_s():
            self._retry_later()  # a request has tried meanwhile
        elif self.pending:
            flight = self._under_way() or self._start(self.recorder.open_epoch())
            flight.add_done_callback(self._retry_again)

    def _retry_again(self, _flight: asyncio.Task[None]) -> None:
        if self._breaker.pause_s() and self.pending:
            self._retry_later()


def _look_at(task: asyncio.Task[None]) -> None:
    if not task.cancelled():
        task.exception()


def _forget_closed(by_loop: dict[asyncio.AbstractEventLoop, Any]) -> None:
    for loop in list(by_loop):
        if loop.is_closed():
            by_loop.pop(loop, None)

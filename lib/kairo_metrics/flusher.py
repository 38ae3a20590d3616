"""Sending what is pending: one flush at a time, within its budget, behind a circuit breaker."""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import TimeoutError as WaitedTooLong
from contextlib import suppress

from .breaker import Breaker
from .config import Settings
from .errors import StoreError, StoreUnavailable
from .outbox import Outbox
from .recorder import Recorder
from .store.base import Steps, Store
from .store.conversation import adrive, drive
from .turnstile import Turnstile

__all__ = ["Flusher"]

_log = logging.getLogger("kairo_metrics")


class Flusher:
    """Delivers the recorder's deltas to the store.

    Args:
        recorder: the deltas.
        store: where they go.
        settings: the budget of one flush, and the shards.
    """

    def __init__(self, recorder: Recorder, store: Store, settings: Settings) -> None:
        self._recorder = recorder
        self._store = store
        self._settings = settings
        self._budget_s = settings.flush_budget_ms / 1000
        self._breaker = Breaker()
        self._retry: asyncio.TimerHandle | None = None
        self._retry_loop: asyncio.AbstractEventLoop | None = None
        self._retrying: asyncio.Future[None] | None = None
        self.forget()

    def forget(self) -> None:
        """Start as a new writer: after a fork, what is unsent or under way is the parent's."""
        self._outbox = Outbox(self._recorder, self._settings.shards)
        self._turnstile = Turnstile()
        self._settled_epoch = self._recorder.epoch - 1
        self._retry = None

    async def aflush(self) -> None:
        """Return when everything recorded before the call is in the store.

        Raises:
            StoreError: it could not be sent; it stays pending.
        """
        await self._aflush(patient=False)

    def flush(self) -> None:
        """Do the same, blocking the thread; in async code `aflush` is the one to use.

        Raises:
            StoreError: it could not be sent; it stays pending.
        """
        if not self.pending:
            return
        epoch = self._epoch_to_settle()
        if not self._blocking_turn(epoch):
            return
        try:
            with self._store.sync_link() as link:
                drive(self._deliver(epoch), link)
        except StoreError as err:
            self._fail(err)
            raise
        finally:
            self._turnstile.leave(self._settled_epoch)
        self._breaker.succeed()

    async def after_response(self) -> None:
        """Flush for a request that has its answer: within the budget, and without raising.

        While the store is away requests do not try it one by one: the breaker decides when one may, and a
        timer stands in for the request that may never come.
        """
        if not self._breaker.pause_s():
            with suppress(StoreError):  # it is logged, and what could not be sent stays pending
                await self._aflush(patient=True)
        if self._breaker.pause_s() and self.pending:
            self._retry_later()

    async def _aflush(self, *, patient: bool) -> None:
        if not self.pending:
            return
        epoch = self._epoch_to_settle()
        try:
            async with asyncio.timeout(self._budget_s):
                if not await self._turn(epoch):
                    return
                try:
                    if patient and self._breaker.pause_s():
                        return
                    async with self._store.link() as link:
                        await adrive(self._deliver(epoch), link)
                finally:
                    self._turnstile.leave(self._settled_epoch)
        except TimeoutError as err:
            slow = self._too_slow()
            self._fail(slow)
            raise slow from err
        except StoreError as err:
            self._fail(err)
            raise
        self._breaker.succeed()

    async def _turn(self, epoch: int) -> bool:
        turn = self._turnstile.enter(epoch)
        if turn is None:
            return True
        try:
            return await asyncio.wrap_future(turn)
        except asyncio.CancelledError:
            self._turnstile.give_up(turn, self._settled_epoch)
            raise

    def _blocking_turn(self, epoch: int) -> bool:
        turn = self._turnstile.enter(epoch)
        if turn is None:
            return True
        try:
            return turn.result(self._budget_s)
        except WaitedTooLong as err:
            self._turnstile.give_up(turn, self._settled_epoch)
            raise self._too_slow() from err

    @property
    def pending(self) -> bool:
        """Whether anything is still to be delivered."""
        return self._recorder.pending or self._outbox.unsettled

    def _epoch_to_settle(self) -> int:
        return self._recorder.epoch if self._recorder.pending else self._recorder.epoch - 1

    def _deliver(self, epoch: int) -> Steps[None]:
        """Send batch after batch until the epoch is settled; what comes in meanwhile is the next turn's."""
        while self._settled_epoch < epoch and (batch := self._outbox.next()):
            try:
                verdict = yield from self._store.apply(self._outbox.writer, batch)
            except StoreUnavailable as err:
                if err.sent:
                    self._outbox.mark_sent(batch)
                raise
            except GeneratorExit:
                # The budget ran out, or the task was cancelled, while the reply was due.
                self._outbox.mark_sent(batch)
                raise
            self._outbox.settle(batch, verdict)
            if not self._outbox.unsettled:
                self._settled_epoch = self._recorder.epoch - 1

    def _too_slow(self) -> StoreUnavailable:
        return StoreUnavailable(f"the store took longer than METRICS_FLUSH_BUDGET_MS={self._settings.flush_budget_ms}")

    def _fail(self, err: StoreError) -> None:
        if self._breaker.fail():
            _log.warning("metrics could not be flushed and stay pending: %s", err)

    def _retry_later(self) -> None:
        loop = asyncio.get_running_loop()
        if self._retry is not None and self._retry_loop is loop:
            return
        self._retry_loop = loop
        self._retry = loop.call_later(self._breaker.pause_s(), self._try_again)

    def _try_again(self) -> None:
        self._retry = None
        self._retrying = asyncio.ensure_future(self.after_response())

"""One simulated instance: the real recorder and flusher, with its own clocks and event loop."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from copy import deepcopy
from random import Random
from typing import Any
from unittest import mock

from lib.kairo_metrics.config.settings import Settings
from lib.kairo_metrics.delivery.flusher import Flusher
from lib.kairo_metrics.delivery.outbox import Outbox
from lib.kairo_metrics.errors import StoreError, StoreUnavailable
from lib.kairo_metrics.instruments import inheritance
from lib.kairo_metrics.instruments.pending_series import INSTANCE_PLACE, PendingSeries
from lib.kairo_metrics.instruments.recorder import Recorder
from lib.kairo_metrics.model.delivery_metrics import LOST
from lib.kairo_metrics.model.native_counts import NativeCounts
from lib.kairo_metrics.model.schema import Schema
from tests.faults.simulation.clerk import Clerk
from tests.faults.simulation.clockwork import VirtualLoop
from tests.faults.simulation.network import Message, Network, Wire
from tests.faults.simulation.parcels import SETTINGS_EACH, Parcels, Weights

__all__ = [
    "CONSERVED",
    "HOURS",
    "JOBS",
    "LATEST",
    "LIVE",
    "SHARES",
    "SIZE",
    "SPARE",
    "WAIT",
    "SharedClaim",
    "SimulatedInstance",
]

JOBS = Schema("jobs", "counter", ("queue",))
WAIT = Schema("wait", "histogram", ("queue",), ("1.0", "4.0", "+Inf"))
SIZE = Schema("size", "native", (), ("1.0", "4.0", "+Inf"))
SHARES = Schema("shares", "gauge", (), mode="sum")
LATEST = Schema("latest", "gauge", (), mode="mostrecent")
LIVE = Schema("live", "gauge", ("instance_id",), mode="liveall")
HOURS = Schema("hours", "gauge", ("instance_id",), mode="max")
SPARE = Schema("spare", "counter", ("queue",))
# Families without removals: everything recorded must be accounted for.
CONSERVED = (JOBS, WAIT, SIZE, SHARES)
_BOUNDS = (1.0, 4.0)
_QUEUES = 20


class SharedClaim:
    """A claim that all simulated processes share."""

    def __init__(self) -> None:
        self.is_taken = False

    def __call__(self) -> bool:
        """Take it, and return whether this is the first time."""
        first, self.is_taken = not self.is_taken, True
        return first

    def __deepcopy__(self, _memo: object) -> SharedClaim:
        """Return the same one: a fork copies the memory, and not the claim."""
        return self


def _unsent(pending: Iterable[PendingSeries]) -> Weights:
    weights: Weights = Counter()
    for series in pending:
        weights[series.schema.name] += int(series.weight)
        if series.schema == LOST:
            weights[series.text.split('"')[1]] += int(series.amounts[1])
    return weights


class SimulatedInstance:
    """Records, flushes, freezes and dies.

    Args:
        number: its number in the order of starts.
        chance: draws what it records, and its ids.
        network: its way to the server.
        settings: shards and budget.
        parcels: gets everything that it seals.
    """

    def __init__(self, number: int, chance: Random, network: Network, settings: Settings, parcels: Parcels) -> None:
        self.number = number
        self.alive, self.frozen = True, False
        self.recorded: Weights = Counter()
        self.wake_s = float("inf")
        self._chance = chance
        self._network = network
        self._parcels = parcels
        self._stood_still_s = 0.0
        self._frozen_s: float | None = None
        self._inbox: list[tuple[asyncio.Future[Any], Any, int]] = []
        self._tasks: dict[asyncio.Task[Any], None] = {}
        self._series: dict[tuple[str, str], PendingSeries] = {}
        self._settings = 0
        self._chosen = settings
        self._loop = VirtualLoop(self.monotonic_s)
        self._left_behind: list[VirtualLoop] = []
        self.recorder = Recorder((self.monotonic_s, self.wall_s))
        self.flusher = Flusher(self.recorder, Wire(self), settings, chance.randrange)  # type: ignore[arg-type]
        self.clerk = Clerk(self.number, self.recorder, self.outbox, parcels, network.server)

    @property
    def outbox(self) -> Outbox:
        return self.flusher._outbox

    @property
    def waits(self) -> bool:
        """Whether a flush waits for a reply."""
        return any(not flush.done() for flush in self.flusher._flushes.values())

    def monotonic_s(self) -> float:
        """Return its monotonic clock, which may stand still while the instance is frozen."""
        now_s = self._network.now_s if self._frozen_s is None else self._frozen_s
        return now_s - self._stood_still_s

    def wall_s(self) -> float:
        """Return its wall clock."""
        return self._network.now_s

    # What a request does.

    def request(self) -> None:
        """Record something, and flush after the response."""
        with self.recorder.lock:
            self._record()
        self._start(self.flusher.after_response())

    def flush(self) -> None:
        """Flush as user code does."""

        async def flush() -> None:
            with suppress(StoreError):
                await self.flusher.aflush()

        self._start(flush())

    def _record(self) -> None:
        chance, recorder = self._chance, self.recorder
        for _ in range(chance.randrange(1, 4)):
            amount = chance.randrange(1, 5)
            recorder.add(self._one(JOBS, f'queue="{chance.randrange(_QUEUES)}"'), 1, amount, weight=amount)
            self.recorded[JOBS.name] += amount
        kind = chance.choice((0, 0, 0, 1, 1, 2, 3, 4, 5, 6))
        if kind == 0:
            seconds = chance.choice((0.5, 2.0, 9.0, -1.0, -1.0))  # a negative observation lowers the sum
            series = self._one(WAIT, f'queue="{chance.randrange(3)}"')
            recorder.add(series, 1, seconds)
            recorder.add(series, 2 + sum(seconds > bound for bound in _BOUNDS), 1.0, weight=1.0)
            self.recorded[WAIT.name] += 1
        elif kind == 1:
            observed = NativeCounts(3, 0.001)
            observed.observe(chance.choice((0.0, 0.5, 3.0, 70.0, -2.0)))
            recorder.observe(self._one(SIZE, ""), observed, 4, weight=1.0)
            self.recorded[SIZE.name] += 1
        elif kind == 2:
            recorder.add(self._one(SHARES, ""), 1, 1.0, weight=1.0)
            self.recorded[SHARES.name] += 1
        elif kind == 3:
            recorder.replace(self._one(LATEST, ""), self._setting())
        elif kind == 4:
            series = self._one(chance.choice((LIVE, HOURS)), f'instance_id="{INSTANCE_PLACE}"')
            recorder.hold(series)
            recorder.replace(series, self._setting())
        elif kind == 5:
            recorder.add(self._one(SPARE, f'queue="{chance.randrange(3)}"'), 1, 1.0, weight=1.0)

    def remove(self) -> None:
        """Remove series that all instances write."""
        if self._chance.random() < 0.5:
            self.recorder.remove(self._one(SPARE, f'queue="{self._chance.randrange(3)}"'))
        else:
            known = {series for (name, _), series in self._series.items() if name == SPARE.name}
            self.recorder.clear(known, SPARE, self._chance.choice(("", 'queue="1"')))

    def _setting(self) -> float:
        """Return a value that no other setting of any instance has."""
        self._settings += 1
        return float(self.number * SETTINGS_EACH + self._settings)

    def _one(self, schema: Schema, text: str) -> PendingSeries:
        return self._series.setdefault((schema.name, text), PendingSeries(schema, text))

    @property
    def known_series(self) -> int:
        """The number of its series, including its own counts."""
        return len(self._series) + len(self.recorder._delivery_series)

    def pending(self) -> Weights:
        """Return what is recorded and not sealed, by family, including losses to report."""
        return _unsent(self.recorder.touched)

    def left_behind(self) -> dict[SharedClaim, Weights]:
        """Return what was set aside at forks and no process has taken yet."""
        inherited: Any = self.recorder._inherited
        return {each.take: _unsent(each.series) for each in inherited if not each.take.is_taken}

    # Its life.

    def fork(self, number: int) -> SimulatedInstance:
        """Return a child that has the memory of this instance, and an event loop of its own."""
        child = SimulatedInstance(number, self._chance, self._network, self._chosen, self._parcels)
        child._stood_still_s = self._stood_still_s
        recorder = self.recorder
        recorder.instance = recorder.instance or f"{number:016x}"  # drawn here by chance otherwise
        with mock.patch.object(inheritance, "new_claim", SharedClaim):
            recorder.prepare_fork()
        recorder.lock.release()
        # One call, so that the child's recorder and the child share their series.
        copies, left = deepcopy((list(self._series.values()), recorder._inherited))
        child._series = {(series.schema.name, series.text): series for series in copies}
        child.recorder._inherited, child.recorder.instance = left, recorder.instance
        child.recorder.start_in_child()  # its flusher is new, as `forget` leaves one
        return child

    def leave_loop(self) -> None:
        """Go on in a new event loop; the old one stops in the midst of what it does, and never runs again."""
        self._left_behind.append(self._loop)
        self._loop = VirtualLoop(self.monotonic_s)
        self.run()

    async def exchange(self, command: tuple[Any, ...]) -> Any:
        """Send a command and wait for its reply.

        Raises:
            StoreUnavailable: it can't be sent, or its connection breaks.
        """
        if not self.alive:
            raise StoreUnavailable("killed")
        message = Message(self, command, self._loop.create_future(), answered=True)
        self._network.send(message)
        reply = await message.future
        if isinstance(reply, StoreUnavailable):
            raise reply
        return reply

    def hear(self, future: asyncio.Future[Any], reply: Any, heard_in: int) -> None:
        """Receive a reply; a frozen instance reads it when it thaws."""
        if self.frozen:
            self._inbox.append((future, reply, heard_in))
        elif self.alive and not future.done():
            self.clerk.heard_in = heard_in
            future.set_result(reply)
            self.run()

    def run(self) -> None:
        """Run what is ready."""
        if self.alive and not self.frozen:
            self.wake_s = self._network.now_s + max(self._loop.run_ready(), 1e-6)

    def freeze(self, *, clock_stands: bool) -> None:
        """Stop, also in the middle of a flush."""
        self.frozen, self.wake_s = True, float("inf")
        if clock_stands:
            self._frozen_s = self._network.now_s

    def thaw(self) -> None:
        """Go on, if it was frozen."""
        if self._frozen_s is not None:
            self._stood_still_s += self._network.now_s - self._frozen_s
            self._frozen_s = None
        self.frozen = False
        inbox, self._inbox = self._inbox, []
        for future, reply, heard_in in inbox:
            self.hear(future, reply, heard_in)
        self.run()

    def cancel(self) -> None:
        """Cancel the oldest request that waits for a flush, as a server does when the client hangs up."""
        for task in list(self._tasks)[:1]:
            task.cancel()
        self.run()

    def kill(self) -> None:
        """End at once, and send nothing more."""
        if not self.alive:
            return
        self.alive, self.frozen, self.wake_s = False, False, float("inf")
        self._network.server.evicted.discard(self.outbox._writer.id if self.outbox._writer else "")
        loops = [*self._left_behind, self._loop]
        for _ in range(3):  # a cancelled request still waits for its flush
            for task in {*self._tasks, *self.flusher._flushes.values()}:
                task.cancel()
            for loop in loops:
                loop.run_ready()
        for loop in loops:
            loop.close()

    def _start(self, work: Any) -> None:
        task = self._loop.create_task(work)
        self._tasks[task] = None
        task.add_done_callback(self._tasks.pop)
        self.run()

"""The simulation, in virtual time: requests end, instances flush them in batches, shards apply batch after batch."""

from __future__ import annotations

import random
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

import simpy

__all__ = ["Load", "Outcome", "quantile", "simulate"]

_DRAWN_AT_ONCE = 10_000
# The exponent of a Pareto distribution in which a fifth of the instances has about half of the requests.
_UNEVENNESS = 1.5


@dataclass(frozen=True, slots=True)
class Load:
    """The load, and the servers for it.

    Args:
        instances: the number of function instances.
        requests_per_s: the requests per second of all instances.
        shards: the number of servers; each instance sends to one of them, drawn at random.
        round_trip_s: the average time of the network there and back; it varies by up to half of that.
        seconds: how long the simulation is observed.
        warm_up_s: how long it runs before that.
        uneven: whether some instances have more requests than others.
    """

    instances: int
    requests_per_s: float
    shards: int = 1
    round_trip_s: float = 0.001
    seconds: float = 1.5
    warm_up_s: float = 0.5
    uneven: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a simulation, without its warm-up.

    Args:
        ended: the number of requests that ended.
        delivered: the number of requests whose increments were acknowledged.
        pending: the number of requests that waited for that: at the beginning, at the end, and on average.
        waits_s: the time that each delivered request waited for its acknowledgement, sorted.
        flushes_s: the time of each acknowledged batch from sending to reply, sorted.
        busy: for each shard, the share of the time in which it was busy.
    """

    ended: int
    delivered: int
    pending: tuple[int, int, float]
    waits_s: Sequence[float]
    flushes_s: Sequence[float]
    busy: Sequence[float]

    @property
    def batches(self) -> int:
        """The number of acknowledged batches, which is the number of commands."""
        return len(self.flushes_s)

    @property
    def requests_per_batch(self) -> float:
        """The average number of requests in a batch."""
        return self.delivered / self.batches if self.batches else 0.0

    @property
    def commands_per_million(self) -> float:
        """The number of commands for a million requests."""
        return 1e6 * self.batches / self.delivered if self.delivered else 0.0

    def late(self, budget_s: float) -> float:
        """Return the share of the flushes that took longer than the budget."""
        return sum(took_s > budget_s for took_s in self.flushes_s) / self.batches if self.batches else 0.0


def quantile(values: Sequence[float], share: float) -> float:
    """Return a quantile of sorted values, or 0 if there are none."""
    return values[min(len(values) - 1, int(share * len(values)))] if values else 0.0


def simulate(load: Load, service_s: Sequence[float], seed: int = 1) -> Outcome:
    """Simulate a load.

    What happens after a flush that exceeds its budget (the breaker, sending again) is not simulated. If many flushes do
    so, there are too few shards, and the other numbers are not reliable.

    Args:
        load: the load.
        service_s: the time of a server for a batch of 0, 1, 2, ... requests; larger batches are extrapolated.
        seed: the seed of the random numbers.

    Example:
        >>> calm = simulate(Load(instances=10, requests_per_s=5.0, seconds=100.0), [0.0, 0.0001])
        >>> calm.commands_per_million > 990_000
        True
    """
    run = _Run(load, service_s, random.Random(seed))
    run.clock.process(run.requests())
    if load.warm_up_s:
        run.clock.run(until=load.warm_up_s)
        run.start_watching()
    run.clock.run(until=load.warm_up_s + load.seconds)
    return run.outcome()


@dataclass
class _Run:
    load: Load
    service_s: Sequence[float]
    chance: random.Random
    clock: simpy.Environment = field(default_factory=simpy.Environment)

    def __post_init__(self) -> None:
        self.area = 0.0
        instances = range(self.load.instances)
        self.shard_of = [self.chance.randrange(self.load.shards) for _ in instances]
        self.waiting: list[list[float]] = [[] for _ in instances]
        self.is_flushing = [False for _ in instances]
        self.free_at = [0.0] * self.load.shards
        self.pending = 0
        self.changed_at = 0.0
        self.start_watching()

    def start_watching(self) -> None:
        """Discard what was observed so far."""
        self._settle_area(0)
        self.before, self.area, self.ended = self.pending, 0.0, 0
        # The work for batches that have already arrived is done in the observed time.
        self.busy_s = [max(0.0, free_at - self.clock.now) for free_at in self.free_at]
        self.waits_s: list[float] = []
        self.flushes_s: list[float] = []

    def requests(self) -> Generator[simpy.Event, Any, None]:
        """End requests without end: a Poisson stream that is divided at random is a Poisson stream in each instance."""
        numbers = range(self.load.instances)
        share = [self.chance.paretovariate(_UNEVENNESS) if self.load.uneven else 1.0 for _ in numbers]
        shares = list(accumulate(share))
        while True:
            for instance in self.chance.choices(numbers, cum_weights=shares, k=_DRAWN_AT_ONCE):
                yield self.clock.timeout(self.chance.expovariate(self.load.requests_per_s))
                self.waiting[instance].append(self.clock.now)
                self.ended += 1
                self._settle_area(1)
                if not self.is_flushing[instance]:
                    self.is_flushing[instance] = True
                    self.clock.process(self.flush(instance))

    def flush(self, instance: int) -> Generator[simpy.Event, Any, None]:
        """Flush in groups: one flush at a time; requests that end during it are sent with the next one."""
        shard = self.shard_of[instance]
        while carried := self.waiting[instance]:
            self.waiting[instance] = []
            sent_at = self.clock.now
            yield self.clock.timeout(self._way_s())
            # The server applies batches one at a time, in the order of arrival, so the end of this one is known now.
            took_s = self._service_s(len(carried))
            self.free_at[shard] = max(self.free_at[shard], self.clock.now) + took_s
            self.busy_s[shard] += took_s
            yield self.clock.timeout(self.free_at[shard] - self.clock.now + self._way_s())
            now = self.clock.now
            self.flushes_s.append(now - sent_at)
            self.waits_s += [now - ended_at for ended_at in carried]
            self._settle_area(-len(carried))
        self.is_flushing[instance] = False

    def _way_s(self) -> float:
        return self.load.round_trip_s * (0.25 + 0.5 * self.chance.random())

    def _service_s(self, requests: int) -> float:
        beyond = requests - len(self.service_s) + 1
        if beyond <= 0:
            return self.service_s[requests]
        return self.service_s[-1] + beyond * (self.service_s[-1] - self.service_s[-2])

    def _settle_area(self, change: int) -> None:
        now = self.clock.now
        self.area += self.pending * (now - self.changed_at)
        self.changed_at = now
        self.pending += change

    def outcome(self) -> Outcome:
        """Return what was observed since `start_watching`."""
        self._settle_area(0)
        seconds = self.load.seconds
        undone_s = [max(0.0, free_at - self.clock.now) for free_at in self.free_at]
        return Outcome(
            self.ended,
            len(self.waits_s),
            (self.before, self.pending, self.area / seconds),
            sorted(self.waits_s),
            sorted(self.flushes_s),
            [(busy_s - later_s) / seconds for busy_s, later_s in zip(self.busy_s, undone_s, strict=True)],
        )

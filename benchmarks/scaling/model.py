"""The simulation: requests end, instances flush in groups, shards apply one batch after another. Time is virtual."""

from __future__ import annotations

import random
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

import simpy

__all__ = ["Load", "Outcome", "quantile", "simulate"]

_DRAWN_AT_ONCE = 10_000
# Of a Pareto distribution: with this exponent a fifth of the instances has about half of the requests.
_UNEVENNESS = 1.5


@dataclass(frozen=True, slots=True)
class Load:
    """What comes in, and what it meets.

    Args:
        instances: how many function instances there are.
        requests_per_s: how many requests end in a second, over all instances.
        shards: how many servers there are; an instance sends to one of them, drawn at random.
        round_trip_s: what the network takes there and back; each way varies by half of it, up and down.
        seconds: for how long it is watched.
        warm_up_s: and how long before that it has been running.
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
    """What was seen after the warm-up.

    Args:
        ended: requests that ended.
        delivered: requests whose increments were acknowledged.
        pending: requests whose increments were not yet, in the beginning, at the end, and on average over the time.
        waits_s: of each request that was delivered, how long it waited for that; sorted.
        flushes_s: of each batch that was acknowledged, from when it was sent to its answer; sorted.
        busy: of each shard, the share of the time in which it worked.
    """

    ended: int
    delivered: int
    pending: tuple[int, int, float]
    waits_s: Sequence[float]
    flushes_s: Sequence[float]
    busy: Sequence[float]

    @property
    def batches(self) -> int:
        """How many batches were acknowledged: one command each."""
        return len(self.flushes_s)

    @property
    def requests_per_batch(self) -> float:
        """How many requests one command carries."""
        return self.delivered / self.batches if self.batches else 0.0

    @property
    def commands_per_million(self) -> float:
        """Commands for a million requests."""
        return 1e6 * self.batches / self.delivered if self.delivered else 0.0

    def late(self, budget_s: float) -> float:
        """Return the share of the flushes that took longer than the budget."""
        return sum(took_s > budget_s for took_s in self.flushes_s) / self.batches if self.batches else 0.0


def quantile(values: Sequence[float], share: float) -> float:
    """Return the value below which that share of sorted values lies; 0 where there are none."""
    return values[min(len(values) - 1, int(share * len(values)))] if values else 0.0


def simulate(load: Load, service_s: Sequence[float], seed: int = 1) -> Outcome:
    """Let a load run.

    What comes after a flush that outlasts its budget (the breaker, sending again) is not part of this: with
    a noticeable share of such flushes there are too few shards, and the rest of the numbers says little.

    Args:
        load: the load.
        service_s: how long a server takes for a batch of 0, 1, 2, ... requests; beyond its end the last step goes on.
        seed: of all that is random.

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
        self.homes = [self.chance.randrange(self.load.shards) for _ in instances]
        self.waiting: list[list[float]] = [[] for _ in instances]
        self.flies = [False for _ in instances]
        self.free_at = [0.0] * self.load.shards
        self.pending = 0
        self.changed_at = 0.0
        self.start_watching()

    def start_watching(self) -> None:
        """Forget what was seen so far."""
        self._settle_area(0)
        self.before, self.area, self.ended = self.pending, 0.0, 0
        # What a server still has to do for batches that have come, it does while it is watched.
        self.busy_s = [max(0.0, free_at - self.clock.now) for free_at in self.free_at]
        self.waits_s: list[float] = []
        self.flushes_s: list[float] = []

    def requests(self) -> Generator[simpy.Event, Any, None]:
        """End requests, for ever: one Poisson stream that is dealt out is a Poisson stream for each instance."""
        numbers = range(self.load.instances)
        share = [self.chance.paretovariate(_UNEVENNESS) if self.load.uneven else 1.0 for _ in numbers]
        shares = list(accumulate(share))
        while True:
            for instance in self.chance.choices(numbers, cum_weights=shares, k=_DRAWN_AT_ONCE):
                yield self.clock.timeout(self.chance.expovariate(self.load.requests_per_s))
                self.waiting[instance].append(self.clock.now)
                self.ended += 1
                self._settle_area(1)
                if not self.flies[instance]:
                    self.flies[instance] = True
                    self.clock.process(self.flush(instance))

    def flush(self, instance: int) -> Generator[simpy.Event, Any, None]:
        """Group commit: one flush at a time, and what comes in meanwhile goes with the next."""
        home = self.homes[instance]
        while carried := self.waiting[instance]:
            self.waiting[instance] = []
            sent_at = self.clock.now
            yield self.clock.timeout(self._way_s())
            # First come, first served, one at a time: so it is known right away when the server will be done.
            took_s = self._service_s(len(carried))
            self.free_at[home] = max(self.free_at[home], self.clock.now) + took_s
            self.busy_s[home] += took_s
            yield self.clock.timeout(self.free_at[home] - self.clock.now + self._way_s())
            now = self.clock.now
            self.flushes_s.append(now - sent_at)
            self.waits_s += [now - ended_at for ended_at in carried]
            self._settle_area(-len(carried))
        self.flies[instance] = False

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
        """Say what was seen since `start_watching`."""
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

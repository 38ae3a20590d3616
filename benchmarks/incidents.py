"""`make incidents`: what `increase()` says after a store has lost data, and what was counted, in virtual time.

The real outbox, page and store in memory; a seed for each schedule. Four instances count four times a second together,
and the page is scraped every 15 seconds. The store then restarts as it was, comes back older, or empty.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import logging
import statistics
import time
from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass
from random import Random
from typing import NamedTuple

from lib.kairo_metrics.delivery.flusher import Flusher
from lib.kairo_metrics.errors import StoreError
from lib.kairo_metrics.exposition.negotiate import PLAIN
from lib.kairo_metrics.instruments.recorder import Recorder
from lib.kairo_metrics.model.server_run import ServerRun
from lib.kairo_metrics.scrape.state_reader import StateReader
from lib.kairo_metrics.testing.memory_store import MemoryStore
from tests.support.instance import Instance, settings

__all__ = ["Case", "Outcome", "increase", "simulate"]

_EPOCH_S = 1_764_000_000.0
_INSTANCES = 4
_PER_SECOND = 4.0
_SCRAPES_AFTER = 8
# A page without a memory waits until a restarted server has been up for so long.
_PAGE_WAITS_S = 6.0
_PATIENCE_S = 60.0
# How far the state is behind after the incident, in seconds: at least, at most. An emptied one has nothing at all. Each
# instance sends a batch a second and keeps the last 64, so the second snapshot lacks more than can be sent again.
_BEHIND_S = {
    "lossless": (0.0, 0.0),
    "failover": (0.001, 0.05),
    "snapshot": (1.0, 40.0),
    "old": (100.0, 200.0),
    "emptied": (0.0, 0.0),
}
_LEFT = {"warm": 0, "half": 2, "gone": 4}  # instances that have ended, and new ones are in their place

Samples = dict[str, float]


class Case(NamedTuple):
    """A kind of incident.

    Args:
        state: how the store comes back: `lossless`, as `failover` behind by milliseconds, as `snapshot` by seconds,
            `old` by minutes, or `emptied`.
        instances: `warm`, `half` or `gone`.
        page: `warm`, or `new` if another function serves it after the incident.
    """

    state: str
    instances: str
    page: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one schedule came to.

    Args:
        error: what Prometheus' `increase()` has too much, or below 0 too little.
        was_reset: whether a counter was lower than before, so that Prometheus counted a reset.
        total_error: the same as `error`, of the sum on the last page.
        refused: scrapes that were answered 503.
    """

    error: float
    was_reset: bool
    total_error: float
    refused: int


class _World:
    def __init__(self, chance: Random, shards: int, interval_s: float) -> None:
        self.now_s, self.counted, self.refused = _EPOCH_S, 0, 0
        self.samples: list[Samples] = []
        self._chance, self._interval_s = chance, interval_s
        self._scrape_at_s = self.now_s + interval_s
        self._settings = settings(shards=shards)
        self._clocks = (lambda: self.now_s, lambda: self.now_s)
        self.store = MemoryStore(self._settings, lambda: int(self.now_s * 1000), self._clocks)
        self.store._run = ServerRun("first")  # noqa: SLF001  the store in memory never restarts by itself
        self.instances = [self.instance(place) for place in range(_INSTANCES)]
        self.start_page()

    def instance(self, place: int) -> Instance:
        recorder, shards = Recorder(self._clocks), self._settings.shards

        def draw(below: int) -> int:
            return place % below if below == shards else self._chance.randrange(below)

        return Instance(self.store, recorder, Flusher(recorder, self.store, self._settings, draw))

    def start_page(self) -> None:
        async def nothing() -> None:
            """Flush nothing: the page counts nothing itself."""

        self._reader = StateReader(self.store, self._settings, nothing)

    def request(self) -> None:
        instance = self._chance.choice(self.instances)
        instance.add(f'queue="{self._chance.choice("aaaaaaaabc")}"')
        instance.flusher.flush()
        self.counted += 1

    def go_on(self, seconds: float) -> None:
        """Let requests and scrapes come for this time."""
        end_s = self.now_s + seconds
        while (until_s := min(end_s, self._scrape_at_s)) > self.now_s:
            while (pause_s := self._chance.expovariate(_PER_SECOND)) < until_s - self.now_s:
                self.now_s += pause_s
                self.request()
            self.now_s = until_s
            if until_s == self._scrape_at_s:
                self._scrape_at_s += self._interval_s
                asyncio.run(self._scrape())

    async def _scrape(self) -> None:
        try:
            page, upkeep = await self._reader.read_page(time.perf_counter(), _PATIENCE_S)
        except StoreError:
            self.refused += 1
            return
        await self._reader.maintain(upkeep)
        lines = b"".join(PLAIN.render(page)).decode().splitlines()
        rows = (line.rpartition(" ") for line in lines if line.startswith("jobs_total{"))
        self.samples.append({name: float(value) for name, _, value in rows})

    def restart(self, case: Case) -> None:
        """Let some time pass, and the incident happen at its end."""
        self.go_on(self._chance.uniform(2.0, 3.0) * self._interval_s)
        kept = deepcopy(self.store._shards)  # noqa: SLF001  the disk of this server
        self.go_on(self._chance.uniform(*_BEHIND_S[case.state]))
        if case.state == "failover":
            for _ in range(2):
                self.request()
        if case.state != "lossless":
            self.store._shards = [type(kept[0])() for _ in kept] if case.state == "emptied" else kept  # noqa: SLF001
        self.store._run = ServerRun("second")  # noqa: SLF001
        for place in range(_LEFT[case.instances]):
            self.instances[place] = self.instance(place)
        if case.page == "new":
            self.start_page()
            self._scrape_at_s = max(self._scrape_at_s, self.now_s + (0 if case.state == "failover" else _PAGE_WAITS_S))


def increase(samples: Sequence[Samples]) -> tuple[float, bool]:
    """Return what Prometheus adds up, and whether it saw a reset: what follows a lower value is counted from zero.

    Source: https://prometheus.io/docs/prometheus/latest/querying/functions/#increase, without its extrapolation
    """
    grown, was_reset = 0.0, False
    for name in {name for sample in samples for name in sample}:
        values = [sample[name] for sample in samples if name in sample]
        for before, after in itertools.pairwise(values):
            grown += after - before if after >= before else after
            was_reset |= after < before
    return grown, was_reset


def simulate(case: Case, shards: int, seed: int, interval_s: float = 15.0) -> Outcome:
    """Run one schedule.

    Args:
        case: what happens.
        shards: how many there are.
        seed: the same one gives the same schedule.
        interval_s: seconds between two scrapes.
    """
    world = _World(Random(f"{case} {shards} {seed}"), shards, interval_s)
    for _ in range(200):
        world.request()
    world.go_on(interval_s)
    before = world.counted
    world.restart(case)
    world.go_on(_SCRAPES_AFTER * interval_s)
    for instance in world.instances:  # a last scrape without requests since, so that it shows everything
        instance.flusher.flush()
    asyncio.run(world._scrape())  # noqa: SLF001
    grown, was_reset = increase(world.samples)
    return Outcome(
        grown - (world.counted - before), was_reset, sum(world.samples[-1].values()) - world.counted, world.refused
    )


def _rows(schedules: int, shards: int) -> Iterator[str]:
    yield (
        f"{'state':10}{'instances':>10}{'page':>6}{'exact':>8}{'lacks':>9}{'at most':>9}{'too much':>10}{'at most':>9}"
        f"{'resets':>8}{'total right':>13}{'503s':>7}"
    )
    for case in itertools.starmap(Case, itertools.product(_BEHIND_S, _LEFT, ("warm", "new"))):
        found = [simulate(case, shards, seed) for seed in range(schedules)]
        lacks, extra = ([max(0.0, sign * one.error) for one in found] for sign in (-1, 1))
        exact, resets, right = (
            statistics.mean(values)
            for values in zip(*((one.error == 0, one.was_reset, one.total_error == 0) for one in found), strict=True)
        )
        yield (
            f"{case.state:10}{case.instances:>10}{case.page:>6}{exact:8.0%}{statistics.mean(lacks):9.1f}{max(lacks):9.0f}"
            f"{statistics.mean(extra):10.1f}{max(extra):9.0f}{resets:8.0%}{right:13.0%}"
            f"{statistics.mean(one.refused for one in found):7.2f}"
        )


def main() -> None:
    """Print a row for each kind of incident."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.incidents", description=__doc__)
    parser.add_argument("--schedules", type=int, default=40, help="for each row")
    parser.add_argument("--shards", type=int, default=1)
    options = parser.parse_args()
    logging.disable()  # each incident is logged, as it should be
    print(f"increase(jobs_total) after an incident: {options.schedules} schedules a row, {options.shards} shard(s)")
    for line in _rows(options.schedules, options.shards):
        print(line, flush=True)


if __name__ == "__main__":
    main()

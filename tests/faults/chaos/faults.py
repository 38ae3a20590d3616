"""The table of faults: `make test` runs a sample of each, `make chaos` each in full."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from tests.faults.chaos import crowd, cuts, network, outages, server
from tests.faults.chaos.books import Books
from tests.faults.chaos.lab import WAYS, Conditions, Lab, Way
from tests.support.proxy import Proxy
from tests.support.redis_process import RedisProcess

__all__ = ["FAULTS", "Fault", "Run", "own_redis", "play"]

_SHORT_MS = 150


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault of instances, or of the Redis that they write to.

    Args:
        happens: causes the fault, and ends it.
        may_lose: whether something may be lost, if it is counted as lost.
        budget_ms: the budget of a flush; short if a flush only ends with its budget.
        ways: how instances flush: in an event loop or blocking.
        shards: numbers of shards; with more than one there are three instances.
        long: whether it has no short sample.
    """

    happens: Callable[[Lab], None]
    may_lose: bool = False
    budget_ms: int = 3_000
    ways: tuple[Way, ...] = WAYS
    shards: tuple[int, ...] = (1, 4)
    long: bool = False


def _away(happens: Callable[[Lab], None]) -> Fault:
    return Fault(happens, budget_ms=1_000, ways=("async",), shards=(1,), long=True)


FAULTS: dict[str, Fault] = {
    "reply lost, connection cut": Fault(network.reply_lost),
    "reply lost in silence": Fault(network.reply_lost_in_silence, budget_ms=_SHORT_MS),
    "reply lost, then refused": Fault(network.reply_lost_then_refused),
    "request lost, connection cut": Fault(network.request_lost),
    "request lost in silence": Fault(network.request_lost_in_silence, budget_ms=_SHORT_MS),
    "request cut at any byte": Fault(cuts.request),
    "reply cut at any byte": Fault(cuts.reply),
    "script cut at any byte": Fault(cuts.script, shards=(1,)),
    "greeting cut at any byte": Fault(cuts.greeting),
    "cut at any byte, and again": Fault(cuts.twice),
    "closed while idle": Fault(network.closed_while_idle),
    "half-open while idle": Fault(network.half_open_while_idle),
    "reply past the time limit": Fault(network.reply_too_late, budget_ms=_SHORT_MS),
    "request past the time limit": Fault(network.request_too_late, budget_ms=_SHORT_MS),
    "black hole": Fault(network.black_hole, budget_ms=_SHORT_MS),
    "refusing": Fault(network.refusing),
    "packets dropped": Fault(network.packets_dropped, budget_ms=_SHORT_MS),
    "flapping": Fault(network.flapping, budget_ms=_SHORT_MS),
    "script flush": Fault(server.script_flush),
    "Redis restarted": Fault(server.restarted),
    "Redis killed, snapshot behind": Fault(server.killed),
    "Redis killed, no snapshot": Fault(server.killed_without_a_snapshot),
    "Redis killed, snapshot far behind": Fault(server.killed_far_behind, may_lose=True),
    "Redis killed, a writer gone": Fault(server.killed_and_a_writer_gone),
    "failover, replica lagged": Fault(server.failover),
    "failover, replica lagged far": Fault(server.failover_far_behind, may_lose=True),
    "writers come and go": Fault(crowd.writers_come_and_go, ways=("blocking",), shards=(1,)),
    "away: black hole": _away(outages.away_black_hole),
    "away: refusing": _away(outages.away_refusing),
    "away: packets dropped": _away(outages.away_packets_dropped),
    "away: slow": _away(outages.away_slow),
    "away: flapping": _away(outages.away_flapping),
}


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a fault.

    Args:
        name: the name of the fault.
        seed: sets everything random.
        way: how instances flush.
        shards: the number of shards.
        quick: whether it is a sample.
    """

    name: str
    seed: int
    way: Way = "async"
    shards: int = 1
    quick: bool = True

    @classmethod
    def all(cls, seed: int, *, quick: bool) -> list[Run]:
        """Return the runs of all faults."""
        return [
            cls(name, seed, way, shards, quick)
            for name, fault in FAULTS.items()
            if not (quick and fault.long)
            for way in fault.ways
            for shards in fault.shards
        ]

    @property
    def command(self) -> str:
        """The command that repeats it."""
        asked = ["--only", self.name, "--way", self.way, "--shards", str(self.shards), "--seed", str(self.seed)]
        return shlex.join(
            [".venv/bin/python", "-m", "tests.faults.chaos", *asked, *(["--quick"] if self.quick else [])]
        )

    def __str__(self) -> str:
        return f"{self.name}, {self.way}, {self.shards} shard{'s' if self.shards > 1 else ''}, seed {self.seed}"


@contextmanager
def own_redis() -> Iterator[RedisProcess]:
    """Run a Redis that faults may stop and kill."""
    with TemporaryDirectory(prefix="kairo-chaos-") as folder:
        process = RedisProcess(Path(folder))
        try:
            yield process
        finally:
            process.close()


def play(run: Run, process: RedisProcess, tick: Callable[[float], None] = lambda _share: None) -> Books:
    """Run a fault, and return the result.

    Args:
        run: the fault and its parameters.
        process: a Redis that may be stopped and killed.
        tick: called with the share that is done.
    """
    fault = FAULTS[run.name]
    # A text as seed gives the same random numbers in every process.
    chance = Random(f"{run.name}, {run.seed}, {run.way}, {run.shards}")
    with Proxy(process.url) as proxy:
        conditions = Conditions(run.way, run.shards, fault.budget_ms, thorough=not run.quick)
        lab = Lab(process, proxy, chance, conditions, tick)
        try:
            fault.happens(lab)
            return lab.balance(may_lose=fault.may_lose)
        finally:
            lab.close()

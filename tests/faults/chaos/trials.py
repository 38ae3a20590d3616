"""The table of trials: a flood of label values, the memory of one instance, a storm over a cluster."""

from __future__ import annotations

import asyncio
import logging
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection

from lib.kairo_metrics.dev.private_redis import private_redis
from tests.faults.chaos.cardinality import flood
from tests.faults.chaos.cluster_storm import Storm
from tests.faults.chaos.instance_memory import Growth, grow
from tests.support.ports import free_port
from tests.support.redis_cluster import redis_cluster

__all__ = ["TRIALS", "Found", "Trial", "attempt"]


@dataclass(frozen=True, slots=True)
class Found:
    """The result of a trial.

    Args:
        facts: what was measured or counted.
        wrong: the failures, in sentences.
    """

    facts: list[str]
    wrong: list[str]


@dataclass(frozen=True, slots=True)
class Trial:
    """One run of a trial.

    Args:
        name: the name of the trial.
        seed: sets everything random.
        quick: whether it is a sample.
    """

    name: str
    seed: int
    quick: bool = True

    @property
    def command(self) -> str:
        """The command that repeats it."""
        asked = ["--only", self.name, "--seed", str(self.seed), *(["--quick"] if self.quick else [])]
        return shlex.join([".venv/bin/python", "-m", "tests.faults.chaos", *asked])

    def __str__(self) -> str:
        return f"{self.name}, seed {self.seed}"


_Tick = Callable[[float], None]


def _flood(trial: Trial, tick: _Tick) -> Found:
    attempts, max_series = (20_000, 200) if trial.quick else (1_000_000, 1_000)
    with private_redis(free_port()) as url:
        findings = flood(url, attempts, trial.seed, max_series, lambda served: tick(served / attempts))
    return Found(findings.facts(), findings.faults())


def _memory(trial: Trial, tick: _Tick) -> Found:
    values, max_series = (20_000, 500) if trial.quick else (1_000_000, 10_000)
    growth = _grow_apart(values, max_series, tick)
    return Found(growth.facts(max_series), growth.faults(max_series))


def _grow_apart(values: int, max_series: int, tick: _Tick) -> Growth:
    """Let an instance grow in a new process, which has no freed memory to reuse."""
    context = get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_send_growth, args=(theirs, values, max_series))
    process.start()
    theirs.close()
    try:
        while not isinstance(message := ours.recv(), Growth):
            tick(message / values)
    finally:
        process.join()
        ours.close()
    return message


def _send_growth(pipe: Connection, values: int, max_series: int) -> None:
    logging.getLogger("kairo_metrics").setLevel(logging.ERROR)  # overflows are expected here
    pipe.send(grow(values, max_series, pipe.send))


def _storm(trial: Trial, tick: _Tick) -> Found:
    with redis_cluster() as cluster:
        tally = asyncio.run(Storm(cluster, trial.seed).run(2 if trial.quick else 120, tick=tick))
    return Found([str(tally)], tally.faults())


TRIALS: dict[str, Callable[[Trial, _Tick], Found]] = {
    "flood of label values": _flood,
    "memory of one instance": _memory,
    "storm over a cluster": _storm,
}


def attempt(trial: Trial, tick: _Tick = lambda _share: None) -> Found:
    """Run a trial, and return the result.

    Args:
        trial: the trial and its parameters.
        tick: called with the share that is done.
    """
    return TRIALS[trial.name](trial, tick)

"""What a scrape reads first: the clock, the families index, and facts about the server."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from .batch import State
from .recovery import Recovery
from .schema import Schema
from .server_run import ServerRun

__all__ = ["IndexEntry", "Snapshot"]


@dataclass(frozen=True, slots=True)
class IndexEntry:
    """One family under one schema in one shard.

    Args:
        shard: where its series are.
        schema: what they mean.
        created_ms: when an instance announced it first, by the server's clock.
        announced_ms: when one did last.
    """

    shard: int
    schema: Schema
    created_ms: int
    announced_ms: int = 0


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a scrape learns before it reads series.

    Args:
        now_ms: the server's clock; of several, the one that is ahead.
        entries: the families index of every shard.
        damaged: index entries that could not be read.
        states: the name of each shard's state, and how many batches it has taken.
        recoveries: of each shard, how far it was made good since it went back in time last; None where it never did.
        runs: of each shard, which run of a server it was read from.
        facts: `version` and `eviction_policy`, where the server tells.
        measures: `clock_skew_s`, `max_series`, and where the server tells, `memory_bytes` and `max_memory_bytes`.
        clocks_ms: by shard, the clock of the server that holds it, where there are several.
    """

    now_ms: int
    entries: tuple[IndexEntry, ...]
    damaged: int = 0
    states: tuple[State, ...] = ()
    recoveries: tuple[Recovery | None, ...] = ()
    runs: tuple[ServerRun, ...] = ()
    facts: Mapping[str, str] = field(default_factory=dict)
    measures: Mapping[str, float] = field(default_factory=dict)
    clocks_ms: Mapping[int, int] = field(default_factory=dict)

    def clock_ms(self, shard: int) -> int:
        """Return the clock by which the lines of a shard are dated."""
        return self.clocks_ms.get(shard, self.now_ms)

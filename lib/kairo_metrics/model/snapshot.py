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
        shard: the shard that holds its series.
        schema: its schema.
        created_ms: when it was announced first, in ms since 1970 by the server's clock.
        announced_ms: when it was announced last.
    """

    shard: int
    schema: Schema
    created_ms: int
    announced_ms: int = 0


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a scrape learns before it reads series.

    Args:
        now_ms: the server's clock, in ms since 1970; with several servers, the latest.
        entries: the families index of all shards.
        damaged: how many index entries could not be read.
        states: the state of each shard.
        recoveries: the recovery of each shard; None if its state never went back in time.
        runs: the run of the server that each shard was read from.
        facts: `version` and `eviction_policy`.
        measures: `clock_skew_s`, `max_series`, and if the server reports them, `memory_bytes` and `max_memory_bytes`.
        clocks_ms: with several servers, the clock of the one that holds the shard, by shard.
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
        """Return the server's clock for the lines of a shard, in ms since 1970."""
        return self.clocks_ms.get(shard, self.now_ms)

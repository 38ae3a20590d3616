"""What a scrape learns first, out of Redis' replies: the clock, the families, and which server it is."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .base import State
from .recovery import Recovery
from .schema import Schema
from .server_info import read_info
from .server_run import ServerRun

__all__ = ["OF_THE_STATE", "IndexEntry", "Snapshot", "read_snapshot"]

# What the index holds beside the families.
OF_THE_STATE = frozenset({b"batches", b"incarnation", b"recovery"})
_MEMORY = {"memory_bytes": "used_memory", "max_memory_bytes": "maxmemory"}
_UNKNOWN = "unknown"
_NAME, _COUNT = re.compile(rb"[0-9A-Za-z-]{1,64}"), re.compile(rb"[0-9]{1,15}")


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


def read_snapshot(replies: Sequence[Any], between_s: tuple[float, float], max_series: int) -> Snapshot:
    r"""Read the replies to `TIME`, `INFO server`, `INFO memory` and an `HGETALL` of each shard's index.

    Args:
        replies: in this order.
        between_s: our own wall clock when they were asked for and when they had come, in seconds.
        max_series: how many series a family may have.

    Example:
        >>> replies = [[b"1764000000", b"250000"], b"redis_version:7.0.15\r\n", b""]
        >>> read_snapshot(replies, (1764000000.0, 1764000000.5), 9).facts["version"]
        '7.0.15'
    """
    clock, server, memory, *indexes = replies
    entries: list[IndexEntry] = []
    damaged = 0
    states: list[State] = []
    recoveries: list[Recovery | None] = []
    for shard, index in enumerate(indexes):
        told = dict(zip(index[::2], index[1::2], strict=True))
        states.append(_state(told))
        recoveries.append(Recovery.parse(told.get(b"recovery", b"")))
        for name, value in told.items():
            if name in OF_THE_STATE:
                continue
            try:
                entries.append(_entry(shard, name, value))
            except ValueError:
                damaged += 1
    about, used = read_info(server), read_info(memory)
    facts = {"version": about.get("redis_version", _UNKNOWN), "eviction_policy": used.get("maxmemory_policy", _UNKNOWN)}
    measures = {name: float(said) for name, key in _MEMORY.items() if (said := used.get(key, "")).isdecimal()}
    measures["clock_skew_s"] = _skew_s(int(clock[0]) + int(clock[1]) / 1e6, *between_s)
    measures["max_series"] = max_series
    now_ms = int(clock[0]) * 1000 + int(clock[1]) // 1000
    runs = tuple(ServerRun.read(about, *found, now_ms) for found in zip(states, recoveries, strict=True))
    return Snapshot(now_ms, tuple(entries), damaged, tuple(states), tuple(recoveries), runs, facts, measures)


def _state(index: Mapping[bytes, bytes]) -> State:
    """Read the name and the count of a state; what is damaged is as good as none, here as in the script."""
    name, batches = index.get(b"incarnation", b""), index.get(b"batches", b"0")
    if not _COUNT.fullmatch(batches):
        return State()
    return State(name.decode() if _NAME.fullmatch(name) else "", int(batches))


def _entry(shard: int, name: bytes, value: bytes) -> IndexEntry:
    """Read an entry of the index.

    Raises:
        ValueError: it is damaged, or in another one's place: a copy would count a family twice.
    """
    created, announced, metadata = value.split(b" ", 2)
    schema = Schema.from_metadata(metadata)
    if name != schema.index_field.encode():
        raise ValueError(f"not the place of {schema.index_field!r}: {name!r}")
    return IndexEntry(shard, schema, int(created), int(announced))


def _skew_s(server_s: float, asked_s: float, answered_s: float) -> float:
    """Return how far the server's clock is ahead of ours, at least; below 0 it is behind.

    The server looked at its clock between the two; while its time lies there as well, the clocks agree.
    """
    return max(0.0, server_s - answered_s) + min(0.0, server_s - asked_s)

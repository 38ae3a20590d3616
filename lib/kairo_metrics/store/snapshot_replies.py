"""Reading a snapshot from the replies of one server."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from ..model.batch import State
from ..model.recovery import Recovery
from ..model.schema_validation import parse_schema
from ..model.server_run import ServerRun
from ..model.snapshot import IndexEntry, Snapshot
from .command_flow import Command
from .server_info import read_info

__all__ = ["SERVER_COMMANDS", "STATE_FIELDS", "read_snapshot"]

# What a scrape asks a server about the server itself.
SERVER_COMMANDS: tuple[Command, ...] = (("TIME",), ("INFO", "server"), ("INFO", "memory"))

# The fields of the families index that are not families.
STATE_FIELDS = frozenset({b"batches", b"incarnation", b"recovery"})
_MEMORY = {"memory_bytes": "used_memory", "max_memory_bytes": "maxmemory"}
_UNKNOWN = "unknown"
_NAME, _COUNT = re.compile(rb"[0-9A-Za-z-]{1,64}"), re.compile(rb"[0-9]{1,15}")


def read_snapshot(replies: Sequence[Any], between_s: tuple[float, float], max_series: int) -> Snapshot:
    r"""Read the replies to `SERVER_COMMANDS` and to an `HGETALL` of each shard's index.

    Args:
        replies: in this order.
        between_s: our own wall clock when the commands were sent and when the replies were there, in seconds.
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
        fields = dict(zip(index[::2], index[1::2], strict=True))
        states.append(_state(fields))
        recoveries.append(Recovery.parse(fields.get(b"recovery", b"")))
        for name, value in fields.items():
            if name in STATE_FIELDS:
                continue
            try:
                entry = _entry(shard, name, value)
            except ValueError:
                damaged += 1
                continue
            if entry is not None:
                entries.append(entry)
    server_info, memory_info = read_info(server), read_info(memory)
    facts = {
        "version": server_info.get("redis_version", _UNKNOWN),
        "eviction_policy": memory_info.get("maxmemory_policy", _UNKNOWN),
    }
    measures = {name: float(text) for name, key in _MEMORY.items() if (text := memory_info.get(key, "")).isdecimal()}
    measures["clock_skew_s"] = _skew_s(int(clock[0]) + int(clock[1]) / 1e6, *between_s)
    measures["max_series"] = max_series
    now_ms = int(clock[0]) * 1000 + int(clock[1]) // 1000
    runs = tuple(ServerRun.read(server_info, *shard, now_ms) for shard in zip(states, recoveries, strict=True))
    return Snapshot(now_ms, tuple(entries), damaged, tuple(states), tuple(recoveries), runs, facts, measures)


def _state(index: Mapping[bytes, bytes]) -> State:
    """Read the name and the count of a state; damaged ones are treated as absent, as in the script."""
    name, batches = index.get(b"incarnation", b""), index.get(b"batches", b"0")
    if not _COUNT.fullmatch(batches):
        return State()
    return State(name.decode() if _NAME.fullmatch(name) else "", int(batches))


def _entry(shard: int, name: bytes, value: bytes) -> IndexEntry | None:
    r"""Read an entry of the index.

    None if an earlier version of this package wrote it for a name with a line break: it put `\n` in the place of the
    line break, and what it counts is under a key that no page reads.

    Raises:
        ValueError: it is damaged, or under the index field of another family: a copy would count a family twice.
    """
    created, announced, metadata = value.split(b" ", 2)
    schema = parse_schema(metadata)
    if name != schema.index_field.encode():
        if "\n" in schema.name and name == f"{schema.name} {schema.id}".replace("\n", r"\n").encode():
            return None
        raise ValueError(f"not the index field of {schema.index_field!r}: {name!r}")
    return IndexEntry(shard, schema, int(created), int(announced))


def _skew_s(server_s: float, sent_s: float, received_s: float) -> float:
    """Return by how much the server's clock is certainly ahead of ours, in seconds; negative if it is behind.

    The server read its clock between the two times, so a server time between them shows no skew.
    """
    return max(0.0, server_s - received_s) + min(0.0, server_s - sent_s)

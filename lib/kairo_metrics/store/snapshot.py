"""What a scrape learns first, out of Redis' replies: the clock, the families, and which server it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .base import IndexEntry, Snapshot
from .schema import Schema

__all__ = ["read_snapshot"]

# What the index holds beside the families.
_OF_THE_STATE = frozenset({b"batches", b"incarnation"})


def read_snapshot(clock: Any, server: Any, memory: Any, indexes: Sequence[Any]) -> Snapshot:
    r"""Read the replies to `TIME`, `INFO server`, `INFO memory` and an `HGETALL` of each shard's index.

    Example:
        >>> read_snapshot([b"1764000000", b"250000"], b"redis_version:7.0.15\r\n", b"", []).facts["version"]
        '7.0.15'
    """
    entries: list[IndexEntry] = []
    damaged = 0
    for shard, index in enumerate(indexes):
        for name, value in zip(index[::2], index[1::2], strict=True):
            if name in _OF_THE_STATE:
                continue
            try:
                created, announced, metadata = value.split(b" ", 2)
                entries.append(IndexEntry(shard, Schema.from_metadata(metadata), int(created), int(announced)))
            except ValueError:
                damaged += 1
    facts = {"version": _fact(server, b"redis_version"), "eviction_policy": _fact(memory, b"maxmemory_policy")}
    return Snapshot(int(clock[0]) * 1000 + int(clock[1]) // 1000, tuple(entries), damaged, facts)


def _fact(info: Any, name: bytes) -> str:
    """Find a line of INFO; hosted servers leave some out, or refuse the command."""
    if isinstance(info, bytes):
        for line in info.splitlines():
            key, _, value = line.partition(b":")
            if key == name:
                return value.decode(errors="replace")
    return "unknown"

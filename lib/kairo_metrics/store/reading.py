"""The first trip of a scrape: the clock, the families of all shards, and which server it is."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from ..config import Settings
from .base import Command
from .conversation import raise_refusal
from .keys import Keys
from .links import AsyncLink
from .replica import check_replica
from .shard_count import ShardCount, read_shard_count
from .snapshot import Snapshot, read_snapshot

__all__ = ["read_state"]

_ABOUT: tuple[Command, ...] = (("TIME",), ("INFO", "server"), ("INFO", "memory"))
_REPLICATION: Command = ("INFO", "replication")


async def read_state(link: AsyncLink, settings: Settings) -> tuple[Snapshot, ShardCount]:
    """Read the index of every shard that is in use, and of those that were until lately.

    Args:
        link: to the server that scrapes read from.
        settings: the namespace, the shards, and whether that server is a replica.

    Raises:
        StoreError: it could not be read.
    """
    shards = settings.shards
    while True:
        snapshot, reply = await _read(link, settings, shards)
        count = read_shard_count(reply)
        if count.shards <= shards:
            return snapshot, count
        shards = count.shards  # it is more than once only where somebody has just raised it


async def _read(link: AsyncLink, settings: Settings, shards: int) -> tuple[Snapshot, Any]:
    remembered: Command = ("GET", Keys(settings.namespace, 0).shards)
    if link.pool.cluster is None:
        asked_s = time.time()
        indexes = [("HGETALL", Keys(settings.namespace, shard).families) for shard in range(shards)]
        beside = [remembered, *([_REPLICATION] if settings.read_url is not None else [])]
        replies = await link.call(*_ABOUT, *indexes, *beside)
        between_s = asked_s, time.time()
    if link.pool.cluster is not None:  # known by now at the latest
        from .spread import read_spread

        return await read_spread(link, settings, shards, remembered)
    told: Sequence[Any] = replies[: len(_ABOUT) + shards]
    if settings.read_url is not None:
        check_replica(replies[-1])
    raise_refusal([told[0], *told[len(_ABOUT) :]])
    return read_snapshot(told, between_s, settings.max_series), replies[len(told)]

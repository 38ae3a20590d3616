"""The first trip of a scrape: the clock, the families of all shards, and which server it is."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from ..config.settings import Settings
from ..model.snapshot import Snapshot
from .client import AsyncClient
from .command_flow import Command
from .keys import Keys
from .replica import check_replica
from .replies import raise_refusal
from .shard_count import ShardCount, read_shard_count
from .snapshot_replies import read_snapshot

__all__ = ["read_state"]

_ABOUT: tuple[Command, ...] = (("TIME",), ("INFO", "server"), ("INFO", "memory"))
_REPLICATION: Command = ("INFO", "replication")


async def read_state(client: AsyncClient, settings: Settings) -> tuple[Snapshot, ShardCount]:
    """Read the index of every shard that is in use, and of those that were until lately.

    Args:
        link: to the server that scrapes read from.
        settings: the namespace, the shards, and whether that server is a replica.

    Raises:
        StoreError: it could not be read.
    """
    shards = settings.shards
    while True:
        snapshot, reply = await _read(client, settings, shards)
        count = read_shard_count(reply)
        if count.shards <= shards:
            return snapshot, count
        shards = count.shards  # it is more than once only where somebody has just raised it


async def _read(client: AsyncClient, settings: Settings, shards: int) -> tuple[Snapshot, Any]:
    remembered: Command = ("GET", Keys(settings.namespace, 0).shards)
    if client.topology.cluster is None:
        asked_s = time.time()
        indexes = [("HGETALL", Keys(settings.namespace, shard).families) for shard in range(shards)]
        beside = [remembered, *([_REPLICATION] if settings.read_url is not None else [])]
        replies = await client.call(*_ABOUT, *indexes, *beside)
        between_s = asked_s, time.time()
    if client.topology.cluster is not None:  # known by now at the latest
        from .cluster_index import read_spread

        return await read_spread(client, settings, shards, remembered)
    told: Sequence[Any] = replies[: len(_ABOUT) + shards]
    if settings.read_url is not None:
        check_replica(replies[-1])
    raise_refusal([told[0], *told[len(_ABOUT) :]])
    return read_snapshot(told, between_s, settings.max_series), replies[len(told)]

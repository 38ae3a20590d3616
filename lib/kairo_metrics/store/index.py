"""The first round trip of a scrape: the server's clock and facts, and the families index of every shard."""

from __future__ import annotations

import time
from typing import Any

from ..config.settings import Settings
from ..model.snapshot import Snapshot
from .command_flow import Command
from .connections.client import AsyncClient
from .keys import Keys
from .replica import check_replica
from .replies import raise_refusal
from .shard_count import ShardCount, read_shard_count
from .snapshot_replies import SERVER_COMMANDS, read_snapshot

__all__ = ["read_state"]

_REPLICATION: Command = ("INFO", "replication")


async def read_state(client: AsyncClient, settings: Settings) -> tuple[Snapshot, ShardCount]:
    """Read the index of every shard that is in use, and of those that were in use before METRICS_SHARDS was lowered.

    Args:
        client: of the server that scrapes read from.
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
        shards = count.shards


async def _read(client: AsyncClient, settings: Settings, shards: int) -> tuple[Snapshot, Any]:
    """Return the snapshot, and the reply with the shard count."""
    get_shard_count: Command = ("GET", Keys(settings.namespace, 0).shards)
    if client.topology.cluster is None:
        sent_s = time.time()
        indexes = [("HGETALL", Keys(settings.namespace, shard).families) for shard in range(shards)]
        replication = [_REPLICATION] if settings.read_url is not None else []
        replies = await client.call(*SERVER_COMMANDS, *indexes, get_shard_count, *replication)
        between_s = sent_s, time.time()
    if client.topology.cluster is not None:  # also if a redirect has just shown that there is one
        from .cluster_index import read_cluster_state

        return await read_cluster_state(client, settings, shards, get_shard_count)
    state = replies[: len(SERVER_COMMANDS) + shards]
    if settings.read_url is not None:
        check_replica(replies[-1])
    raise_refusal([state[0], *state[len(SERVER_COMMANDS) :]])  # some hosts refuse INFO
    return read_snapshot(state, between_s, settings.max_series), replies[len(state)]

"""The first round trip of a scrape if shards are spread over a cluster, where each node has a clock of its own."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ..config.settings import Settings
from ..errors import StoreUnavailable
from ..model.recovery import Recovery
from ..model.snapshot import Snapshot
from .command_flow import Command
from .connections.client import AsyncClient
from .connections.cluster import Cluster, NodeResponse
from .connections.node_request import Node, NodeRequest
from .keys import Keys
from .replies import raise_refusal
from .snapshot_replies import SERVER_COMMANDS, read_snapshot

__all__ = ["join_snapshots", "read_cluster_state"]


async def read_cluster_state(
    client: AsyncClient, settings: Settings, shards: int, extra: Command
) -> tuple[Snapshot, Any]:
    """Read the index of each shard from the node that holds it, together with that node's clock.

    Args:
        client: of a cluster.
        settings: the namespace, and how many series a family may have.
        shards: how many there are.
        extra: one more command; its reply is returned as it is.

    Raises:
        StoreError: one of the nodes could not be read; a page without its shards would be wrong.
    """
    cluster = client.topology.known_cluster()
    indexes = [NodeRequest((("HGETALL", Keys(settings.namespace, shard).families),)) for shard in range(shards)]
    nodes = _nodes_of(cluster, indexes)
    sent_s = time.time()
    try:
        responses = await _request(client, nodes, indexes, extra)
    except StoreUnavailable:
        # A node has failed; the slot map that the call has refreshed may name its successor.
        failed, nodes = nodes, _nodes_of(cluster, indexes)
        if failed == nodes:
            raise
        responses = await _request(client, nodes, indexes, extra)
    between_s = sent_s, time.time()
    extra_reply = responses.pop().replies[0]
    server_replies = {response.node: response.replies for response in responses[: len(nodes)]}
    index_responses = responses[len(nodes) :]
    for response in responses:
        raise_refusal(response.replies[:1])
    shard_nodes = [response.node for response in index_responses]
    if unknown := [node for node in dict.fromkeys(shard_nodes) if node not in server_replies]:
        # Shards have moved to these nodes in the meantime.
        for response in await client.request(list(map(_server_request, unknown))):
            raise_refusal(response.replies[:1])
            server_replies[response.node] = response.replies
    snapshots = {
        node: read_snapshot(
            [*replies, *(response.replies[0] if response.node == node else [] for response in index_responses)],
            between_s,
            settings.max_series,
        )
        for node, replies in server_replies.items()
    }
    return join_snapshots(snapshots, shard_nodes), extra_reply


def _nodes_of(cluster: Cluster, indexes: Sequence[NodeRequest]) -> list[Node]:
    return list(dict.fromkeys(map(cluster.node_of, indexes)))


async def _request(
    client: AsyncClient, nodes: Sequence[Node], indexes: Sequence[NodeRequest], extra: Command
) -> list[NodeResponse]:
    return await client.request([*map(_server_request, nodes), *indexes, NodeRequest((extra,))])


def _server_request(node: Node) -> NodeRequest:
    return NodeRequest(SERVER_COMMANDS, node=node, pinned=True)


def join_snapshots(snapshots: dict[Node, Snapshot], nodes: Sequence[Node]) -> Snapshot:
    """Join the snapshots of all nodes into one.

    Args:
        snapshots: by node; each has the entries of its node's shards.
        nodes: the node of each shard.

    Example:
        >>> from ..model.batch import State
        >>> from ..model.server_run import ServerRun
        >>> runs = (ServerRun(), ServerRun())
        >>> one = Snapshot(1_000, (), 0, (State("a", 7), State()), (None, None), runs, {"version": "7"})
        >>> two = Snapshot(3_000, (), 0, (State(), State("b", 9)), (None, None), runs, {"version": "8"})
        >>> joined = join_snapshots({None: one, ("b", 1): two}, [None, ("b", 1)])
        >>> joined.now_ms, joined.clock_ms(0), joined.clock_ms(1), joined.facts["version"]
        (3000, 1000, 3000, '7, 8')
        >>> [state.batches for state in joined.states]
        [7, 9]
    """
    parts = list(snapshots.values())
    now_ms = max(part.now_ms for part in parts)
    fullest = max(parts, key=_fullness)
    names = dict.fromkeys(name for part in parts for name in part.facts)
    skew_s = max((part.measures.get("clock_skew_s", 0.0) for part in parts), key=abs)
    return replace(
        fullest,
        now_ms=now_ms,
        entries=tuple(entry for part in parts for entry in part.entries),
        damaged=sum(part.damaged for part in parts),
        facts={name: ", ".join(sorted({part.facts[name] for part in parts if name in part.facts})) for name in names},
        measures={**fullest.measures, "clock_skew_s": skew_s},
        clocks_ms={shard: snapshots[node].now_ms for shard, node in enumerate(nodes)},
        states=tuple(snapshots[node].states[shard] for shard, node in enumerate(nodes)),
        runs=tuple(snapshots[node].runs[shard] for shard, node in enumerate(nodes)),
        recoveries=tuple(_recovery(snapshots[node], shard, now_ms) for shard, node in enumerate(nodes)),
    )


def _recovery(snapshot: Snapshot, shard: int, now_ms: int) -> Recovery | None:
    """Return the recovery of a shard, dated by the clock of the joined snapshot."""
    recovery = snapshot.recoveries[shard]
    return recovery and replace(recovery, since_ms=recovery.since_ms + now_ms - snapshot.now_ms)


def _fullness(snapshot: Snapshot) -> tuple[float, float]:
    """Return a sort key; the node with the largest one is nearest to its memory limit."""
    measures: dict[str, Any] = dict(snapshot.measures)
    used, limit = measures.get("memory_bytes", 0.0), measures.get("max_memory_bytes", 0.0)
    return (used / limit if limit else 0.0), used

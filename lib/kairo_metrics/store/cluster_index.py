"""What a scrape learns first where shards are spread over the nodes of a cluster: each node has a clock of its own."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ..config.settings import Settings
from ..errors import StoreUnavailable
from ..model.recovery import Recovery
from ..model.snapshot import Snapshot
from .client import AsyncClient
from .cluster import Cluster, NodeResponse
from .command_flow import Command
from .keys import Keys
from .node_request import Node, NodeRequest
from .replies import raise_refusal
from .snapshot_replies import read_snapshot

__all__ = ["join_snapshots", "read_spread"]

_ABOUT_A_NODE = (("TIME",), ("INFO", "server"), ("INFO", "memory"))


async def read_spread(client: AsyncClient, settings: Settings, shards: int, beside: Command) -> tuple[Snapshot, Any]:
    """Read the index of each shard where it is, with the clock of the node that dates its series.

    Args:
        link: to a cluster.
        settings: the namespace, and how many series a family may have.
        shards: how many there are.
        beside: what to ask as well; its reply is returned as it came.

    Raises:
        StoreError: one of the nodes could not be asked: a page without its shards would be wrong.
    """
    cluster = client.topology.known_cluster()
    indexes = [NodeRequest((("HGETALL", Keys(settings.namespace, shard).families),)) for shard in range(shards)]
    nodes = _holders(cluster, indexes)
    asked_s = time.time()
    try:
        told = await _ask(client, nodes, indexes, beside)
    except StoreUnavailable:
        # One of them is gone, and whoever was asked about it may have told who took over.
        gone, nodes = nodes, _holders(cluster, indexes)
        if gone == nodes:
            raise
        told = await _ask(client, nodes, indexes, beside)
    between_s = asked_s, time.time()
    reply = told.pop().replies[0]
    about = {answer.by: answer.replies for answer in told[: len(nodes)]}
    answers = told[len(nodes) :]
    for answer in told:
        raise_refusal(answer.replies[:1])
    if unknown := [node for node in dict.fromkeys(answer.by for answer in answers) if node not in about]:
        # Its shards have moved there while we asked.
        for answer in await client.ask([NodeRequest(_ABOUT_A_NODE, at=node, pinned=True) for node in unknown]):
            raise_refusal(answer.replies[:1])
            about[answer.by] = answer.replies
    snapshot = join_snapshots(
        {
            node: read_snapshot(
                [*replies, *(answer.replies[0] if answer.by == node else [] for answer in answers)],
                between_s,
                settings.max_series,
            )
            for node, replies in about.items()
        },
        [answer.by for answer in answers],
    )
    return snapshot, reply


def _holders(cluster: Cluster, indexes: Sequence[NodeRequest]) -> list[Node]:
    return list(dict.fromkeys(map(cluster.node_of, indexes)))


async def _ask(
    client: AsyncClient, nodes: Sequence[Node], indexes: Sequence[NodeRequest], beside: Command
) -> list[NodeResponse]:
    about = [NodeRequest(_ABOUT_A_NODE, at=node, pinned=True) for node in nodes]
    return await client.ask([*about, *indexes, NodeRequest((beside,))])


def join_snapshots(snapshots: dict[Node, Snapshot], nodes: Sequence[Node]) -> Snapshot:
    """Return one snapshot of all nodes.

    Args:
        snapshots: of each node, with the entries of its own shards.
        nodes: of each shard, its node.

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
    """Return how far a shard was made good, dated by the clock of the whole page."""
    recovery = snapshot.recoveries[shard]
    return recovery and replace(recovery, since_ms=recovery.since_ms + now_ms - snapshot.now_ms)


def _fullness(snapshot: Snapshot) -> tuple[float, float]:
    """Return what tells the node that is nearest to its limit."""
    measures: dict[str, Any] = dict(snapshot.measures)
    used, limit = measures.get("memory_bytes", 0.0), measures.get("max_memory_bytes", 0.0)
    return (used / limit if limit else 0.0), used

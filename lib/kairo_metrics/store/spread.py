"""What a scrape learns first where shards are spread over the nodes of a cluster: each node has a clock of its own."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ..config import Settings
from ..errors import StoreUnavailable
from .cluster import Answer, Cluster
from .conversation import raise_refusal
from .keys import Keys
from .pool import AsyncLink
from .question import Node, Question
from .snapshot import Snapshot, read_snapshot

__all__ = ["join_snapshots", "read_spread"]

_ABOUT_A_NODE = (("TIME",), ("INFO", "server"), ("INFO", "memory"))


async def read_spread(link: AsyncLink, settings: Settings) -> Snapshot:
    """Read the index of each shard where it is, with the clock of the node that dates its series.

    Args:
        link: to a cluster.
        settings: the namespace, how many shards there are, and how many series a family may have.

    Raises:
        StoreError: one of the nodes could not be asked: a page without its shards would be wrong.
    """
    cluster = link.pool.known_cluster()
    indexes = [Question((("HGETALL", Keys(settings.namespace, shard).families),)) for shard in range(settings.shards)]
    nodes = _holders(cluster, indexes)
    asked_s = time.time()
    try:
        told = await _ask(link, nodes, indexes)
    except StoreUnavailable:
        # One of them is gone, and whoever was asked about it may have told who took over.
        gone, nodes = nodes, _holders(cluster, indexes)
        if gone == nodes:
            raise
        told = await _ask(link, nodes, indexes)
    between_s = asked_s, time.time()
    about = {answer.by: answer.replies for answer in told[: len(nodes)]}
    answers = told[len(nodes) :]
    for answer in told:
        raise_refusal(answer.replies[:1])
    if unknown := [node for node in dict.fromkeys(answer.by for answer in answers) if node not in about]:
        # Its shards have moved there while we asked.
        for answer in await link.ask([Question(_ABOUT_A_NODE, at=node) for node in unknown]):
            raise_refusal(answer.replies[:1])
            about[answer.by] = answer.replies
    return join_snapshots(
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


def _holders(cluster: Cluster, indexes: Sequence[Question]) -> list[Node]:
    return list(dict.fromkeys(map(cluster.node_of, indexes)))


async def _ask(link: AsyncLink, nodes: Sequence[Node], indexes: Sequence[Question]) -> list[Answer]:
    return await link.ask([*(Question(_ABOUT_A_NODE, at=node) for node in nodes), *indexes])


def join_snapshots(snapshots: dict[Node, Snapshot], nodes: Sequence[Node]) -> Snapshot:
    """Return one snapshot of all nodes.

    Args:
        snapshots: of each node, with the entries of its own shards.
        nodes: of each shard, its node.

    Example:
        >>> one, other = Snapshot(1_000, (), facts={"version": "7"}), Snapshot(3_000, (), facts={"version": "8"})
        >>> joined = join_snapshots({None: one, ("b", 1): other}, [None, ("b", 1), None])
        >>> joined.now_ms, joined.clock_ms(0), joined.clock_ms(1), joined.facts["version"]
        (3000, 1000, 3000, '7, 8')
    """
    parts = list(snapshots.values())
    fullest = max(parts, key=_fullness)
    names = dict.fromkeys(name for part in parts for name in part.facts)
    skew_s = max((part.measures.get("clock_skew_s", 0.0) for part in parts), key=abs)
    return replace(
        fullest,
        now_ms=max(part.now_ms for part in parts),
        entries=tuple(entry for part in parts for entry in part.entries),
        damaged=sum(part.damaged for part in parts),
        facts={name: ", ".join(sorted({part.facts[name] for part in parts if name in part.facts})) for name in names},
        measures={**fullest.measures, "clock_skew_s": skew_s},
        clocks_ms={shard: snapshots[node].now_ms for shard, node in enumerate(nodes)},
    )


def _fullness(snapshot: Snapshot) -> tuple[float, float]:
    """Return what tells the node that is nearest to its limit."""
    measures: dict[str, Any] = dict(snapshot.measures)
    used, limit = measures.get("memory_bytes", 0.0), measures.get("max_memory_bytes", 0.0)
    return (used / limit if limit else 0.0), used

"""Reading the series of many families in chunks."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, Sequence
from typing import TYPE_CHECKING

from ..model.snapshot import IndexEntry
from .connections.node_request import Node, NodeRequest
from .keys import Keys
from .replies import is_wrong_type

if TYPE_CHECKING:
    from .connections.client import AsyncClient

__all__ = ["scan"]

# How many series a scrape reads in one round trip; Redis is busy with them for about a millisecond. As the size of its
# hash tables it is a power of two: a thousand series are read in one trip, where 1,000 would leave a few for another.
_SERIES_PER_ROUND_TRIP = 1_024
_KEYS_PER_ROUND_TRIP = 8

_Waiting = deque[tuple[IndexEntry, bytes, Node]]


async def scan(
    client: AsyncClient, namespace: str, entries: Sequence[IndexEntry]
) -> AsyncGenerator[tuple[IndexEntry, list[bytes] | None], None]:
    """Read the series of the entries; see `Store.scan`.

    The next chunk is being read while the caller works on this one.

    Args:
        client: of the server that scrapes read from.
        namespace: that of the keys.
        entries: the families.
    """
    waiting: _Waiting = deque((entry, b"0", None) for entry in entries)
    chunk, requests = _next_chunk(waiting, namespace)
    nodes = await client.send(requests)
    while chunk:
        results = []
        for entry, (reply, node) in zip(chunk, await client.receive(requests, nodes), strict=True):
            cursor, items = (b"0", None) if is_wrong_type(reply) else reply
            if cursor != b"0":
                waiting.append((entry, cursor, node))
            results.append((entry, items))
        chunk, requests = _next_chunk(waiting, namespace)
        nodes = await client.send(requests)
        for entry, items in results:
            yield entry, items


def _next_chunk(waiting: _Waiting, namespace: str) -> tuple[list[IndexEntry], list[NodeRequest]]:
    chunk = [waiting.popleft() for _ in range(min(len(waiting), _KEYS_PER_ROUND_TRIP))]
    # Redis runs the pipeline of one client without a pause, so the keys of a round trip share the limit.
    count = _SERIES_PER_ROUND_TRIP // max(1, len(chunk))
    requests = [
        NodeRequest(
            (("HSCAN", Keys(namespace, entry.shard).series(entry.schema), cursor, "COUNT", count),), cursor_node=node
        )
        for entry, cursor, node in chunk
    ]
    return [entry for entry, _, _ in chunk], requests

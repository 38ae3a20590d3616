"""Reading the series of many families, in chunks that keep Redis busy for about a millisecond each.

`HGETALL` takes Redis less than half the time of `HSCAN`, but nothing can interrupt it. So it reads the families that
were small when they were read last, and `HSCAN` reads the others.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..model.snapshot import IndexEntry
from .connections.node_request import Node, NodeRequest
from .family_sizes import MOST_AT_ONCE, USUAL_BYTES, FamilySizes
from .keys import Keys
from .replies import is_wrong_type

if TYPE_CHECKING:
    from .connections.client import AsyncClient

__all__ = ["scan"]

# How many series `HSCAN` reads in one round trip. As the size of Redis' hash tables it is a power of two: a thousand
# series are read in one trip, where 1,000 would leave a few for another.
_SCANNED_PER_ROUND_TRIP = 1_024
# The part of a round trip that one family takes at least: many may have grown at once, after a Redis came up empty.
_LEAST_PART = MOST_AT_ONCE // 8


@dataclass(slots=True)
class _Reading:
    """How far a family has been read.

    Args:
        entry: the family.
        key: of its hash.
        size: the one that it had lately, if it is small; None if it is scanned.
        cursor: where the scan goes on.
        node: the node that issued the cursor.
        found: the size of what was read, some of it twice perhaps.
    """

    entry: IndexEntry
    key: str
    size: int | None
    cursor: bytes = b"0"
    node: Node = None
    found: int = 0

    @property
    def weight(self) -> int:
        """The part of a round trip that it takes; `MOST_AT_ONCE` is a whole one."""
        return max(self.size or 0, _LEAST_PART)

    def request(self, count: int) -> NodeRequest:
        """Return the request for the next `count` series; for all if the family is small."""
        if self.size is not None:
            return NodeRequest((("HGETALL", self.key),))
        return NodeRequest((("HSCAN", self.key, self.cursor, "COUNT", count),), cursor_node=self.node)

    def take(self, reply: Any, node: Node) -> list[bytes] | None:
        """Return the series in a reply, or None if the key holds another type."""
        if is_wrong_type(reply):
            self.cursor = b"0"
            return None
        items: list[bytes]
        self.node = node
        self.cursor, items = (b"0", reply) if self.size is not None else reply
        self.found += max(len(items) // 2, sum(map(len, items)) // USUAL_BYTES)
        return items


async def scan(
    client: AsyncClient, namespace: str, entries: Sequence[IndexEntry], sizes: FamilySizes
) -> AsyncGenerator[tuple[IndexEntry, list[bytes] | None], None]:
    """Read the series of the entries; see `Store.scan`.

    The next chunk is being read while the caller works on this one.

    Args:
        client: of the server that scrapes read from.
        namespace: that of the keys.
        entries: the families.
        sizes: those of earlier scans; the new ones are added.
    """
    keys = [(entry, Keys(namespace, entry.shard).series(entry.schema)) for entry in entries]
    waiting = deque(_Reading(entry, key, sizes.of(key)) for entry, key in keys)
    chunk, requests = _next_chunk(waiting)
    nodes = await client.send(requests)
    while chunk:
        results = []
        for reading, (reply, node) in zip(chunk, await client.receive(requests, nodes), strict=True):
            results.append((reading.entry, reading.take(reply, node)))
            if reading.cursor != b"0":
                waiting.append(reading)
            else:
                sizes.remember(reading.key, reading.found)
        chunk, requests = _next_chunk(waiting)
        nodes = await client.send(requests)
        for entry, items in results:
            for piece in (items,) if items is None else _pieces(items):
                yield entry, piece


def _pieces(items: list[bytes]) -> Iterator[list[bytes]]:
    """Cut a long reply: the caller looks at each series several times, and short pieces stay in the fast caches."""
    step = 2 * _SCANNED_PER_ROUND_TRIP
    return (items[start : start + step] for start in range(0, len(items), step))


def _next_chunk(waiting: deque[_Reading]) -> tuple[list[_Reading], list[NodeRequest]]:
    """Take what fits into one round trip: Redis runs the pipeline of one client without a pause."""
    chunk: list[_Reading] = []
    room = MOST_AT_ONCE
    while waiting and waiting[0].weight <= room:
        room -= waiting[0].weight
        chunk.append(waiting.popleft())
    count = _SCANNED_PER_ROUND_TRIP // max(1, len(chunk))
    return chunk, [reading.request(count) for reading in chunk]

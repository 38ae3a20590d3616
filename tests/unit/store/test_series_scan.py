"""Which commands read the series, and in how many round trips."""

from __future__ import annotations

from typing import Any

import pytest
import redis

from lib.kairo_metrics.model.schema import Schema
from lib.kairo_metrics.model.snapshot import IndexEntry
from lib.kairo_metrics.store.family_sizes import MOST_AT_ONCE
from lib.kairo_metrics.store.keys import Keys
from lib.kairo_metrics.store.redis_store import RedisStore
from tests.support.instance import settings
from tests.support.proxy import Proxy

COUNTS = {"small": 3, "thousands": 3_000, "full": MOST_AT_ONCE, "large": MOST_AT_ONCE + 1}


def fill(client: redis.Redis, counts: dict[str, int]) -> list[IndexEntry]:
    """Store as many series for each name, and return the entries of these families."""
    entries = [IndexEntry(0, Schema(name, "counter", ("queue",)), 0) for name in counts]
    for entry in entries:
        series: Any = {f'queue="{number}"': "1 2 3" for number in range(counts[entry.schema.name])}
        client.hset(key_of(entry), mapping=series)
    return entries


def key_of(entry: IndexEntry) -> str:
    """Return the key of a family."""
    return Keys(settings().namespace, entry.shard).series(entry.schema)


async def read(store: RedisStore, entries: list[IndexEntry]) -> dict[str, int | None]:
    """Scan, and return how many series each family has; None for one of another type."""
    found: dict[str, set[bytes] | None] = {entry.schema.name: set() for entry in entries}
    async for entry, items in store.scan(entries):
        series = found[entry.schema.name]
        if items is None or series is None:
            found[entry.schema.name] = None
        else:
            series.update(items[::2])
    return {name: series if series is None else len(series) for name, series in found.items()}


def calls(client: redis.Redis, command: str) -> int:
    """Return how often the server has run a command since its counts were reset."""
    return int(client.info("commandstats").get(f"cmdstat_{command}", {}).get("calls", 0))


async def test_small_families_are_read_at_once_from_the_second_page_on(redis_url: str, redis_client: Any) -> None:
    """The first page of a process does not know what is small; a family that is large is never read at once."""
    entries = fill(redis_client, COUNTS)
    store = RedisStore(settings(redis_url))
    redis_client.config_resetstat()
    assert await read(store, entries) == COUNTS
    assert calls(redis_client, "hgetall") == 0
    redis_client.config_resetstat()
    assert await read(store, entries) == COUNTS
    assert calls(redis_client, "hgetall") == 3
    assert 0 < calls(redis_client, "hscan") <= 2 * COUNTS["large"] / 1_024
    await store.aclose()


@pytest.mark.parametrize(("count", "trips"), [(1, 1), (8, 1), (9, 2)])
async def test_many_small_families_share_a_round_trip(proxy: Proxy, redis_client: Any, count: int, trips: int) -> None:
    """Eight at most: all of them may have grown since the last page."""
    counts = {f"family_{number}": 5 for number in range(count)}
    entries = fill(redis_client, counts)
    store = RedisStore(settings(proxy.url))
    assert await read(store, entries) == counts
    before = proxy.round_trips
    assert await read(store, entries) == counts
    assert proxy.round_trips - before == trips
    await store.aclose()


async def test_a_family_with_long_labels_is_not_small(redis_url: str, redis_client: Any) -> None:
    """A client may choose the labels, and each byte keeps Redis busy."""
    entries = fill(redis_client, {"long": 1, "short": 200})
    redis_client.hset(key_of(entries[0]), mapping={f'queue="{number:04096}"': "1 2 3" for number in range(200)})
    store = RedisStore(settings(redis_url))
    await read(store, entries)
    redis_client.config_resetstat()
    assert await read(store, entries) == {"long": 201, "short": 200}
    assert (calls(redis_client, "hgetall"), calls(redis_client, "hscan") > 0) == (1, True)
    await store.aclose()


async def test_a_small_family_may_grow_end_or_become_something_else(redis_url: str, redis_client: Any) -> None:
    """What was known of it costs no series; the page after that reads it as is right for its new size."""
    entries = fill(redis_client, {"grows": 3, "ends": 3, "changes": 3})
    store = RedisStore(settings(redis_url))
    await read(store, entries)
    fill(redis_client, {"grows": MOST_AT_ONCE + 1})
    redis_client.delete(*map(key_of, entries[1:]))
    redis_client.set(key_of(entries[2]), "no hash")
    redis_client.config_resetstat()
    for _ in range(2):
        assert await read(store, entries) == {"grows": MOST_AT_ONCE + 1, "ends": 0, "changes": None}
    assert (calls(redis_client, "hgetall"), calls(redis_client, "hscan") > 5) == (3 + 1 + 1, True)
    await store.aclose()

"""Native histograms of several instances: both stores merge them to the same line."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import redis
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from lib.kairo_metrics import NativeHistogram
from lib.kairo_metrics.model.native_counts import NativeCounts
from lib.kairo_metrics.scrape.collector import Limits, Scrape, collect
from lib.kairo_metrics.store.redis_store import RedisStore
from lib.kairo_metrics.store.store_interface import Store
from lib.kairo_metrics.testing.memory_store import MemoryStore
from tests.support.instance import settings
from tests.support.native_amounts import AMOUNTS, SCHEMAS, THRESHOLDS
from tests.support.program import Program


@given(
    parts=st.lists(
        st.tuples(st.lists(AMOUNTS, max_size=6), SCHEMAS, THRESHOLDS, st.integers(1, 12)), min_size=1, max_size=4
    )
)
@hypothesis_settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
def test_the_script_merges_as_python_does(redis_server: str, parts: list[Any]) -> None:
    """Any mixture of resolutions, zero thresholds and caps gives the same line in Redis and in memory."""
    with redis.Redis.from_url(redis_server) as client:
        client.flushall()
    stores: list[Store] = [RedisStore(settings(redis_server)), MemoryStore(settings())]
    for store in stores:
        for number, (amounts, schema, threshold, max_buckets) in enumerate(parts):
            program = Program(store, settings(), str(number))
            with program.running():
                histogram = NativeHistogram(
                    "size",
                    "Size.",
                    schema=schema,
                    zero_threshold=threshold,
                    max_buckets=max_buckets,
                    registry=program.registry,
                )
                for amount in amounts:
                    histogram.observe(amount)
            program.flush()
    shown, expected = (lines(store) for store in stores)
    assert [line[1:] for line in shown] == [line[1:] for line in expected]
    assert [float(line[0]) for line in shown] == pytest.approx([float(line[0]) for line in expected], nan_ok=True)
    for counted in map(NativeCounts.parse, shown):
        inside = counted.zero_count + counted.positive.total() + counted.negative.total()
        assert inside == counted.count == sum(len(amounts) for amounts, *_ in parts)


def scrape(store: Store) -> Scrape:
    """Read the store."""

    async def read() -> Scrape:
        taken = await collect(store, Limits(3600))
        if isinstance(store, RedisStore):
            await store.aclose()
        return taken

    return asyncio.run(read())


def lines(store: Store) -> list[list[str]]:
    """Return the stored lines of the native histograms, word by word."""
    families = [family for family in scrape(store).page.families if family.schema.type == "native"]
    return [line.decode().split() for family in families for line in family.series.values()]

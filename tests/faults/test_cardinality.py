"""A flood of label values through many instances, and the cap with several shards."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lib.kairo_metrics.model.batch import Applied, Writer
from lib.kairo_metrics.model.schema import Schema
from lib.kairo_metrics.testing.memory_store import MemoryStore
from tests.faults.chaos.cardinality import Findings, flood
from tests.support.batches import batch, delta, send
from tests.support.instance import samples, settings


@pytest.fixture(scope="module")
def findings(redis_server: str) -> Findings:
    """Send 8,000 requests of a hostile client through 16 instances."""
    import redis

    with redis.Redis.from_url(redis_server) as client:
        client.flushall()
    return flood(redis_server, 8_000, seed=6, max_series=200)


def test_sixteen_instances_under_a_flood_are_exact(findings: Findings) -> None:
    """In a flood the cap and all totals are exact, earlier series go on, memory is flat, the log has one warning."""
    assert findings.sent["served"] == 8_000
    assert findings.sent["updates"] == 7_200
    assert findings.faults() == []


@pytest.mark.parametrize(
    ("wrong", "fault"),
    [
        ({"max_series": 201}, "has 200 series, expected 201"),
        ({"children": 202}, "keeps 202 children"),
        ({"grown_kb": 100_000}, "grown by 100000 kB"),
        ({"end_bytes": {"a key": 1_000}, "full_bytes": {"a key": 1}}, "a key has grown by 999 bytes"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_failure_is_reported(findings: Findings, wrong: dict[str, object], fault: str) -> None:
    """The check can fail: each kind of failure is reported."""
    assert any(fault in found for found in replace(findings, **wrong).faults())  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "name",
    [
        'flood_jobs_total{client="__overflow__"}',
        'flood_jobs_total{client="steady 0"}',
        'kairo_samples_overflowed_total{family="flood_jobs"}',
    ],
)
def test_a_count_that_is_off_by_one_is_reported(findings: Findings, name: str) -> None:
    """A single increment too many on the page is reported."""
    page = {**findings.page, name: findings.page[name] + 1}
    assert replace(findings, page=page).faults()


async def test_the_overflow_of_instances_own_values_is_on_the_page() -> None:
    """A gauge with a value per instance shows one value for all overflowing label sets: the one set last."""
    peak = Schema("peak", "gauge", ("instance_id", "room"), mode="max")
    store = MemoryStore(settings(max_series=1))
    series = [(f'instance_id="{letter}",room="{letter}"', f"{number}.0 0 1") for number, letter in enumerate("abc", 1)]
    send(store, batch(1, delta(*series, schema=peak)))
    assert await samples(store, "peak") == {'peak{room="a"}': 1, 'peak{room="__overflow__"}': 3}


async def test_each_shard_has_the_cap() -> None:
    """A metric with no more label sets than the cap never overflows, with any number of shards."""
    store = MemoryStore(settings(max_series=3, shards=2))
    same = [(f'queue="{letter}"', "1 1") for letter in "abc"]
    for shard in range(2):
        assert send(store, batch(1, delta(*same)), Writer(f"w{shard}", shard)) == Applied()
    assert len(await samples(store, "jobs_total")) == 3
    assert await samples(store, "kairo_max_series") == {"kairo_max_series": 3}
    for shard in range(2):
        more = batch(2, delta((f'queue="more {shard}"', "1 1"), announce=False))
        assert send(store, more, Writer(f"w{shard}", shard)) == Applied(overflowed=(0,))
    assert (await samples(store, "jobs_total"))['jobs_total{queue="__overflow__"}'] == 2


async def test_each_shard_shows_its_own_label_sets() -> None:
    """If shards have different label sets, a page shows those of each, up to the cap, and one overflow series."""
    store = MemoryStore(settings(max_series=3, shards=2))
    for shard in range(2):
        series = [(f'queue="{shard} {number}"', "1 1") for number in range(5)]
        send(store, batch(1, delta(*series)), Writer(f"w{shard}", shard))
    page = await samples(store, "jobs_total")
    assert len(page) == 2 * 3 + 1
    assert sum(page.values()) == 10

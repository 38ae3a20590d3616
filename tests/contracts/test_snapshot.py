"""What a scrape learns of the store itself: its clock, its memory, and what it keeps to itself."""

from __future__ import annotations

from typing import Any

import pytest
import redis

from lib.kairo_metrics.store.snapshot_replies import read_snapshot
from tests.support.instance import Start, page, samples

ASKED_S, ANSWERED_S = 1_764_000_000.0, 1_764_000_000.5
MEMORY = b"# Memory\r\nused_memory:1048576\r\nused_memory_rss:2097152\r\nmaxmemory:4194304\r\n"


def measures(clock_s: float = ASKED_S, memory: Any = MEMORY) -> dict[str, float]:
    """Give what is measured of a server with such a clock that answers `INFO memory` so."""
    seconds, rest = divmod(clock_s, 1)
    clock = [b"%d" % int(seconds), b"%d" % round(rest * 1_000_000)]
    return dict(read_snapshot([clock, b"", memory], (ASKED_S, ANSWERED_S), 10_000).measures)


@pytest.mark.parametrize(
    ("clock_s", "skew_s"),
    [
        (ASKED_S, 0.0),
        (ASKED_S + 0.25, 0.0),
        (ANSWERED_S, 0.0),
        (ANSWERED_S + 7, 7.0),
        (ASKED_S - 60, -60.0),
    ],
)
def test_the_skew_is_what_the_round_trip_does_not_explain(clock_s: float, skew_s: float) -> None:
    """A slow reply is no skew; a clock outside of the time that the reply took is one."""
    assert measures(clock_s)["clock_skew_s"] == pytest.approx(skew_s)


def test_the_memory_is_read() -> None:
    """The bytes in use and the limit are those that `maxmemory` is about."""
    assert measures() == {
        "memory_bytes": 1_048_576,
        "max_memory_bytes": 4_194_304,
        "clock_skew_s": 0,
        "max_series": 10_000,
    }


@pytest.mark.parametrize("memory", [b"", b"used_memory:many\r\n", None])
def test_a_server_that_does_not_tell_its_memory_leaves_it_out(memory: Any) -> None:
    """A hosted server that refuses INFO costs the page two gauges and nothing else."""
    assert measures(memory=memory) == {"clock_skew_s": 0, "max_series": 10_000}


async def test_the_page_follows_the_server(start: Start, redis_url: str, redis_client: redis.Redis) -> None:
    """Against a real Redis the limit is the one that is set, and the memory in use is below it."""
    instance = start(redis_url, max_series=123)
    instance.add('queue="a"')
    await instance.flusher.aflush()
    assert await samples(instance.store, "kairo_store_max_memory_bytes") == {"kairo_store_max_memory_bytes": 0}
    redis_client.config_set("maxmemory", "64mb")
    try:
        found = await samples(instance.store, "kairo_store_")
        assert found["kairo_store_max_memory_bytes"] == 64 * 1024 * 1024
        assert 0 < found["kairo_store_memory_bytes"] < 64 * 1024 * 1024
        assert await samples(instance.store, "kairo_max_series") == {"kairo_max_series": 123}
        assert await samples(instance.store, "kairo_clock_skew_seconds") == {"kairo_clock_skew_seconds": 0}
    finally:
        redis_client.config_set("maxmemory", "0")


async def test_a_user_that_may_not_ask_gets_the_rest(start: Start, redis_url: str, redis_client: redis.Redis) -> None:
    """Where INFO is forbidden, as some hosts do, the page has everything but the memory."""
    redis_client.acl_setuser("frugal", enabled=True, passwords=["+p"], keys=["*"], commands=["+@all", "-info"])
    try:
        instance = start(redis_url.replace("redis://", "redis://frugal:p@"))
        instance.add('queue="a"')
        await instance.flusher.aflush()
        found = await page(instance.store)
    finally:
        redis_client.acl_deluser("frugal")
    assert 'jobs_total{queue="a"} 1' in found
    assert 'kairo_store_info{eviction_policy="unknown",version="unknown"} 1' in found
    assert "kairo_store_memory_bytes" not in found

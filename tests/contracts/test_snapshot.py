"""What a scrape reports about the server: its clock and its memory, as far as the server gives them."""

from __future__ import annotations

from typing import Any

import pytest
import redis

from lib.kairo_metrics.store.snapshot_replies import read_snapshot
from tests.support.instance import Start, page, samples

SENT_S, RECEIVED_S = 1_764_000_000.0, 1_764_000_000.5
MEMORY = b"# Memory\r\nused_memory:1048576\r\nused_memory_rss:2097152\r\nmaxmemory:4194304\r\n"


def measures(clock_s: float = SENT_S, memory: Any = MEMORY) -> dict[str, float]:
    """Return the measures of a server with this clock and this reply to `INFO memory`."""
    seconds, rest = divmod(clock_s, 1)
    clock = [b"%d" % int(seconds), b"%d" % round(rest * 1_000_000)]
    return dict(read_snapshot([clock, b"", memory], (SENT_S, RECEIVED_S), 10_000).measures)


@pytest.mark.parametrize(
    ("clock_s", "skew_s"),
    [
        (SENT_S, 0.0),
        (SENT_S + 0.25, 0.0),
        (RECEIVED_S, 0.0),
        (RECEIVED_S + 7, 7.0),
        (SENT_S - 60, -60.0),
    ],
)
def test_a_slow_reply_is_no_clock_skew(clock_s: float, skew_s: float) -> None:
    """A server's clock is reported as skewed only if its time is not between those of the command and the reply."""
    assert measures(clock_s)["clock_skew_s"] == pytest.approx(skew_s)


def test_the_memory_is_read() -> None:
    """The bytes in use and the limit are the ones that `maxmemory` compares."""
    assert measures() == {
        "memory_bytes": 1_048_576,
        "max_memory_bytes": 4_194_304,
        "clock_skew_s": 0,
        "max_series": 10_000,
    }


@pytest.mark.parametrize("memory", [b"", b"used_memory:many\r\n", None])
def test_unknown_memory_is_left_out(memory: Any) -> None:
    """If a hosted server refuses INFO, the page lacks two gauges and nothing else."""
    assert measures(memory=memory) == {"clock_skew_s": 0, "max_series": 10_000}


async def test_the_page_follows_the_server(start: Start, redis_url: str, redis_client: redis.Redis) -> None:
    """With a real Redis the limit is the one that is set, and the memory in use is below it."""
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


async def test_without_the_right_to_info_the_rest_is_there(
    start: Start, redis_url: str, redis_client: redis.Redis
) -> None:
    """On a host that forbids INFO, the page has everything but the memory."""
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

"""After METRICS_SHARDS is changed, everything that was counted before stays on the page."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from lib.kairo_metrics.store.keys import Keys
from tests.support.command_run import Command
from tests.support.instance import Start, jobs_total, settings, writing_to

SHARDS = 6
MARK = Keys("development", 0).shards


async def fill(redis_url: str) -> None:
    """Count one in each shard."""
    for shard in range(SHARDS):
        instance = writing_to(shard, SHARDS, redis_url)
        instance.add('queue="a"')
        await instance.flusher.aflush()
        await instance.close()


@pytest.mark.parametrize("shards", [1, 2, SHARDS, 9])
async def test_no_counter_goes_down_when_there_are_fewer(redis_url: str, start: Start, shards: int) -> None:
    """A page stores the number of shards, and a later page with fewer shards still reads all of them."""
    await fill(redis_url)
    assert await jobs_total(start(redis_url, shards=SHARDS)) == SHARDS
    later = start(redis_url, shards=shards)
    assert await jobs_total(later) == SHARDS
    later.add('queue="a"')
    await later.flusher.aflush()
    assert await jobs_total(start(redis_url, shards=1)) == SHARDS + 1


async def test_the_number_is_written_rarely(redis_url: str, start: Start, redis_client: Any) -> None:
    """Not every page writes it, and a deployment with one shard never does."""
    for _ in range(3):
        await jobs_total(start(redis_url))
    assert redis_client.keys("*") == []
    for _ in range(3):
        await jobs_total(start(redis_url, shards=SHARDS))
    assert redis_client.info("commandstats")["cmdstat_set"]["calls"] == 1
    assert 0 < redis_client.pttl(MARK) <= settings().series_ttl_s * 1125


@pytest.mark.parametrize("damage", [b"many", b"9999 1", b"", None])
async def test_a_damaged_number_is_ignored(
    redis_url: str, start: Start, redis_client: Any, damage: bytes | None
) -> None:
    """A page is served even if the key holds something that is no number."""
    await fill(redis_url)
    if damage is None:
        redis_client.lpush(MARK, "foreign")
    else:
        redis_client.set(MARK, damage)
    assert await jobs_total(start(redis_url, shards=SHARDS)) == SHARDS


async def test_a_page_that_may_not_write_is_correct(redis_url: str, start: Start, redis_client: Any) -> None:
    """Without the rights to GET and SET, a page reads as many shards as METRICS_SHARDS says."""
    await fill(redis_url)
    redis_client.execute_command("ACL", "SETUSER", "kairo", "on", ">hush", "~*", "+@all", "-get", "-set")
    instance = start(redis_url.replace("//", "//kairo:hush@"), shards=SHARDS)
    assert await jobs_total(instance) == SHARDS
    redis_client.acl_deluser("kairo")


async def test_a_wipe_deletes_the_number(redis_url: str, start: Start, redis_client: Any, command: Command) -> None:
    """A wipe deletes the series of all shards, and the number of shards."""
    await fill(redis_url)
    await jobs_total(start(redis_url, shards=SHARDS))
    assert redis_client.exists(MARK)
    assert (await asyncio.to_thread(command, "wipe", "--yes")).code == 0
    assert not redis_client.exists(MARK)
    assert redis_client.keys("*:series:*") == []

"""A server that has just come up may have gone back in time, and nobody may have noticed: who reads it is careful."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from lib.kairo_metrics.errors import StoreError
from lib.kairo_metrics.model.batch import State
from lib.kairo_metrics.model.server_run import ServerRun
from lib.kairo_metrics.model.snapshot import Snapshot
from lib.kairo_metrics.scrape.rollback import high_water
from tests.support.instance import Start, memory_instance
from tests.support.redis_process import RedisProcess
from tests.support.rollback import A, Page, Site, add, let_time_go_by

BORN = State("blue-1764000000000", 7)


@pytest.fixture
def redis_process(tmp_path: Path) -> Iterator[RedisProcess]:
    """Give a Redis that can be killed."""
    process = RedisProcess(tmp_path)
    yield process
    process.close()


@pytest.fixture
def site(start: Start, redis_process: RedisProcess) -> Site:
    return Site(start, redis_process.url, redis_process.client)


async def another_second() -> None:
    """Wait for one in which no state began: a server tells since when it is up to the second."""
    await asyncio.sleep(1.05 - time.time() % 1)


@asynccontextmanager
async def first_wait_of(page: Page, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[asyncio.Task[dict[str, float]]]:
    """Give a scrape that waits for the instances; it goes on when the block is over, however long that takes."""
    sleep, waits, go_on = asyncio.sleep, asyncio.Event(), asyncio.Event()

    async def held(seconds: float) -> None:
        waits.set()
        await go_on.wait()
        await sleep(seconds)

    monkeypatch.setattr(asyncio, "sleep", held)
    scrape = asyncio.create_task(page())
    await waits.wait()
    monkeypatch.setattr(asyncio, "sleep", sleep)
    yield scrape
    go_on.set()


async def test_a_new_page_of_a_store_that_has_just_come_up_waits_for_the_instances(
    site: Site, redis_process: RedisProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What Redis lost is on the first page of a function, though nobody had noticed when it was asked for."""
    monkeypatch.setattr(high_water, "_NOTICED_MS", 2_000)
    one = site.writer()
    await add(one, 3)
    redis_process.save()
    await add(one, 4)
    await another_second()
    redis_process.kill_and_start()
    async with first_wait_of(site.page(), monkeypatch) as page:
        await add(one)
    assert (await page)[A] == 8.0


async def test_a_new_page_waits_also_for_those_of_whom_the_first_one_does_not_know(
    site: Site, redis_process: RedisProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An instance that has sent again all that it heard of is not the last one: others may have sent more since."""
    monkeypatch.setattr(high_water, "_NOTICED_MS", 2_000)
    one, other = site.writer(), site.writer()
    await add(one, 3)
    redis_process.save()
    await add(one, 2)
    await add(other, 4)
    await another_second()
    redis_process.kill_and_start()
    await add(one)
    async with first_wait_of(site.page(), monkeypatch) as page:
        await add(other)
    assert (await page)[A] == 11.0


async def test_a_server_that_comes_up_once_more_is_waited_for_once_more() -> None:
    """While Redis is killed again and again, a new function shows what it has only when it has been up for a while."""
    one = memory_instance()
    await add(one, 3)
    snapshot, ages_ms = one.store.snapshot, [4_900, 4_950, 60_000]

    async def another_run() -> Snapshot:
        age_ms = ages_ms.pop(0)
        return replace(await snapshot(), runs=(ServerRun(str(age_ms), age_ms, has_loaded=True),))

    one.store.snapshot = another_run  # type: ignore[method-assign]
    assert (await Page(one)())[A] == 3.0
    assert ages_ms == []


async def test_a_server_that_has_been_up_for_long_is_read_once() -> None:
    """That it was started anew some day costs no new function a second reading."""
    one = memory_instance()
    await add(one, 3)
    snapshot, ages_ms = one.store.snapshot, [3_600_000]

    async def long_run() -> Snapshot:
        return replace(await snapshot(), runs=(ServerRun("a", ages_ms.pop(), has_loaded=True),))

    one.store.snapshot = long_run  # type: ignore[method-assign]
    assert (await Page(one)())[A] == 3.0


async def test_a_new_page_that_may_not_wait_says_why(
    site: Site, redis_process: RedisProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A scraper in a hurry is told what is the matter; a function that has shown a page before waits for nobody."""
    monkeypatch.setattr(high_water, "_NOTICED_MS", 60_000)
    page = site.page()
    await add(site.writer(), 3)
    await page()
    await another_second()
    redis_process.restart()
    with pytest.raises(StoreError, match="it has just come up, and may lack what instances are about to send again"):
        await site.page()()
    assert (await page())[A] == 3.0


async def test_a_state_that_began_in_a_new_server_is_shown_at_once(
    site: Site, redis_process: RedisProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that came up empty has lost nothing: nobody waits for the first page."""
    monkeypatch.setattr(high_water, "_NOTICED_MS", 60_000)
    redis_process.kill_and_start()
    await add(site.writer(), 3)
    assert (await site.page()())[A] == 3.0


async def test_new_instances_that_count_past_what_was_lost_hide_no_dip(
    site: Site, redis_process: RedisProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where only new instances write to a store that went back, the page goes on from where it was, and is kept."""
    monkeypatch.setattr(high_water, "_NOTICED_MS", 0)
    gone, page = site.writer(), site.page()
    await add(gone, 3)
    redis_process.save()
    await add(gone, 4)
    await page()
    redis_process.kill_and_start()
    new = site.writer()
    for _ in range(9):
        new.add('queue="b"')
        await new.flusher.aflush()
    assert (await page())[A] == 7.0
    let_time_go_by(monkeypatch)
    assert (await page())[A] == 7.0
    for shown in (await page(), await site.page()()):
        assert (shown[A], shown['jobs_total{queue="b"}']) == (7.0, 9.0)
        assert shown['kairo_samples_restored_total{family="jobs"}'] == 4.0

"""A server that has just started may have loaded an older state, so a new function waits before it serves a page."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from lib.kairo_metrics.errors import StoreError
from lib.kairo_metrics.model.batch import State
from lib.kairo_metrics.model.server_run import ServerRun
from lib.kairo_metrics.model.snapshot import Snapshot
from lib.kairo_metrics.scrape.rollback import high_water
from tests.support.instance import Start, memory_instance
from tests.support.redis_process import RedisProcess
from tests.support.rollback import A, Page, Site, add, end_recovery

BORN = State("blue-1764000000000", 7)


@pytest.fixture
def site(start: Start, redis_process: RedisProcess) -> Site:
    return Site(start, redis_process.url, redis_process.client)


async def another_second() -> None:
    """Wait for the next second, since a server reports its start time in whole seconds."""
    await asyncio.sleep(1.05 - time.time() % 1)


@asynccontextmanager
async def first_wait_of(page: Page, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[asyncio.Task[dict[str, float]]]:
    """Give a scrape that waits for the instances, and let it go on when the block ends."""
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


async def test_a_new_function_waits_after_the_server_has_started(
    site: Site, redis_process: RedisProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first page of a function includes what Redis lost, even if no instance had noticed the loss before."""
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


async def test_a_new_function_waits_for_all_instances(
    site: Site, redis_process: RedisProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A new function waits for further instances after the first one has sent everything again."""
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


async def test_a_second_start_of_the_server_starts_the_wait_again() -> None:
    """If Redis is killed repeatedly, a new function serves a page only when the server has been up for a while."""
    one = memory_instance()
    await add(one, 3)
    snapshot, ages_ms = one.store.snapshot, [4_900, 4_950, 60_000]

    async def another_run() -> Snapshot:
        age_ms = ages_ms.pop(0)
        return replace(await snapshot(), runs=(ServerRun(str(age_ms), age_ms, has_loaded=True),))

    one.store.snapshot = another_run  # type: ignore[method-assign]
    assert (await Page(one)())[A] == 3.0
    assert ages_ms == []


async def test_a_server_with_a_long_uptime_is_read_once() -> None:
    """A new function reads a server that started long ago only once."""
    one = memory_instance()
    await add(one, 3)
    snapshot, ages_ms = one.store.snapshot, [3_600_000]

    async def long_run() -> Snapshot:
        return replace(await snapshot(), runs=(ServerRun("a", ages_ms.pop(), has_loaded=True),))

    one.store.snapshot = long_run  # type: ignore[method-assign]
    assert (await Page(one)())[A] == 3.0


async def test_a_page_without_time_to_wait_gives_the_reason(
    site: Site, redis_process: RedisProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A new function that can't wait answers with the reason; one that has served a page before does not wait."""
    monkeypatch.setattr(high_water, "_NOTICED_MS", 60_000)
    page = site.page()
    await add(site.writer(), 3)
    await page()
    await another_second()
    redis_process.restart()
    with pytest.raises(StoreError, match="it has just come up, and may lack what instances are about to send again"):
        await site.page()()
    assert (await page())[A] == 3.0


async def test_a_server_that_started_empty_is_shown_at_once(
    site: Site, redis_process: RedisProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that started empty has lost nothing, so the first page is served at once."""
    monkeypatch.setattr(high_water, "_NOTICED_MS", 60_000)
    redis_process.kill_and_start()
    await add(site.writer(), 3)
    assert (await site.page()())[A] == 3.0


async def test_new_instances_do_not_hide_a_loss(
    site: Site, redis_process: RedisProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If only new instances write to a store that went back, what was lost is still written back from the page."""
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
    end_recovery(monkeypatch)
    assert (await page())[A] == 7.0
    for shown in (await page(), await site.page()()):
        assert (shown[A], shown['jobs_total{queue="b"}']) == (7.0, 9.0)
        assert shown['kairo_samples_restored_total{family="jobs"}'] == 4.0

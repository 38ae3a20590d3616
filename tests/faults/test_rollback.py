"""A store that is reset to an older state: no page shows a lower counter, and what instances keep is sent again."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from lib.kairo_metrics.errors import StoreError
from lib.kairo_metrics.instruments.pending_series import PendingSeries
from lib.kairo_metrics.model.batch import State
from lib.kairo_metrics.scrape.rollback.restoration import restore
from lib.kairo_metrics.store.command_flow import arun_flow
from tests.support.instance import JOBS, Start
from tests.support.rollback import A, Site, add, end_recovery


@pytest.fixture
def site(start: Start, redis_url: str, redis_client: Any) -> Site:
    return Site(start, redis_url, redis_client)


async def test_a_page_that_was_served_before_shows_no_dip_while_instances_send_again(site: Site) -> None:
    """While instances send again, every counter on a warm function's page is at least as high as before."""
    one, other, page = site.writer(), site.writer(), site.page()
    await add(one, 3)
    disk = site.disk()
    await add(one, 2)
    await add(other, 4)
    before = await page()
    disk.load()
    for writer in (None, one, other):
        if writer:
            await add(writer)
        shown = await page()
        growing = [
            name for name in before if name.startswith(("jobs", "wait", "size", "kairo_batches", "kairo_samples"))
        ]
        assert {name: shown[name] for name in growing if shown[name] < before[name]} == {}
    assert shown[A] == 11.0
    assert shown['wait_seconds_bucket{queue="a",le="1.0"}'] == shown['size_count{queue="a"}'] == 11.0
    assert shown['shares{queue="a"}'] == 11.0
    assert (await site.page()())[A] == 11.0


@pytest.mark.parametrize("is_warm", [True, False])
async def test_what_is_sent_again_is_not_taken_for_new(site: Site, is_warm: bool) -> None:
    """A series that was lost and sent again is new to the store, but is not put back to zero; a really new one is."""
    one = site.writer()
    await add(one)
    site.client.hdel(site.client.keys("*:series:jobs:*")[0], 'queue="a"')
    disk = site.disk()
    await add(one, 5)
    page = site.page()
    assert (await page())[A] == 5.0
    disk.load()
    page = page if is_warm else site.page()
    page.zero_s = 3600
    await add(one)
    assert (await page())[A] == 6.0
    assert (await page())['shares{queue="a"}'] == 7.0
    [index] = site.client.keys("*:families")
    recovered = site.client.hget(index, "recovery").split()
    site.client.hset(index, "recovery", b" ".join([b"%d" % (int(recovered[0]) - 61_000), *recovered[1:]]))
    one.add('queue="b"')
    await one.flusher.aflush()
    assert (await site.page()())['jobs_total{queue="b"}'] == 1.0
    assert (await page())['jobs_total{queue="b"}'] == 0.0


async def test_a_new_function_serves_no_page_until_everything_is_sent_again(site: Site) -> None:
    """A function that has served no page before answers 503 until all lost batches are sent again."""
    one, other = site.writer(), site.writer()
    await add(one, 3)
    disk = site.disk()
    await add(other, 4)
    await add(one, 2)
    disk.load()
    await add(one)
    with pytest.raises(StoreError, match="went back in time, and what it lost is being sent again"):
        await site.page()()
    await add(other)
    assert (await site.page()())[A] == 11.0


async def test_a_single_instance_ends_the_wait_with_its_next_flush(site: Site) -> None:
    """A single instance sends everything again with its next flush, and then the page is served at once."""
    one = site.writer()
    await add(one, 3)
    disk = site.disk()
    await add(one, 70)  # more than it keeps
    disk.load()
    await add(one)
    await one.flusher.aflush()  # counts what is lost
    shown = await site.page()()
    assert shown[A] + shown['kairo_samples_lost_total{family="jobs"}'] == 74.0


async def test_what_an_ended_instance_wrote_is_written_back_from_the_page(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If no instance can send it again, the function writes the difference to its last page back to the store."""
    one, other, page = site.writer(), site.writer(), site.page()
    await add(one, 3)
    disk = site.disk()
    await add(other, 4)
    await page()
    disk.load()
    await add(one)
    assert (await page())[A] == 7.0
    end_recovery(monkeypatch)
    assert (await page())[A] == 7.0
    await add(one)
    for shown in (await page(), await site.page()()):
        assert shown[A] == 8.0
        assert shown['wait_seconds_count{queue="a"}'] == shown['size_count{queue="a"}'] == 8.0
        assert shown['shares{queue="a"}'] == 5.0  # a gauge may go down
        assert shown['kairo_samples_restored_total{family="jobs"}'] == 3.0
        assert shown['kairo_samples_restored_total{family="wait_seconds"}'] == 3.0


async def test_missing_batches_are_on_the_page(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the instance that wrote them has ended, a new function's page shows the number of missing batches."""
    one, other, page = site.writer(), site.writer(), site.page()
    await add(one, 3)
    disk = site.disk()
    await add(other, 4)
    await add(one, 2)
    await page()
    disk.load()
    await add(one)
    end_recovery(monkeypatch)
    assert (await site.page()())["kairo_missing_batches"] == 4.0
    await page()
    assert (await site.page()())["kairo_missing_batches"] == 0.0


async def test_each_shard_recovers_separately(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """With several shards, only the one that lost something is written to."""
    site.shards = 3
    writers, page = [site.writer() for _ in range(6)], site.page()
    for writer in writers:
        await add(writer, 2)
    disk = site.disk()
    await add(writers[0], 3)
    await page()
    disk.load()
    assert (await page())[A] == 15.0
    end_recovery(monkeypatch)
    await page()
    shown = await site.page()()
    assert (shown[A], shown['kairo_samples_restored_total{family="jobs"}']) == (15.0, 3.0)


async def test_a_store_that_did_not_go_back_is_not_written_to(site: Site) -> None:
    """If a page was read from a lagging replica, its difference is not added to the master."""
    one = site.writer()
    await add(one, 3)
    state = one.flusher._outbox._state
    async with one.store.client() as link:
        await arun_flow(restore(one.store, 0, state, None, {JOBS: {b'queue="a"': b"2"}}), link)
        await arun_flow(restore(one.store, 0, State("another", 9), None, {JOBS: {b'queue="a"': b"2"}}), link)
    assert (await site.page()())[A] == 3.0


async def test_a_slow_scrape_is_no_incident(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    """If a slow scrape shows less than a faster one, it is not mistaken for a store that went back."""
    one, page = site.writer(), site.page()
    await add(one, 3)
    slow, go_on = await page.read_slowly()
    await add(one, 2)
    assert (await page())[A] == 5.0
    go_on.set()
    assert (await slow)[A] == 3.0
    assert (await page())[A] == 5.0
    assert "went back" not in caplog.text


async def test_two_functions_write_back_once(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """If two functions know what is missing, for scrapes and for pushes, it is written back once."""
    one, pages = site.writer(), [site.page(), site.page()]
    await add(one, 3)
    disk = site.disk()
    await add(one, 4)
    for page in pages:
        await page()
    disk.load()
    end_recovery(monkeypatch)
    assert [shown[A] for shown in await asyncio.gather(*(page() for page in pages))] == [7.0, 7.0]
    assert (await site.page()())[A] == 7.0


async def test_a_scrape_of_some_families_does_not_prevent_writing_back(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A scrape with name[] shows its families, and the next full scrape writes the others back."""
    end_recovery(monkeypatch)
    one, page = site.writer(), site.page()
    await add(one, 3)
    disk = site.disk()
    await add(one, 2)
    await page()
    disk.load()
    assert await page("jobs_total") == {A: 5.0}
    assert (await page())['wait_seconds_count{queue="a"}'] == 5.0
    assert (await site.page()())[A] == 5.0


async def test_an_emptied_store_stays_empty(site: Site) -> None:
    """After an operator flushed the store, nothing is written back from a page, and counters start from zero."""
    one, page = site.writer(), site.page()
    await add(one, 3)
    await page()
    site.client.flushall()
    await add(site.writer())
    assert (await page())[A] == 1.0


async def test_a_removed_series_stays_removed(site: Site) -> None:
    """Removing a series is not mistaken for a store that went back."""
    one, page = site.writer(), site.page()
    await add(one, 3)
    await page()
    one.recorder.remove(PendingSeries(JOBS, 'queue="a"'))
    await add(one)
    assert (await page())[A] == 1.0


async def test_a_damaged_account_costs_no_page(site: Site) -> None:
    """The page is served even if the account of a recovery is damaged."""
    one = site.writer()
    await add(one, 3)
    [index] = site.client.keys("*:families")
    for damage in (b"", b"x", b"1 2 3 4 5", b"-1 a -2 b c", b"\xff\xfe 1 1 1 1", b"9" * 400):
        site.client.hset(index, "recovery", damage)
        await add(one)
        await site.page()()

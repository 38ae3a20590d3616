"""A store that goes back in time: no page shows a counter lower than it was, and what can be had is there again."""

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
from tests.support.rollback import A, Site, add, let_time_go_by


@pytest.fixture
def site(start: Start, redis_url: str, redis_client: Any) -> Site:
    return Site(start, redis_url, redis_client)


async def test_a_page_that_was_served_before_shows_no_dip_while_instances_send_again(site: Site) -> None:
    """From the first scrape after the store went back to the last replay, every counter is at least where it was."""
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


async def test_a_new_page_waits_until_what_was_lost_is_there_again(site: Site) -> None:
    """A function that never showed a page says 503 rather than a counter that is only partly there."""
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


async def test_a_store_that_lost_nothing_is_waited_for_by_nobody(site: Site) -> None:
    """An instance that is alone has sent everything again with its next flush, and the page is there at once."""
    one = site.writer()
    await add(one, 3)
    disk = site.disk()
    await add(one, 70)  # more than it keeps
    disk.load()
    await add(one)
    await one.flusher.aflush()  # tells of what is lost
    shown = await site.page()()
    assert shown[A] + shown['kairo_samples_lost_total{family="jobs"}'] == 74.0


async def test_what_an_instance_took_with_it_is_written_back_from_the_page(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When nobody can send it again, the last page that was shown makes the store whole, for every page to come."""
    one, other, page = site.writer(), site.writer(), site.page()
    await add(one, 3)
    disk = site.disk()
    await add(other, 4)
    await page()
    disk.load()
    await add(one)
    assert (await page())[A] == 7.0
    let_time_go_by(monkeypatch)
    assert (await page())[A] == 7.0
    await add(one)
    for shown in (await page(), await site.page()()):
        assert shown[A] == 8.0
        assert shown['wait_seconds_count{queue="a"}'] == shown['size_count{queue="a"}'] == 8.0
        assert shown['shares{queue="a"}'] == 5.0  # a gauge goes down when it does
        assert shown['kairo_samples_restored_total{family="jobs"}'] == 3.0
        assert shown['kairo_samples_restored_total{family="wait_seconds"}'] == 3.0


async def test_what_nobody_sends_again_is_told(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the only one who could is gone, the page of a new function says how many batches are missing."""
    one, other, page = site.writer(), site.writer(), site.page()
    await add(one, 3)
    disk = site.disk()
    await add(other, 4)
    await add(one, 2)
    await page()
    disk.load()
    await add(one)
    let_time_go_by(monkeypatch)
    assert (await site.page()())["kairo_missing_batches"] == 4.0
    await page()
    assert (await site.page()())["kairo_missing_batches"] == 0.0


async def test_each_shard_is_made_whole_by_itself(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """With several shards the one that lost something gets it back, and the others stay as they are."""
    site.shards = 3
    writers, page = [site.writer() for _ in range(6)], site.page()
    for writer in writers:
        await add(writer, 2)
    disk = site.disk()
    await add(writers[0], 3)
    await page()
    disk.load()
    assert (await page())[A] == 15.0
    let_time_go_by(monkeypatch)
    await page()
    shown = await site.page()()
    assert (shown[A], shown['kairo_samples_restored_total{family="jobs"}']) == (15.0, 3.0)


async def test_a_store_that_did_not_go_back_takes_nothing_back(site: Site) -> None:
    """A page that was read from a replica that lags lacks what the store itself has: it is not added there again."""
    one = site.writer()
    await add(one, 3)
    state = one.flusher._outbox._state
    async with one.store.client() as link:
        await arun_flow(restore(one.store, 0, state, None, {JOBS: {b'queue="a"': b"2"}}), link)
        await arun_flow(restore(one.store, 0, State("another", 9), None, {JOBS: {b'queue="a"': b"2"}}), link)
    assert (await site.page()())[A] == 3.0


async def test_a_scrape_that_was_overtaken_is_no_step_back(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    """Of two scrapers at once a slow one sees less than the other, and nobody takes that for an incident."""
    one, page = site.writer(), site.page()
    await add(one, 3)
    slow, go_on = await page.read_slowly()
    await add(one, 2)
    assert (await page())[A] == 5.0
    go_on.set()
    assert (await slow)[A] == 3.0
    assert (await page())[A] == 5.0
    assert "went back" not in caplog.text


async def test_two_pages_that_write_back_at_once_write_once(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page that is scraped and the one that is pushed come from two functions; both know what is missing."""
    one, pages = site.writer(), [site.page(), site.page()]
    await add(one, 3)
    disk = site.disk()
    await add(one, 4)
    for page in pages:
        await page()
    disk.load()
    let_time_go_by(monkeypatch)
    assert [shown[A] for shown in await asyncio.gather(*(page() for page in pages))] == [7.0, 7.0]
    assert (await site.page()())[A] == 7.0


async def test_a_page_of_some_families_knows_of_the_others_later(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A scrape with name[] shows what it asks for, and keeps nothing from being written back by the next whole one."""
    let_time_go_by(monkeypatch)
    one, page = site.writer(), site.page()
    await add(one, 3)
    disk = site.disk()
    await add(one, 2)
    await page()
    disk.load()
    assert await page("jobs_total") == {A: 5.0}
    assert (await page())['wait_seconds_count{queue="a"}'] == 5.0
    assert (await site.page()())[A] == 5.0


async def test_an_emptied_store_begins_anew(site: Site) -> None:
    """What an operator flushed does not come back from a page: its counters are new ones."""
    one, page = site.writer(), site.page()
    await add(one, 3)
    await page()
    site.client.flushall()
    await add(site.writer())
    assert (await page())[A] == 1.0


async def test_what_was_removed_on_purpose_stays_away(site: Site) -> None:
    """Removing a series is no step back in time."""
    one, page = site.writer(), site.page()
    await add(one, 3)
    await page()
    one.recorder.remove(PendingSeries(JOBS, 'queue="a"'))
    await add(one)
    assert (await page())[A] == 1.0


async def test_an_account_that_was_spoilt_costs_no_page(site: Site) -> None:
    """Whatever stands in the place of the account of a recovery, the page is served."""
    one = site.writer()
    await add(one, 3)
    [index] = site.client.keys("*:families")
    for damage in (b"", b"x", b"1 2 3 4 5", b"-1 a -2 b c", b"\xff\xfe 1 1 1 1", b"9" * 400):
        site.client.hset(index, "recovery", damage)
        await add(one)
        await site.page()()

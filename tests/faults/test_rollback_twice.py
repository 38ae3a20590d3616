"""A store that goes back in time while other things happen: it is emptied, wiped, or goes back once more."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from lib.kairo_metrics.exposition.family import Family
from lib.kairo_metrics.exposition.page import Page
from lib.kairo_metrics.model.batch import Applied, Batch, State, Writer
from lib.kairo_metrics.model.moment import Moment
from lib.kairo_metrics.scrape.collector import Scrape
from lib.kairo_metrics.scrape.rollback import high_water
from lib.kairo_metrics.scrape.rollback.high_water import HighWater, with_missing
from lib.kairo_metrics.store.command_flow import arun_flow
from lib.kairo_metrics.store.keys import Keys
from tests.support.command_run import Command
from tests.support.instance import JOBS, WAIT, Instance, Start
from tests.support.rollback import A, Disk, Site, add, let_time_go_by

RESTORED = 'kairo_samples_restored_total{family="jobs"}'


@pytest.fixture
def site(start: Start, redis_url: str, redis_client: Any) -> Site:
    return Site(start, redis_url, redis_client)


async def lose(site: Site) -> tuple[Disk, Instance]:
    """Have an instance count three jobs and one that is gone four; give a disk without these, and the first one."""
    staying, leaving = site.writer(), site.writer()
    await add(staying, 3)
    disk = site.disk()
    await add(leaving, 4)
    return disk, staying


async def test_a_page_of_some_families_alone_makes_the_store_whole(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who scrapes with name[] and never the whole page finds its counters where they were, also a minute later."""
    page = site.page()
    disk, _ = await lose(site)
    await page("jobs_total")
    disk.load()
    let_time_go_by(monkeypatch)
    assert (await page("jobs_total"))[A] == 7.0
    monkeypatch.setattr(high_water, "_REMEMBERS_MS", -1)
    assert (await page("jobs_total"))[A] == 7.0
    assert (await site.page()())[A] == 7.0


async def test_what_was_flushed_after_it_went_back_stays_away(site: Site) -> None:
    """An operator who empties a store that has just lost something sees it empty."""
    page = site.page()
    disk, _ = await lose(site)
    await page()
    disk.load()
    assert (await page())[A] == 7.0
    site.client.flushall()
    assert A not in await page()


async def test_a_store_that_comes_up_with_the_same_disk_twice_is_made_whole_twice(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A Redis that is killed again before it saved shows no dip either, also in the count of what was written back."""
    let_time_go_by(monkeypatch)
    page = site.page()
    disk, staying = await lose(site)
    await page()
    for _ in range(2):
        disk.load()
        await add(staying)
        shown = await page()
        assert (shown[A], (await site.page()())[A]) == (7.0, 7.0)
        assert (await page())[RESTORED] == (await site.page()())[RESTORED] == 3.0


def test_what_is_lost_once_more_is_waited_for_once_more() -> None:
    """Redis in a crash loop: ten seconds after the last crash, and not the first, nobody sends again any more."""
    water = HighWater()
    water.remember(held(12, 20, at_ms=0))
    for jobs, batches, at_ms, is_lost in (
        (3, 5, 1_000, False),
        (8, 11, 2_000, False),
        (3, 5, 10_900, False),
        (3, 5, 11_100, False),
        (8, 11, 20_950, True),
    ):
        scrape = held(jobs, batches, at_ms)
        shown = with_missing(scrape, water.missing(scrape))
        assert [family.series for family in shown.page.families] == [{b'queue="a"': b"12"}]
        assert water.state_to_restore(scrape) == ((0, State("blue", 20)) if is_lost else None)
        water.remember(shown)


def held(jobs: int, batches: int, at_ms: int) -> Scrape:
    """Give what a scrape finds in a store with so many jobs, from so many batches."""
    return Scrape(Page((Family(JOBS, {b'queue="a"': b"%d" % jobs}),), at_ms), (State("blue", batches),), (None,))


async def test_two_pages_of_which_one_knows_more_write_back_nothing_twice(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two Prometheus that scrape in the same moment, from two functions: what both miss is added once."""
    one, other = site.page(), site.page()
    disk, _ = await lose(site)
    await one()
    await add(site.writer())
    await other()
    disk.load()
    let_time_go_by(monkeypatch)
    (slow, go_on), (slower, go_on_later) = await one.read_slowly(), await other.read_slowly()
    go_on.set()
    assert (await slow)[A] == 7.0
    go_on_later.set()
    assert (await slower)[A] == 8.0
    assert (await other())[A] == 8.0
    assert (await site.page()())[A] == 8.0


async def test_a_clock_that_is_behind_makes_no_instance_an_incident(site: Site) -> None:
    """A host that takes over with an hour less on its clock gives the state one new name, and not one an instance."""
    ahead = f"blue-{int(time.time() * 1000) + 3_600_000}"
    store = site.writer().store
    batch = Batch(1, (), Moment.read(), State(ahead, 5))
    async with store.client() as link:
        verdicts = [await arun_flow(store.apply(Writer(f"writer{number}", 0), batch), link) for number in range(3)]
    assert len({verdict.state.incarnation for verdict in verdicts if isinstance(verdict, Applied)}) == 1


@pytest.mark.parametrize("what", [(), ("--family", "jobs")])
async def test_what_was_wiped_after_it_went_back_stays_away(
    site: Site, monkeypatch: pytest.MonkeyPatch, command: Command, what: tuple[str, ...]
) -> None:
    """An operator who wipes a store that has just lost something finds it wiped, also by a page that knew more."""
    page = site.page()
    disk, staying = await lose(site)
    await page()
    disk.load()
    await add(staying)
    assert (await page())[A] == 7.0
    assert (await asyncio.to_thread(command, "wipe", "--yes", *what)).code == 0
    let_time_go_by(monkeypatch)
    assert A not in await page()
    await add(staying)
    for shown in (await page(), await site.page()()):
        assert shown[A] == 1.0


async def test_a_foreign_key_keeps_no_other_family_from_being_made_whole(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever another program has put in the place of one family, what the others lost is written back."""
    page = site.page()
    disk, _ = await lose(site)
    await page()
    disk.load()
    key = Keys("development", 0).series(WAIT)
    site.client.delete(key)
    site.client.set(key, "foreign")
    let_time_go_by(monkeypatch)
    await page()
    assert (await site.page()())[A] == 7.0


async def test_a_scrape_that_was_overtaken_shows_no_dip_either(site: Site) -> None:
    """Of two Prometheus that scrape one function at once, the one that gets its page later finds its counters, too."""
    page = site.page()
    disk, _ = await lose(site)
    await page()
    disk.load()
    slow, go_on = await page.read_slowly()
    assert (await page())[A] == 7.0
    go_on.set()
    assert (await slow)[A] == 7.0


async def test_a_new_page_that_was_overtaken_by_the_last_replay_shows_no_dip(site: Site) -> None:
    """Of two first scrapes of a function, the one that read before all was sent again shows as much as the other."""
    one, other, page = site.writer(), site.writer(), site.page()
    await add(one, 3)
    disk = site.disk()
    await add(other, 4)
    await add(one)
    disk.load()
    await add(one)
    slow, go_on = await page.read_slowly()
    await add(other)
    assert (await page())[A] == 10.0
    go_on.set()
    assert (await slow)[A] == 10.0

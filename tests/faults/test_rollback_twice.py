"""A store that goes back while other things happen: it is emptied, wiped, or goes back once more."""

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
from tests.support.rollback import A, Disk, Site, add, end_recovery

RESTORED = 'kairo_samples_restored_total{family="jobs"}'


@pytest.fixture
def site(start: Start, redis_url: str, redis_client: Any) -> Site:
    return Site(start, redis_url, redis_client)


async def lose(site: Site) -> tuple[Disk, Instance]:
    """Count 3 jobs in one instance and 4 in one that ends; give a snapshot without the 4, and the first instance."""
    staying, leaving = site.writer(), site.writer()
    await add(staying, 3)
    disk = site.disk()
    await add(leaving, 4)
    return disk, staying


async def test_a_scrape_of_some_families_writes_them_back(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A scraper that always uses name[] sees its counters as before, also a minute later."""
    page = site.page()
    disk, _ = await lose(site)
    await page("jobs_total")
    disk.load()
    end_recovery(monkeypatch)
    assert (await page("jobs_total"))[A] == 7.0
    monkeypatch.setattr(high_water, "REMEMBERS_MS", -1)
    assert (await page("jobs_total"))[A] == 7.0
    assert (await site.page()())[A] == 7.0


async def test_a_store_emptied_after_it_went_back_stays_empty(site: Site) -> None:
    """If an operator empties a store that has just gone back, the page is empty."""
    page = site.page()
    disk, _ = await lose(site)
    await page()
    disk.load()
    assert (await page())[A] == 7.0
    site.client.flushall()
    assert A not in await page()


async def test_a_store_that_goes_back_twice_is_written_to_twice(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """If Redis is killed twice before a snapshot, no counter goes down, nor does the count of what was restored."""
    end_recovery(monkeypatch)
    page = site.page()
    disk, staying = await lose(site)
    await page()
    for _ in range(2):
        disk.load()
        await add(staying)
        shown = await page()
        assert (shown[A], (await site.page()())[A]) == (7.0, 7.0)
        assert (await page())[RESTORED] == (await site.page()())[RESTORED] == 3.0


def test_a_second_crash_starts_the_wait_again() -> None:
    """In a crash loop, pages wait for instances until ten seconds after the last crash, and not the first."""
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
    """Return a scrape of a store with this number of jobs, from this number of batches."""
    return Scrape(Page((Family(JOBS, {b'queue="a"': b"%d" % jobs}),), at_ms), (State("blue", batches),), (None,))


async def test_two_functions_with_different_pages_write_back_once(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """If two Prometheus servers scrape two functions at the same time, what both pages lack is added once."""
    one, other = site.page(), site.page()
    disk, _ = await lose(site)
    await one()
    await add(site.writer())
    await other()
    disk.load()
    end_recovery(monkeypatch)
    (slow, go_on), (slower, go_on_later) = await one.read_slowly(), await other.read_slowly()
    go_on.set()
    assert (await slow)[A] == 7.0
    go_on_later.set()
    assert (await slower)[A] == 8.0
    assert (await other())[A] == 8.0
    assert (await site.page()())[A] == 8.0


async def test_a_server_with_a_late_clock_renames_the_state_once(site: Site) -> None:
    """A host that takes over with its clock an hour behind gives the state one new name, and not one per instance."""
    ahead = f"blue-{int(time.time() * 1000) + 3_600_000}"
    store = site.writer().store
    batch = Batch(1, (), Moment.read(), State(ahead, 5))
    async with store.client() as link:
        verdicts = [await arun_flow(store.apply(Writer(f"writer{number}", 0), batch), link) for number in range(3)]
    assert len({verdict.state.incarnation for verdict in verdicts if isinstance(verdict, Applied)}) == 1


@pytest.mark.parametrize("what", [(), ("--family", "jobs")])
async def test_what_was_wiped_after_the_store_went_back_stays_wiped(
    site: Site, monkeypatch: pytest.MonkeyPatch, command: Command, what: tuple[str, ...]
) -> None:
    """If an operator wipes a store that has just gone back, even a page that knew more writes nothing back."""
    page = site.page()
    disk, staying = await lose(site)
    await page()
    disk.load()
    await add(staying)
    assert (await page())[A] == 7.0
    assert (await asyncio.to_thread(command, "wipe", "--yes", *what)).code == 0
    end_recovery(monkeypatch)
    assert A not in await page()
    await add(staying)
    for shown in (await page(), await site.page()()):
        assert shown[A] == 1.0


async def test_a_foreign_key_does_not_prevent_writing_back_other_families(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If another program has replaced the key of one family, what the other families lost is written back."""
    page = site.page()
    disk, _ = await lose(site)
    await page()
    disk.load()
    key = Keys("development", 0).series(WAIT)
    site.client.delete(key)
    site.client.set(key, "foreign")
    end_recovery(monkeypatch)
    await page()
    assert (await site.page()())[A] == 7.0


async def test_a_slow_scrape_shows_no_lower_counter(site: Site) -> None:
    """If two Prometheus servers scrape one function at the same time, the slower page has the same counters."""
    page = site.page()
    disk, _ = await lose(site)
    await page()
    disk.load()
    slow, go_on = await page.read_slowly()
    assert (await page())[A] == 7.0
    go_on.set()
    assert (await slow)[A] == 7.0


async def test_a_slow_first_scrape_shows_no_lower_counter(site: Site) -> None:
    """Of a function's first two scrapes, one that began before everything was sent again shows as much as the other."""
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

"""A store that goes back in time while other things happen: it is emptied, wiped, or goes back once more."""

from __future__ import annotations

from typing import Any

import pytest

from lib.kairo_metrics import high_water
from tests.instance import Instance, Start
from tests.test_rollback import A, Disk, Site, add, let_time_go_by

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

"""A family at its cap, and a store that is reset to an older state: the sum is right, wherever a label set stands."""

from __future__ import annotations

from typing import Any

import pytest

from lib.kairo_metrics.scrape.rollback import high_water
from tests.support.instance import Instance, Start
from tests.support.redis_process import RedisProcess
from tests.support.rollback import Page, Site, end_recovery

OVERFLOW = 'jobs_total{queue="__overflow__"}'
CAP = 3


@pytest.fixture
def site(start: Start, redis_process: RedisProcess, monkeypatch: pytest.MonkeyPatch) -> Site:
    def start_capped(url: str, **changes: Any) -> Instance:
        return start(url, max_series=CAP, **changes)

    monkeypatch.setattr(high_water, "_NOTICED_MS", 0)
    return Site(start_capped, redis_process.url, redis_process.client)


async def add(instance: Instance, queue: str, amount: float = 1.0) -> None:
    """Count this number of jobs of a queue, in one batch."""
    instance.add(f'queue="{queue}"', amount)
    await instance.flusher.aflush()


async def jobs_of(page: Page) -> dict[str, float]:
    """Scrape; return the number of jobs by sample name."""
    return {name: value for name, value in (await page()).items() if name.startswith("jobs_total")}


async def test_what_is_sent_again_without_room_is_counted_once(
    site: Site, redis_process: RedisProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If another label set takes the room of a lost one, what is sent again as overflow is not added again, ever."""
    one, other, page = site.writer(), site.writer(), site.page()
    await add(one, "a")
    await add(one, "b")
    redis_process.save()
    await add(one, "old", 5)
    assert sum((await jobs_of(page)).values()) == 7.0
    redis_process.kill_and_start()
    await add(other, "new")  # it takes the room
    await page()  # nothing shows yet that anything was lost
    await add(one, "a")  # sends 5 of the old label set again, which go to the overflow series
    assert sum((await jobs_of(page)).values()) == 9.0
    end_recovery(monkeypatch)
    for _ in range(3):
        assert sum((await jobs_of(page)).values()) == 9.0
    assert sum((await jobs_of(site.page())).values()) == 9.0
    assert (await page())['kairo_samples_overflowed_total{family="jobs"}'] == 1.0


async def test_what_is_restored_without_room_is_counted_once(
    site: Site, redis_process: RedisProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What no instance sends again goes to the overflow series if its room is taken, once, and counts no overflow."""
    one, gone, page = site.writer(), site.writer(), site.page()
    await add(one, "a")
    await add(one, "b")
    redis_process.save()
    await add(gone, "old", 5)
    await add(gone, "a")
    await page()
    redis_process.kill_and_start()
    newest = site.writer()
    for _ in range(3):
        await add(newest, "new")
    assert (await jobs_of(page))['jobs_total{queue="old"}'] == 5.0
    end_recovery(monkeypatch)
    for _ in range(4):
        assert sum((await jobs_of(page)).values()) == 11.0
    shown = await site.page()()
    assert (shown[OVERFLOW], shown['kairo_samples_restored_total{family="jobs"}']) == (5.0, 6.0)
    assert shown['kairo_samples_overflowed_total{family="jobs"}'] == 0.0


async def test_half_of_what_was_lost_is_sent_again_without_room(
    site: Site, redis_process: RedisProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If one of two instances sends again, and finds no room, the page adds what only the other one had sent."""
    one, gone, page = site.writer(), site.writer(), site.page()
    await add(one, "a")
    redis_process.save()
    await add(one, "old", 5)
    await add(gone, "older", 7)
    assert sum((await jobs_of(page)).values()) == 13.0
    redis_process.kill_and_start()
    newest = site.writer()
    await add(newest, "new")
    await add(newest, "newer")
    await page()
    await add(one, "a")
    assert sum((await jobs_of(page)).values()) == 16.0
    end_recovery(monkeypatch)
    for shown in (await jobs_of(page), await jobs_of(page), await jobs_of(site.page())):
        assert sum(shown.values()) == 16.0


async def test_what_had_no_room_before_is_not_added_to_the_overflow_series(
    site: Site, redis_process: RedisProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If a label set without room finds room when it is sent again, the page does not add its overflow as well."""
    one, other, page = site.writer(), site.writer(), site.page()
    await add(one, "a")
    await add(one, "b")
    redis_process.save()
    await add(other, "old", 5)
    await add(one, "late", 4)  # goes to the overflow series
    assert sum((await jobs_of(page)).values()) == 11.0
    redis_process.kill_and_start()
    await add(one, "a")  # the late label set takes the room
    assert sum((await jobs_of(page)).values()) == 12.0
    await add(other, "old")  # and the old one has none now
    end_recovery(monkeypatch)
    for shown in (await jobs_of(page), await jobs_of(page), await jobs_of(site.page())):
        assert sum(shown.values()) == 13.0

"""Sums of observations, some of them negative, after a restart: they go back only if the counts lack something."""

from __future__ import annotations

import pytest

from lib.kairo_metrics.instruments.pending_series import PendingSeries
from lib.kairo_metrics.model.native_counts import NativeCounts
from lib.kairo_metrics.model.schema import Schema
from lib.kairo_metrics.scrape.rollback import high_water
from tests.support.instance import Instance, Start
from tests.support.redis_process import RedisProcess
from tests.support.rollback import Site, end_recovery

BALANCE = Schema("balance", "summary")
DRIFT = Schema("drift", "histogram", (), ("-1.0", "0.0", "1.0", "+Inf"))
OFFSET = Schema("offset", "histogram", (), ("1.0", "2.0", "+Inf"))
TILT = Schema("tilt", "native", (), ("1.0", "+Inf"))
NAMES = tuple(schema.name for schema in (BALANCE, DRIFT, OFFSET, TILT))


@pytest.fixture
def site(start: Start, redis_process: RedisProcess, monkeypatch: pytest.MonkeyPatch) -> Site:
    monkeypatch.setattr(high_water, "_NOTICED_MS", 0)
    return Site(start, redis_process.url, redis_process.client)


async def observe(instance: Instance, amount: float) -> None:
    """Observe an amount in a family of each kind, in one batch."""
    instance.add("", 1.0, schema=BALANCE, index=1)
    instance.add("", amount, schema=BALANCE, index=2)
    for schema in (DRIFT, OFFSET):
        instance.add("", amount, schema=schema, index=1)
        instance.add("", 1.0, schema=schema, index=2 + sum(amount > float(bound) for bound in schema.bounds))
    observed = NativeCounts(3, 0.001)
    observed.observe(amount)
    with instance.recorder.lock:
        instance.recorder.observe(PendingSeries(TILT, ""), observed, 160, weight=1.0)
    await instance.flusher.aflush()


def told(page: dict[str, float]) -> set[tuple[float, float]]:
    """Return the different pairs of sum and count on a page. A negative bound leaves out the sum."""
    counts = {page[f"{name}_count"] for name in NAMES}
    return {(page[f"{name}_sum"], count) for count in counts for name in NAMES if name != DRIFT.name}


async def test_a_restart_that_lost_nothing_adds_nothing(
    site: Site, redis_process: RedisProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If Redis restarts with all its data, a sum that falls with a negative observation stays as it is."""
    one, page = site.writer(), site.page()
    await observe(one, 10)
    await page()
    redis_process.restart()
    await observe(one, -4)
    assert told(await page()) == {(6.0, 2.0)}
    end_recovery(monkeypatch)
    for shown in (await page(), await page(), await site.page()()):
        assert told(shown) == {(6.0, 2.0)}
        assert not any(value for name, value in shown.items() if name.startswith("kairo_samples_restored"))


async def test_lost_negative_observations_are_restored(
    site: Site, redis_process: RedisProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If Redis loses an observation that made the sum lower, count and sum are restored as they were shown."""
    one, gone, page = site.writer(), site.writer(), site.page()
    await observe(one, 10)
    redis_process.save()
    await observe(gone, -14)
    await page()
    redis_process.kill_and_start()
    assert told(await page()) == {(-4.0, 2.0)}
    end_recovery(monkeypatch)
    for shown in (await page(), await page(), await site.page()()):
        assert told(shown) == {(-4.0, 2.0)}


async def test_a_loss_that_is_sent_again_adds_nothing(
    site: Site, redis_process: RedisProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If all lost batches are sent again, with a negative observation, the sum stays as it is."""
    one, page = site.writer(), site.page()
    await observe(one, 10)
    redis_process.save()
    await observe(one, 3)
    await page()
    redis_process.kill_and_start()
    await observe(one, -4)
    assert told(await page()) == {(9.0, 3.0)}
    end_recovery(monkeypatch)
    for shown in (await page(), await page(), await site.page()()):
        assert told(shown) == {(9.0, 3.0)}


async def test_a_sum_without_negative_observations_does_not_go_down(site: Site, redis_process: RedisProcess) -> None:
    """If new observations hide a loss in the counts, a sum is shown no lower than before."""
    one, gone, page = site.writer(), site.writer(), site.page()
    await observe(one, 10)
    redis_process.save()
    await observe(gone, 90)
    await page()
    redis_process.kill_and_start()
    await observe(one, 5)
    shown = await page()
    assert {shown[f"{name}_sum"] for name in ("balance", "offset", "tilt")} == {100.0}

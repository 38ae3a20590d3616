"""Numbers that are written back into a store that lost them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from lib.kairo_metrics.instruments.pending_series import PendingSeries
from lib.kairo_metrics.model.native_counts import NativeCounts, upper_bound
from lib.kairo_metrics.scrape.collector import Limits, collect
from tests.support.instance import Instance, Start
from tests.support.rollback import SIZE, Site, end_recovery

FINEST = 8


@pytest.fixture
def site(start: Start, redis_url: str, redis_client: Any) -> Site:
    return Site(start, redis_url, redis_client)


async def observe(instance: Instance, buckets: Iterable[int]) -> None:
    """Observe one number in each of these buckets of the finest resolution, with a limit of 400 buckets."""
    observed = NativeCounts(FINEST, 0.001)
    for index in buckets:
        observed.observe(upper_bound(index, FINEST))
    with instance.recorder.lock:
        instance.recorder.observe(PendingSeries(SIZE, 'queue="a"'), observed, 400, weight=1.0)
    await instance.flusher.aflush()


async def stored(instance: Instance) -> NativeCounts:
    """Read the histogram from the store."""
    page = (await collect(instance.store, Limits(3600))).page
    [family] = [family for family in page.families if family.schema == SIZE]
    return NativeCounts.parse(family.series[b'queue="a"'].decode().split())


@pytest.mark.parametrize("kept", [range(0), range(150), range(100, 400)])
async def test_a_native_histogram_keeps_its_resolution(
    site: Site, monkeypatch: pytest.MonkeyPatch, kept: range
) -> None:
    """A histogram of 300 buckets has the same 300 after a restoration, whatever the store still had of it."""
    one, other, page = site.writer(), site.writer(), site.page()
    one.add('queue="a"')
    await observe(one, kept)
    disk = site.disk()
    await observe(other, range(300))
    await page()
    before = await stored(one)
    disk.load()
    end_recovery(monkeypatch)
    await page()
    after = await stored(one)
    assert (after.schema, len(after.positive)) == (FINEST, len({*kept, *range(300)}))
    assert after.text() == before.text()

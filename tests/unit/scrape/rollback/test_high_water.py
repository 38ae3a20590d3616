"""The counters of the last page: no counter is shown lower after the store went back."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.kairo_metrics.exposition.family import Family
from lib.kairo_metrics.exposition.page import Page
from lib.kairo_metrics.model.batch import State
from lib.kairo_metrics.model.encoding import number_text
from lib.kairo_metrics.model.native_counts import NativeCounts
from lib.kairo_metrics.model.schema import Schema
from lib.kairo_metrics.model.server_run import ServerRun
from lib.kairo_metrics.model.snapshot import IndexEntry
from lib.kairo_metrics.scrape.collector import Scrape
from lib.kairo_metrics.scrape.rollback.high_water import HighWater, with_missing
from tests.support.instance import WAIT

JOBS = Schema("jobs", "counter", ("queue",))
COUNTS = st.integers(0, 9)
FLOATS = st.floats(0, 1e12) | st.sampled_from([0.1, 0.2, 0.3, 1e-9, float("inf"), float("nan")])


def _counter(draw: Callable[[Any], Any]) -> bytes:
    return number_text(draw(FLOATS.filter(lambda number: not math.isnan(number)))).encode()


def _histogram(draw: Callable[[Any], Any]) -> bytes:
    return b" ".join([number_text(draw(FLOATS)).encode(), *(b"%d" % draw(COUNTS) for _ in range(3))])


def _native(draw: Callable[[Any], Any]) -> bytes:
    counts = NativeCounts(draw(st.integers(-1, 3)), draw(st.sampled_from([0.0, 0.001, 0.5])))
    for amount in draw(st.lists(st.integers(-40, 40), max_size=5)):
        counts.observe(amount / 4)
    return counts.text().encode()


@pytest.mark.parametrize(
    ("schema", "row"),
    [
        (Schema("jobs", "counter"), _counter),
        (Schema("wait", "histogram", (), WAIT.bounds), _histogram),
        (Schema("size", "native"), _native),
    ],
)
@given(data=st.data())
def test_no_number_is_shown_lower_than_before(schema: Schema, row: Any, data: st.DataObject) -> None:
    """However much the store still has of a series, no number on the page is lower than before."""
    shown, held = row(data.draw), row(data.draw)
    water = HighWater()
    water.remember(_scrape(schema, shown, 5))
    scrape = _scrape(schema, held, 4)
    [family] = with_missing(scrape, water.missing(scrape)).page.families
    before, after = (_numbers(schema, numbers) for numbers in (shown, family.series[b""]))
    assert all(not after.get(place, 0) < number for place, number in before.items()), (shown, held, family.series)
    # And nothing is added where nothing is missing.
    again = _scrape(schema, family.series[b""], 4)
    assert with_missing(again, water.missing(again)).page.families[0].series == family.series


def test_a_negative_observation_in_a_wide_zero_bucket_is_one() -> None:
    """A sum is not raised where the zero bucket holds negative observations: each page would raise it again."""
    schema, water = Schema("size", "native"), HighWater()
    water.remember(_scrape(schema, b"0.75 1 0 0 0.5 0:1 -", 5))
    scrape = _scrape(schema, b"0 2 0 0 0 -1:1 -1:1", 4)
    [family] = with_missing(scrape, water.missing(scrape)).page.families
    assert family.series == {b"": b"0 3 2 0 0.5 0:1 -"}
    again = _scrape(schema, family.series[b""], 4)
    assert with_missing(again, water.missing(again)).page.families == (family,)


def test_a_series_that_is_gone_after_a_restart_is_shown_until_it_is_sent_again() -> None:
    """A state that went back may have as many batches as before, so after a restart a page looks at the series."""
    shown = {b'queue="a"': b"3", b'queue="b"': b"2"}
    water, held = _remembering(shown), {b'queue="a"': b"4"}
    assert water.missing(_restarted(held)) == {JOBS: {b'queue="b"': b"2"}}
    assert water.missing(_restarted({**held, b'queue="b"': b"1"})) == {JOBS: {b'queue="b"': b"1"}}
    assert water.missing(_restarted({**held, b'queue="b"': b"2"})) == {}


def test_a_series_that_has_expired_or_was_removed_later_stays_away() -> None:
    """The store lets a series expire also while it restarts, and a program may remove one at any time after that."""
    shown = {b'queue="a"': b"3", b'queue="b"': b"2"}
    water, entry = _remembering(shown), IndexEntry(0, JOBS, 0, 0)
    expired = replace(_restarted({b'queue="a"': b"3"}), expired={entry: [b'queue="b"']})
    assert water.missing(expired) == {}
    water = _remembering(shown)
    first = _restarted(shown)
    assert water.missing(first) == {}
    water.remember(first)
    assert water.missing(_restarted({b'queue="a"': b"3"})) == {}


def _remembering(shown: dict[bytes, bytes]) -> HighWater:
    water = HighWater()
    water.remember(Scrape(Page((Family(JOBS, shown),)), (State("blue", 5),), (None,), (ServerRun("old"),)))
    return water


def _restarted(held: dict[bytes, bytes]) -> Scrape:
    return Scrape(Page((Family(JOBS, held),)), (State("blue", 5),), (None,), (ServerRun("new"),))


def _scrape(schema: Schema, numbers: bytes, batches: int) -> Scrape:
    return Scrape(Page((Family(schema, {b"": numbers}),)), (State("blue", batches),), (None,))


def _numbers(schema: Schema, numbers: bytes) -> dict[str, float]:
    """Return what is printed of a row; of a native histogram what does not depend on how fine it is."""
    if schema.type == "native":
        return {"count": NativeCounts.parse(numbers.decode().split()).count}
    return {str(place): float(word) for place, word in enumerate(numbers.split())}

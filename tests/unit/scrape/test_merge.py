"""Series from several shards and schemas, merged into one family."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.kairo_metrics.model.encoding import pack_line
from lib.kairo_metrics.model.merging import merge_series, rebin
from lib.kairo_metrics.model.schema import Schema
from lib.kairo_metrics.model.snapshot import IndexEntry, Snapshot
from lib.kairo_metrics.scrape.decode import SeriesDecoder
from lib.kairo_metrics.scrape.merge import Decoded, MergedFamily, merge_families
from lib.kairo_metrics.scrape.selection import select
from tests.support.instance import JOBS

NOW_MS = 1_764_000_000_000
ROOM = Schema("heat", "gauge", ("room",), mode="mostrecent")


def merged(parts: Mapping[IndexEntry, Mapping[bytes, str]], foreign: int = 0, age_ms: int = 0) -> list[MergedFamily]:
    """Merge lines of these index entries, which instances have written so long ago."""
    decoders = {entry: SeriesDecoder(entry.schema, 0, NOW_MS - 300_000, keeps_created=True) for entry in parts}
    for entry, lines in parts.items():
        at_ms = NOW_MS - age_ms - entry.shard
        for text, numbers in lines.items():
            decoders[entry].add_chunk([text, pack_line(numbers.split(), at_ms, at_ms)])
    selection = select(Snapshot(NOW_MS, tuple(parts)), frozenset(), exemplars=True)
    return merge_families(selection, Decoded(decoders, dict.fromkeys(parts, foreign)))


def test_shards_are_added_up() -> None:
    """Series of one label set are one series; it began when the first of them did."""
    [jobs] = merged({IndexEntry(shard, JOBS, 1, NOW_MS): {b'queue="a"': f"{shard + 0.5}"} for shard in range(3)})
    assert jobs.series == {b'queue="a"': b"4.5"}
    assert jobs.created == {b'queue="a"': NOW_MS - 2}


def test_counts_of_any_size_are_added_exactly() -> None:
    """A histogram's counts are whole numbers, and stay so beyond what a float holds."""
    wait = Schema("wait", "histogram", (), ("1.0", "+Inf"))
    parts = [{b"": b"0.5 9007199254740993 1"}, {b"": b"0.25 1 2"}]
    assert merge_series(wait, parts) == {b"": b"0.75 9007199254740994 3"}


@pytest.mark.parametrize(("one", "other"), [("20 5", "18 9"), ("18 9", "20 5")])
def test_the_newest_setting_wins(one: str, other: str) -> None:
    """A gauge shows what was set last, on whichever shard."""
    parts = [{b'room="a"': one.encode()}, {b'room="a"': other.encode()}]
    assert merge_series(ROOM, parts) == {b'room="a"': b"18 9"}


def test_native_histograms_are_added_at_the_coarser_resolution() -> None:
    """Two instances with different resolutions are one histogram that holds all observations."""
    size = Schema("size", "native")
    parts = [{b"": b"4 1 0 1 0.001 4:1 -"}, {b"": b"3 1 0 0 0.001 2:1 -"}]
    assert merge_series(size, parts) == {b"": b"7 2 0 0 0.001 2:2 -"}


def test_values_of_ended_instances_become_one_residual_value() -> None:
    """A maximum over all instances keeps the largest value of those that have ended, and no more."""
    load = Schema("load", "gauge", ("instance_id",), mode="max")
    parts = {IndexEntry(0, load, 1, NOW_MS): {b'instance_id="a"': "7 5", b'instance_id="b"': "3 6"}}
    [ended] = merged(parts, age_ms=300_001)
    assert ended.series == {b'instance_id="__ended__"': b"7 5"}


def test_damage_is_counted_by_family() -> None:
    """Lines that can not be decoded and keys of another type are left out, and counted together."""
    [jobs] = merged({IndexEntry(0, JOBS, 1, NOW_MS): {b'queue="a"': "1", b"junk": "2"}}, 2)
    assert (jobs.series, jobs.damaged) == ({b'queue="a"': b"1"}, 3)


BOUNDS = st.lists(st.integers(-5, 20), min_size=0, max_size=6, unique=True).map(
    lambda numbers: (*(f"{number}.0" for number in sorted(numbers)), "+Inf")
)


@given(BOUNDS, BOUNDS, st.data())
def test_rebinning_keeps_count_sum_and_order(old: tuple[str, ...], new: tuple[str, ...], data: st.DataObject) -> None:
    """Under any new bounds the count and the sum are the same, no bucket is negative, and shared bounds agree."""
    counts = data.draw(st.lists(st.integers(0, 100), min_size=len(old), max_size=len(old)))
    before, after = Schema("wait", "histogram", (), old), Schema("wait", "histogram", (), new)
    rows = {b"": b" ".join([b"7.5", *(b"%d" % count for count in counts)])}
    observed, *rebinned = rebin(rows, before, after)[b""].split()
    assert observed == b"7.5"
    assert all(int(count) >= 0 for count in rebinned)
    cumulative_before = dict(zip(old, accumulate(counts), strict=True))
    cumulative_after = dict(zip(new, accumulate(map(int, rebinned)), strict=True))
    for bound in set(old) & set(new):
        assert cumulative_after[bound] == cumulative_before[bound]

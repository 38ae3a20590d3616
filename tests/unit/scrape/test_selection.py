"""Which entries of the families index a scrape reads, and under which schema it serves them."""

from __future__ import annotations

import pytest

from lib.kairo_metrics.model.schema import Schema
from lib.kairo_metrics.model.snapshot import IndexEntry, Snapshot
from lib.kairo_metrics.scrape.selection import Selection, select
from tests.support.instance import JOBS, WAIT

NOW_MS = 1_764_000_000_000
LATELY_MS = NOW_MS - 60_000
LONG_AGO_MS = NOW_MS - 10 * 60_000
OTHER_BOUNDS = Schema("wait_seconds", "histogram", ("queue",), ("5.0", "+Inf"))
GAUGE = Schema("jobs", "gauge", ("queue",), mode="sum")


def chosen(*entries: IndexEntry, names: tuple[str, ...] = (), exemplars: bool = False) -> Selection:
    """Select from an index of these entries."""
    return select(Snapshot(NOW_MS, entries), frozenset(names), exemplars=exemplars)


def test_the_youngest_schema_in_use_is_served() -> None:
    """A deployment that changes buckets is served under its own; the series of the old one are read as well."""
    old, new = IndexEntry(0, WAIT, 1, LATELY_MS), IndexEntry(0, OTHER_BOUNDS, 2, LATELY_MS)
    for entries in ((old, new), (new, old)):
        selection = chosen(*entries)
        assert selection.served == {"wait_seconds": OTHER_BOUNDS}
        assert set(selection.entries["wait_seconds"]) == {old, new}
        assert selection.clashing == {}


def test_a_rollback_of_the_deployment_serves_the_old_schema_again() -> None:
    """Once no instance of the new deployment has started for ten minutes, its schema is no longer served."""
    old, new = IndexEntry(0, WAIT, 1, LATELY_MS), IndexEntry(0, OTHER_BOUNDS, 2, LONG_AGO_MS)
    assert chosen(old, new).served == {"wait_seconds": WAIT}


def test_without_recent_instances_the_last_announced_schema_is_served() -> None:
    """A site without traffic keeps the page that it had."""
    old, new = IndexEntry(0, WAIT, 1, LONG_AGO_MS - 1), IndexEntry(0, OTHER_BOUNDS, 2, LONG_AGO_MS)
    assert chosen(old, new).served == {"wait_seconds": OTHER_BOUNDS}


@pytest.mark.parametrize(("announced_ms", "clashing"), [(LATELY_MS, {"jobs": 1}), (LONG_AGO_MS, {})])
def test_a_schema_of_another_type_is_left_out_and_counted(announced_ms: int, clashing: dict[str, int]) -> None:
    """It is counted as clashing for as long as instances announce it."""
    counter, gauge = IndexEntry(0, JOBS, 1, announced_ms), IndexEntry(0, GAUGE, 2, LATELY_MS)
    selection = chosen(counter, gauge)
    assert selection.served == {"jobs": GAUGE}
    assert selection.all_entries == [gauge]
    assert selection.clashing == clashing


@pytest.mark.parametrize(
    ("names", "families"),
    [
        ((), {"jobs", "wait_seconds"}),
        (("jobs_total",), {"jobs"}),
        (("wait_seconds_bucket", "jobs"), {"jobs", "wait_seconds"}),
        (("kairo_series",), {"jobs", "wait_seconds"}),
        (("nothing",), set()),
    ],
)
def test_only_the_families_that_are_asked_for_are_read(names: tuple[str, ...], families: set[str]) -> None:
    """A family is named by itself or by a sample; what counts all families needs all of them."""
    selection = chosen(IndexEntry(0, JOBS, 1, NOW_MS), IndexEntry(0, WAIT, 1, NOW_MS), names=names)
    assert set(selection.served) == families
    assert selection.includes(JOBS) == ("jobs" in families)


def test_exemplars_are_read_only_for_formats_that_show_them() -> None:
    """They are those of the served schema, from every shard, and are read last."""
    jobs = [IndexEntry(shard, JOBS, 1, NOW_MS) for shard in range(2)]
    exemplars = [IndexEntry(shard, JOBS.exemplars, 1, NOW_MS) for shard in range(2)]
    entries = (*exemplars, *jobs)
    assert chosen(*entries).all_entries == jobs
    assert chosen(*entries, exemplars=True).all_entries == [*jobs, *exemplars]
    assert chosen(exemplars[0], names=("jobs",), exemplars=True).all_entries == []

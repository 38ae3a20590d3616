"""Which entries of the families index a scrape reads, and under which schema it serves them."""

from __future__ import annotations

import pytest

from lib.kairo_metrics.model.schema import Schema
from lib.kairo_metrics.model.snapshot import IndexEntry, Snapshot
from lib.kairo_metrics.scrape.selection import Selection, kind_of, select
from tests.support.instance import JOBS, WAIT

NOW_MS = 1_764_000_000_000
LATELY_MS = NOW_MS - 60_000
LONG_AGO_MS = NOW_MS - 10 * 60_000
OTHER_BOUNDS = Schema("wait_seconds", "histogram", ("queue",), ("5.0", "+Inf"))
GAUGE = Schema("jobs", "gauge", ("queue",), mode="sum")


def chosen(*entries: IndexEntry, names: tuple[str, ...] = (), exemplars: bool = False) -> Selection:
    """Select from an index of these entries."""
    return select(Snapshot(NOW_MS, entries), frozenset(names), exemplars=exemplars)


def served(selection: Selection) -> list[Schema]:
    return list(selection.served.values())


def test_the_youngest_schema_in_use_is_served() -> None:
    """A deployment that changes buckets is served under its own; the series of the old one are read as well."""
    old, new = IndexEntry(0, WAIT, 1, LATELY_MS), IndexEntry(0, OTHER_BOUNDS, 2, LATELY_MS)
    for entries in ((old, new), (new, old)):
        selection = chosen(*entries)
        assert served(selection) == [OTHER_BOUNDS]
        assert set(selection.entries[kind_of(WAIT)]) == {old, new}


def test_a_rollback_of_the_deployment_serves_the_old_schema_again() -> None:
    """Once no instance of the new deployment has started for ten minutes, its schema is no longer served."""
    old, new = IndexEntry(0, WAIT, 1, LATELY_MS), IndexEntry(0, OTHER_BOUNDS, 2, LONG_AGO_MS)
    assert served(chosen(old, new)) == [WAIT]


def test_without_recent_instances_the_last_announced_schema_is_served() -> None:
    """A site without traffic keeps the page that it had."""
    old, new = IndexEntry(0, WAIT, 1, LONG_AGO_MS - 1), IndexEntry(0, OTHER_BOUNDS, 2, LONG_AGO_MS)
    assert served(chosen(old, new)) == [OTHER_BOUNDS]


@pytest.mark.parametrize(("announced_ms", "first"), [(LATELY_MS, JOBS), (LONG_AGO_MS, GAUGE)])
def test_of_two_types_the_youngest_in_use_comes_first(announced_ms: int, first: Schema) -> None:
    """Both are read; a page that can't hold both shows the first one."""
    counter, gauge = IndexEntry(0, JOBS, 3, announced_ms), IndexEntry(0, GAUGE, 2, LATELY_MS)
    assert served(chosen(counter, gauge))[0] == first
    assert set(chosen(counter, gauge).all_entries) == {counter, gauge}


@pytest.mark.parametrize(
    ("names", "families"),
    [
        ((), {"jobs", "wait_seconds"}),
        (("jobs_total",), {"jobs"}),
        (("wait_seconds_bucket", "jobs"), {"jobs", "wait_seconds"}),
        (("kairo_series",), {"jobs", "wait_seconds"}),
        (("nothing",), set()),
        (("jobs__total",), {"jobs"}),
    ],
)
def test_only_the_families_that_are_asked_for_are_read(names: tuple[str, ...], families: set[str]) -> None:
    """A family is named by itself or by a sample; what counts all families needs all of them."""
    selection = chosen(IndexEntry(0, JOBS, 1, NOW_MS), IndexEntry(0, WAIT, 1, NOW_MS), names=names)
    assert {schema.name for schema in served(selection)} == families
    assert selection.includes(JOBS) == ("jobs" in families)


def test_exemplars_are_read_only_for_formats_that_show_them() -> None:
    """They are those of the served schema, from every shard, and are read last."""
    jobs = [IndexEntry(shard, JOBS, 1, NOW_MS) for shard in range(2)]
    exemplars = [IndexEntry(shard, JOBS.exemplars, 1, NOW_MS) for shard in range(2)]
    entries = (*exemplars, *jobs)
    assert chosen(*entries).all_entries == jobs
    assert chosen(*entries, exemplars=True).all_entries == [*jobs, *exemplars]
    assert chosen(exemplars[0], names=("jobs",), exemplars=True).all_entries == []

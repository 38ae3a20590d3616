"""The page, assembled of families that do not clash and of the metrics about itself."""

from __future__ import annotations

from collections.abc import Mapping

from lib.kairo_metrics.exposition.family import Family
from lib.kairo_metrics.exposition.page import Page
from lib.kairo_metrics.model.recovery import Recovery
from lib.kairo_metrics.model.schema import Schema
from lib.kairo_metrics.model.snapshot import IndexEntry, Snapshot
from lib.kairo_metrics.scrape.assemble import assemble
from lib.kairo_metrics.scrape.resolve import ResolvedFamily
from lib.kairo_metrics.scrape.selection import select
from tests.support.instance import JOBS

NOW_MS = 1_764_000_000_000
ROW = {b'queue="a"': b"3"}


def assembled(
    *schemas: Schema, names: tuple[str, ...] = (), escaping: str = "underscores", damaged: int = 0
) -> Mapping[str, Family]:
    """Assemble families of one series each; give those of the page by name."""
    snapshot = Snapshot(NOW_MS, tuple(IndexEntry(0, schema, 1, NOW_MS) for schema in schemas), damaged)
    selection = select(snapshot, frozenset(names), exemplars=False)
    resolved = [ResolvedFamily(Family(schema, ROW), damaged=0) for schema in selection.served.values()]
    return by_name(assemble(snapshot, selection, resolved, escaping))


def by_name(page: Page) -> Mapping[str, Family]:
    assert page.at_ms == NOW_MS
    names = [family.schema.name for family in page.families]
    assert names == sorted(names)
    return {family.schema.name: family for family in page.families}


def test_a_page_has_its_families_and_the_metrics_about_itself() -> None:
    """Each family is counted, and what is wrong with it."""
    page = assembled(JOBS)
    assert page["jobs"].series == ROW
    assert page["kairo_series"].series[b'family="jobs"'] == b"1"
    assert page["kairo_quarantined_fields"].series == {b'family="jobs"': b"0"}
    assert page["kairo_missing_batches"].series == {b"": b"0"}


def test_families_with_one_sample_name_are_not_both_shown() -> None:
    """The first by name is shown; the other one counts as damaged, and so does a family with a name of ours."""
    clash = Schema("jobs_total", "gauge", ("queue",), mode="sum")
    page = assembled(JOBS, clash, Schema("kairo_series", "gauge", ("queue",), mode="sum"))
    assert "jobs_total" not in page
    assert page["kairo_series"].schema.labelnames == ("family",)
    assert page["kairo_quarantined_fields"].series == {
        b'family="jobs"': b"0",
        b'family="jobs_total"': b"1",
        b'family="kairo_series"': b"1",
    }


def test_names_clash_as_the_format_writes_them() -> None:
    """Two names that become one with classic letters stand side by side where the format takes other letters."""
    dots, underscores = Schema("mails.sent", "counter", ("queue",)), Schema("mails_sent", "counter", ("queue",))
    assert {"mails.sent", "mails_sent"} <= assembled(dots, underscores, escaping="allow-utf-8").keys()
    assert {"mails.sent", "mails_sent"} & assembled(dots, underscores).keys() == {"mails.sent"}


def test_events_that_have_not_happened_stand_at_zero() -> None:
    """`increase` sees the first loss, because the series was on the page before; a scrape by name gets only its own."""
    lost = assembled(JOBS)["kairo_samples_lost"]
    assert lost.series == {b'family="jobs"': b"0"}
    assert "kairo_samples_lost" not in assembled(JOBS, names=("jobs",))
    assert "kairo_samples_lost" in assembled(JOBS, names=("kairo_samples_lost_total",))


def test_damaged_index_entries_are_counted_without_a_name() -> None:
    """Their names can not be read, so they are counted together."""
    assert assembled(JOBS, damaged=2)["kairo_quarantined_fields"].series[b'family=""'] == b"2"


def test_missing_batches_of_all_shards_are_added_up() -> None:
    """A shard that got more than it had lost does not hide what another shard lacks."""
    recoveries = (Recovery(1, "blue-1", 9, 5, 3), None, Recovery(1, "blue-1", 9, 5, -2))
    snapshot = Snapshot(NOW_MS, (), recoveries=recoveries)
    page = by_name(assemble(snapshot, select(snapshot, frozenset(), exemplars=False), [], "underscores"))
    assert page["kairo_missing_batches"].series == {b"": b"3"}

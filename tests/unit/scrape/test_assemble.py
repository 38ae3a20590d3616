"""The page, assembled of families that do not clash and of the metrics about itself."""

from __future__ import annotations

from collections.abc import Mapping

from lib.kairo_metrics.exposition.family import Extras, Family
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
TEXT, OPENMETRICS = Extras(), Extras(strict=True)
CLASH = Schema("jobs_total", "gauge", ("queue",), mode="sum")


def assembled(
    *schemas: Schema, names: tuple[str, ...] = (), extras: Extras = TEXT, damaged: int = 0, announced_ms: int = NOW_MS
) -> Mapping[str, Family]:
    """Assemble families of one series each; give those of the page by name."""
    snapshot = Snapshot(NOW_MS, tuple(IndexEntry(0, schema, 1, announced_ms) for schema in schemas), damaged)
    selection = select(snapshot, frozenset(names), exemplars=False)
    resolved = [ResolvedFamily(Family(schema, ROW), damaged=0) for schema in selection.served.values()]
    return by_name(assemble(snapshot, selection, resolved, extras).page)


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
    """The first by name is shown; the other one is counted with the reason, and so is a family with a name of ours."""
    page = assembled(JOBS, CLASH, Schema("kairo_series", "gauge", ("queue",), mode="sum"))
    assert "jobs_total" not in page
    assert page["kairo_series"].schema.labelnames == ("family",)
    assert page["kairo_clashing_schemas"].series == {
        b'family="jobs_total",other="jobs",reason="name"': b"1",
        b'family="kairo_series",other="kairo_series",reason="type"': b"1",
    }
    assert set(page["kairo_quarantined_fields"].series.values()) == {b"0"}


def test_what_a_deployment_has_replaced_is_told_as_such() -> None:
    """A clash that no instance announces any more has a reason of its own, on which nobody has to act."""
    page = assembled(JOBS, CLASH, announced_ms=NOW_MS - 10 * 60_000)
    assert list(page["kairo_clashing_schemas"].series) == [b'family="jobs_total",other="jobs",reason="replaced"']


def test_names_are_reserved_only_where_they_are_printed() -> None:
    """Only OpenMetrics reserves `orders_created` for `orders`; the text shows both, and tells it."""
    orders, created = Schema("orders", "counter", ("queue",)), Schema("orders_created", "counter", ("queue",))
    text, openmetrics = assembled(orders, created), assembled(orders, created, extras=OPENMETRICS)
    assert {"orders", "orders_created"} <= text.keys()
    assert "orders_created" not in openmetrics
    told = {b'family="orders_created",other="orders",reason="name"': b"1"}
    assert text["kairo_clashing_schemas"].series == openmetrics["kairo_clashing_schemas"].series == told


def test_created_times_reserve_their_names_where_they_are_printed() -> None:
    """A gauge named like the created time of a counter is left out of a text with created times."""
    orders, gauge = Schema("orders", "counter", ("queue",)), Schema("orders_created", "gauge", ("queue",), mode="sum")
    assert "orders_created" in assembled(orders, gauge)
    assert "orders_created" not in assembled(orders, gauge, extras=Extras(created=True))


def test_names_clash_as_the_format_writes_them() -> None:
    """Two names that become one with classic letters stand side by side where the format takes other letters."""
    dots = Schema("mails.sent", "counter", ("queue",))
    underscores = Schema("mails_sent_total", "gauge", ("queue",), mode="sum")
    other = Schema("mails_sent", "counter", ("queue",))
    utf_8 = Extras(escaping="allow-utf-8")
    assert {"mails.sent", "mails_sent_total"} <= assembled(dots, underscores, extras=utf_8).keys()
    assert {"mails.sent", "mails_sent_total"} & assembled(dots, underscores).keys() == {"mails.sent"}
    assert {"mails.sent", "mails_sent"} <= assembled(dots, other).keys()  # they are printed as one family


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
    page = by_name(assemble(snapshot, select(snapshot, frozenset(), exemplars=False), [], TEXT).page)
    assert page["kairo_missing_batches"].series == {b"": b"3"}

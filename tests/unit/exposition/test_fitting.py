"""Series that a format prints alike become one."""

from __future__ import annotations

import pytest

from lib.kairo_metrics.exposition.family import Exemplar, Extras, Family
from lib.kairo_metrics.exposition.fitting import fitted
from lib.kairo_metrics.exposition.negotiate import choose_format
from lib.kairo_metrics.exposition.page import Page
from lib.kairo_metrics.model.schema import Schema

UNDERSCORES = Extras()


def only(*families: Family, extras: Extras = UNDERSCORES) -> Family:
    """Fit families that become one, and return it."""
    return fitted(Page(families), extras).families[0]


def test_counters_that_print_alike_are_added_up_and_counted() -> None:
    """Both generations of a renamed metric and of a renamed label are one series, and the page tells it."""
    dots = Family(Schema("k.x", "counter", ("a.b",)), {b'"a.b"="1"': b"3"}, created={b'"a.b"="1"': 20})
    classic = Family(Schema("k_x", "counter", ("a_b",)), {b'a_b="1"': b"4", b'a_b="2"': b"5"}, created={b'a_b="1"': 10})
    page = fitted(Page((dots, classic)), UNDERSCORES)
    assert page.families[0].series == {b'a_b="1"': b"7", b'a_b="2"': b"5"}
    assert page.families[0].created == {b'a_b="1"': 10}
    assert page.families[1].series == {b'family="k_x"': b"1"}
    assert len(fitted(Page((dots, classic)), Extras(escaping="allow-utf-8")).families) == 2


def test_histograms_with_other_bounds_are_added_up_under_those_of_the_classic_name() -> None:
    """No observation is lost, and the count and the sum are those of both."""
    dots = Family(Schema("k.x", "histogram", (), ("1.0", "+Inf")), {b"": b"0.5 1 2"})
    classic = Family(Schema("k_x", "histogram", (), ("2.0", "+Inf")), {b"": b"3 1 1"})
    joined = only(dots, classic)
    assert (joined.schema.bounds, joined.series) == (("2.0", "+Inf"), {b"": b"3.5 2 3"})


@pytest.mark.parametrize(
    ("mode", "shown"), [("sum", b"12"), ("livesum", b"12"), ("min", b"5"), ("livemax", b"7"), ("mostrecent", b"5")]
)
def test_gauges_are_merged_as_their_mode_says(mode: str, shown: bytes) -> None:
    """What can't be added up shows the lowest, the highest, or what was set last."""
    names = ("instance_id",) if mode in {"livesum", "min", "livemax"} else ()
    dots = Family(Schema("k.x", "gauge", names, mode=mode), {b"": b"7"}, set_at={b"": 1})
    classic = Family(Schema("k_x", "gauge", names, mode=mode), {b"": b"5"}, set_at={b"": 2})
    assert only(dots, classic).series == only(classic, dots).series == {b"": shown}


def test_an_empty_label_equals_an_absent_one() -> None:
    """After a label was added to a metric, the series with the empty label goes on with the count of the one before."""
    jobs = Family(Schema("jobs", "counter", ("tenant",)), {b"": b"1", b'tenant=""': b"2"}, mixed=True)
    assert only(jobs).series == {b"": b"3"}


def test_labels_that_get_one_name_are_joined() -> None:
    """As OpenTelemetry says: their values stand side by side, in the order of the names before."""
    jobs = Family(Schema("jobs", "counter", ("a.b", "a_b")), {b'"a.b"="1",a_b="2"': b"1", b'"a.b"="",a_b="2"': b"1"})
    assert only(jobs).series == {b'a_b="1;2"': b"1", b'a_b="2"': b"1"}


def test_labels_of_the_format_itself_are_renamed() -> None:
    """No label of the user stands beside the state's own, and none begins like those of Prometheus."""
    state = Family(Schema("k.x", "stateset", ("k_x",), states=("up",)), {b'k_x="a","k.x"="up"': b"1"})
    assert only(state).series == {b'exported_k_x="a",k_x="up"': b"1"}
    assert only(Family(Schema("jobs", "counter", ("__x",)), {b'__x="1"': b"1"})).series == {b'exported__x="1"': b"1"}


def test_exemplars_have_escaped_labels_or_are_left_out() -> None:
    """Longer names can make an exemplar too long for the format; the number stays."""
    for labels, shown in ((b'"trace.id"="4bf9"', b'trace_id="4bf9"'), (b'"t.i"="' + b"x" * 126 + b'"', None)):
        jobs = Family(Schema("jobs", "counter"), {b"": b"1"}, {b"": {1: Exemplar(labels, b"1", 5)}})
        found = only(jobs).exemplars[b""].get(1)
        assert (found and found.labels) == shown


def test_a_state_whose_name_no_label_can_have_is_a_gauge_in_openmetrics() -> None:
    """A label can have no colon, and a stateset's label must have the family's name."""
    page = Page((Family(Schema("a:b", "stateset", states=("up",)), {b'"a:b"="up"': b"1"}),))
    printed = b"".join(choose_format("application/openmetrics-text;version=1.0.0").render(page))
    assert printed == b'# HELP a:b \n# TYPE a:b gauge\na:b{a_b="up"} 1\n# EOF\n'


def test_a_unit_that_escaping_takes_off_the_name_is_not_printed() -> None:
    """Parsers refuse a page with a unit that the name does not end with."""
    page = Page((Family(Schema("a_b.c", "gauge", mode="mostrecent", unit="b.c"), {b"": b"1"}),))
    printed = b"".join(choose_format("application/openmetrics-text;version=1.0.0").render(page))
    assert b"# UNIT" not in printed


def test_ordinary_families_are_not_looked_at_row_by_row() -> None:
    """The rows of a family without a name to be escaped are those that were read."""
    rows = {b'queue="a"': b"1"}
    assert only(Family(Schema("jobs", "counter", ("queue",)), rows)).series is rows


def test_a_native_histogram_says_for_five_minutes_when_it_began() -> None:
    """A scraper needs that once, and Prometheus 3.5.0 may end at an old one; counters and classic histograms go on."""
    at_ms = 1_764_000_000_000
    created = {b'a="new"': at_ms - 299_000, b'a="old"': at_ms - 300_000}
    numbers = dict.fromkeys(created, b"1 1 0 0 0.001 0:1 -")
    fine = Family(Schema("fine", "native", ("a",), ("1.0", "+Inf")), numbers, {}, created)
    jobs = Family(Schema("jobs", "counter", ("a",)), dict.fromkeys(created, b"1"), {}, created)
    native = fitted(Page((fine, jobs), at_ms), Extras(native=True, created=True)).families
    assert [[*family.created] for family in native] == [[b'a="new"'], [*created]]
    classic = fitted(Page((fine, jobs), at_ms), Extras(created=True)).families
    assert [[*family.created] for family in classic] == [[*created], [*created]]


def test_native_histograms_that_become_one_are_as_old_as_the_oldest() -> None:
    """Else a scraper would count the older one's observations again, from a zero at the time of the younger one."""
    at_ms, numbers = 1_764_000_000_000, b"1 1 0 0 0.001 0:1 -"
    old = Family(Schema("k.x", "native", (), ("1.0", "+Inf")), {b"": numbers}, {}, {b"": at_ms - 300_000})
    new = Family(Schema("k_x", "native", (), ("1.0", "+Inf")), {b"": numbers}, {}, {b"": at_ms - 1_000})
    page = fitted(Page((old, new), at_ms), Extras(native=True, created=True))
    assert page.families[0].created == {}

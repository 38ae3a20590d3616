"""Stored numbers as the page shows them."""

from __future__ import annotations

import pytest

from lib.kairo_metrics.exposition.family import Exemplar
from lib.kairo_metrics.model.encoding import info_word
from lib.kairo_metrics.model.schema import Schema
from lib.kairo_metrics.scrape.merge import MergedFamily
from lib.kairo_metrics.scrape.resolve import resolve, resolve_family
from tests.support.instance import JOBS, WAIT

OF_INSTANCES = {b'instance_id="a"': b"2 17", b'instance_id="b"': b"5 16", b'instance_id="c"': b"-1 3"}


@pytest.mark.parametrize(
    ("mode", "shown"),
    [
        ("min", {b"": b"-1"}),
        ("livemin", {b"": b"-1"}),
        ("max", {b"": b"5"}),
        ("livemax", {b"": b"5"}),
        ("livesum", {b"": b"6"}),
        ("livemostrecent", {b"": b"2"}),
        ("all", {text: numbers.split()[0] for text, numbers in OF_INSTANCES.items()}),
        ("liveall", {text: numbers.split()[0] for text, numbers in OF_INSTANCES.items()}),
    ],
)
def test_gauges_of_instances_are_merged_by_their_mode(mode: str, shown: dict[bytes, bytes]) -> None:
    """`multiprocess_mode` means for instances what it means for processes."""
    assert resolve(Schema("load", "gauge", ("instance_id",), mode=mode), OF_INSTANCES).series == shown


def test_a_gauge_that_was_never_set_is_not_shown() -> None:
    """An instance that only made the gauge has no most recent value."""
    load = Schema("load", "gauge", ("instance_id",), mode="livemostrecent")
    assert resolve(load, {b'instance_id="a"': b"0 0"}).series == {}


@pytest.mark.parametrize(
    ("stored", "shown"),
    [
        (b"2.5 0 0 0", b"2.5"),
        (b"2.5 1 0 0", b"+Inf"),
        (b"2.5 0 2 0", b"-Inf"),
        (b"2.5 1 1 0", b"NaN"),
        (b"2.5 0 0 1", b"NaN"),
        (b"2.5 -1 0 0", b"2.5"),
    ],
)
def test_a_sum_of_gauges_knows_infinity(stored: bytes, shown: bytes) -> None:
    """An instance that holds +Inf, -Inf or NaN decides the sum for as long as it holds it."""
    assert resolve(Schema("held", "gauge", (), mode="sum"), {b"": stored}).series == {b"": shown}


def test_an_info_shows_its_words_as_labels() -> None:
    """An info with a label twice would make the page invalid, so it is left out and counts as damaged."""
    build = Schema("build", "info", ("app",))
    good = info_word({"version": "1 beta"}).encode() + b" 7"
    found = resolve(
        build, {b'app="a"': good, b'app="b"': info_word({"app": "x"}).encode() + b" 7", b'app="c"': b"=% 7"}
    )
    assert found.series == {b'app="a",version="1 beta"': b"1"}
    assert found.damaged == 2


def test_a_stateset_shows_every_state() -> None:
    """The current state is 1, the others are 0."""
    door = Schema("door", "stateset", states=("open", "shut"))
    assert resolve(door, {b"": b"1 7"}).series == {b'door="open"': b"0", b'door="shut"': b"1"}


def test_other_types_are_shown_as_they_are_stored() -> None:
    """Counters, histograms and summaries need nothing but their numbers."""
    assert resolve(JOBS, {b'queue="a"': b"3"}).series == {b'queue="a"': b"3"}


def test_a_family_has_its_exemplars_where_a_page_can_show_them() -> None:
    """Those of a counter and of buckets are kept; those of other numbers, and damaged ones, are left out."""
    stored = {b'1 queue="a"': b"=1=x 5", b'3 queue="a"': b'=0.25=trace_id="4bf9" 7', b'9 queue="a"': b"=1= 7"}
    merged = MergedFamily(WAIT, {b'queue="a"': b"0.5 0 1 0"}, [stored], {b'queue="a"': 5}, damaged=2)
    found = resolve_family(merged)
    assert found.damaged == 2
    assert found.family.created == {b'queue="a"': 5}
    assert found.family.exemplars == {b'queue="a"': {3: Exemplar(b'trace_id="4bf9"', b"0.25", 7)}}

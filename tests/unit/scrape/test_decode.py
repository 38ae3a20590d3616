"""Chunks of stored series, decoded."""

from __future__ import annotations

import pytest

from lib.kairo_metrics.model.encoding import pack_line
from lib.kairo_metrics.model.schema import Schema
from lib.kairo_metrics.scrape.decode import SeriesDecoder
from tests.support.instance import JOBS

OLDEST_MS = 1_764_000_000_000
LEASE_BEGAN_MS = OLDEST_MS + 3_000_000
LOAD = Schema("load", "gauge", ("instance_id",), mode="livemax")


def line(numbers: str, touched_ms: int = LEASE_BEGAN_MS) -> bytes:
    """Pack a line that was first written a second before."""
    return pack_line(numbers.split(), touched_ms - 1_000, touched_ms)


@pytest.mark.parametrize("keeps_created", [True, False])
def test_good_series_lose_their_times(keeps_created: bool) -> None:
    """A page shows the numbers; when a series began is kept for the formats that show it."""
    decoder = SeriesDecoder(JOBS, OLDEST_MS, keeps_created=keeps_created)
    decoder.add_chunk([b'queue="a"', line("3")])
    assert decoder.series == {b'queue="a"': b"3"}
    assert decoder.created == ({b'queue="a"': LEASE_BEGAN_MS - 1_000} if keeps_created else {})


def test_series_that_no_instance_writes_are_stale() -> None:
    """They leave the page on the millisecond, and are listed to be deleted."""
    decoder = SeriesDecoder(JOBS, OLDEST_MS)
    decoder.add_chunk([b'queue="a"', line("3", OLDEST_MS), b'queue="b"', line("4", OLDEST_MS - 1)])
    assert decoder.series == {b'queue="a"': b"3"}
    assert decoder.stale == [b'queue="b"']


def test_values_of_ended_instances_are_set_apart() -> None:
    """A value whose lease has ended is kept apart from the live values; the residual value has no lease."""
    decoder = SeriesDecoder(LOAD, OLDEST_MS, LEASE_BEGAN_MS)
    for name, touched_ms in (("a", LEASE_BEGAN_MS), ("b", LEASE_BEGAN_MS - 1), ("__ended__", OLDEST_MS)):
        decoder.add_chunk([f'instance_id="{name}"'.encode(), line("2 5", touched_ms)])
    assert decoder.series == {b'instance_id="a"': b"2 5", b'instance_id="__ended__"': b"2 5"}
    assert decoder.ended == {b'instance_id="b"': b"2 5"}


@pytest.mark.parametrize(
    ("schema", "text", "stored"),
    [
        (JOBS, b"junk", line("1")),
        (JOBS, b'queue="\xff"', line("1")),
        (JOBS, b'other="a"', line("1")),
        (JOBS, b'queue="a"', b"1"),
        (JOBS, b'queue="a"', line("-1")),
        (JOBS, b'queue="a"', line("1 2")),
        (JOBS, b'queue="a"', line("1e309")),
        (JOBS, b'queue="a"', line("NaN")),
        (Schema("wait", "histogram", (), ("1.0", "+Inf")), b"", line("0.5 1.5 1")),
        (Schema("size", "native"), b"", line("4 2 0 1 0.001 4:1 -")),
        (Schema("size", "native"), b"", line("4 1 0 9 0.001 4:1 -")),
    ],
)
def test_a_damaged_series_is_counted_and_costs_no_other(schema: Schema, text: bytes, stored: bytes) -> None:
    """The rest of its chunk is on the page."""
    good = {"counter": "7", "histogram": "0.5 1 1", "native": "4 1 0 1 0.001 4:1 -"}[schema.type]
    beside = b'queue="good"' if schema is JOBS else b""
    decoder = SeriesDecoder(schema, OLDEST_MS)
    decoder.add_chunk([text, stored, beside, line(good)])
    assert (decoder.damaged, decoder.series) == (1, {beside: good.encode()})


@pytest.mark.parametrize("number", ["0.5", "1e5", "1e22", "1e+22", "1e-300", "1e+290", "1.7976931348623157e+308"])
def test_a_number_that_a_float_holds_is_good(number: str) -> None:
    """However large it is; beside it, others stay good."""
    decoder = SeriesDecoder(JOBS, OLDEST_MS)
    decoder.add_chunk([b'queue="a"', line(number), b'queue="b"', line("1")])
    assert decoder.series == {b'queue="a"': number.encode(), b'queue="b"': b"1"}
    assert decoder.damaged == 0


def test_series_of_an_earlier_page_keep_their_order() -> None:
    """New ones come last, in the order in which they are read, and those that are gone are gone."""
    decoder = SeriesDecoder(JOBS, OLDEST_MS, shown=[b'queue="a"', b'queue="gone"', b'queue="stale"', b'queue="z"'])
    decoder.add_chunk([b'queue="z"', line("4"), b'queue="new"', line("5")])
    decoder.add_chunk([b'queue="stale"', line("1", OLDEST_MS - 1), b'queue="a"', line("3")])
    assert list(decoder.series.items()) == [(b'queue="a"', b"3"), (b'queue="z"', b"4"), (b'queue="new"', b"5")]


def test_a_damaged_line_of_an_earlier_series_is_left_out() -> None:
    """That its text has been checked before does not make its numbers good."""
    decoder = SeriesDecoder(JOBS, OLDEST_MS, shown=[b'queue="a"', b'queue="b"'])
    decoder.add_chunk([b'queue="a"', line("3"), b'queue="b"', line("-4")])
    assert decoder.series == {b'queue="a"': b"3"}
    assert decoder.damaged == 1


@pytest.mark.parametrize("chunk", [1, 2, 7])
def test_a_series_seen_twice_counts_once(chunk: int) -> None:
    """Redis may show a field twice while it rehashes; that is no second series."""
    items = [part for number in range(7) for part in (b'queue="%d"' % number, pack_line([number], 1, 1))]
    decoder = SeriesDecoder(JOBS, 0)
    for start in range(0, len(items), 2 * chunk):
        decoder.add_chunk(items[start : start + 2 * chunk])
        decoder.add_chunk(items[:2])
    assert len(decoder.series) == 7

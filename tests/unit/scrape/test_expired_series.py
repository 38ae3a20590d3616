"""Which series and index entries a scrape finds that the store needs no longer."""

from __future__ import annotations

from lib.kairo_metrics.model.delivery_metrics import OVERFLOWED
from lib.kairo_metrics.model.encoding import pack_line
from lib.kairo_metrics.model.schema import Schema
from lib.kairo_metrics.model.snapshot import IndexEntry, Snapshot
from lib.kairo_metrics.scrape.decode import SeriesDecoder
from lib.kairo_metrics.scrape.expired_series import find_expired
from tests.support.instance import JOBS, WAIT

NOW_MS = 1_764_000_000_000
TTL_S = 3_600
LONG_AGO_MS = NOW_MS - TTL_S * 1000 - 1
LOAD = Schema("load", "gauge", ("instance_id",), mode="livemax")


def decoder(schema: Schema, *touched_ms: int) -> SeriesDecoder:
    """Decode series that were last written at these times."""
    found = SeriesDecoder(schema, NOW_MS - TTL_S * 1000, NOW_MS - 300_000)
    [label] = schema.labelnames
    for number, at_ms in enumerate(touched_ms):
        numbers = [0.0] * len(schema.shape)
        found.add_chunk([f'{label}="{number}"'.encode(), pack_line(numbers, at_ms, at_ms)])
    return found


def test_stale_series_and_values_of_ended_instances_are_found() -> None:
    """Series that no instance writes are found; series in use are not."""
    jobs, load = IndexEntry(0, JOBS, 1, NOW_MS), IndexEntry(0, LOAD, 1, NOW_MS)
    decoders = {
        jobs: decoder(JOBS, NOW_MS, LONG_AGO_MS),
        load: decoder(LOAD, NOW_MS, NOW_MS - 300_001, LONG_AGO_MS),
    }
    assert find_expired(Snapshot(NOW_MS, (jobs, load)), decoders, TTL_S) == {
        jobs: (b'queue="1"',),
        load: (b'instance_id="2"', b'instance_id="1"'),
    }


def test_a_family_without_series_leaves_the_index_once_it_is_old() -> None:
    """An empty family that no instance announces is found, but for the one that the store itself counts into."""
    old, young = IndexEntry(0, JOBS, 1, LONG_AGO_MS), IndexEntry(0, WAIT, 1, NOW_MS)
    overflowed = IndexEntry(0, OVERFLOWED, 1, LONG_AGO_MS)
    unread = IndexEntry(1, JOBS, 1, LONG_AGO_MS)
    decoders = {old: decoder(JOBS), young: decoder(WAIT), overflowed: decoder(OVERFLOWED)}
    assert find_expired(Snapshot(NOW_MS, (old, young, overflowed, unread)), decoders, TTL_S) == {old: (), unread: ()}


def test_one_scrape_finds_a_thousand_at_most() -> None:
    """Over all families together, so that no scrape keeps the store busy for long."""
    jobs, load, empty = IndexEntry(0, JOBS, 1, NOW_MS), IndexEntry(0, LOAD, 1, NOW_MS), IndexEntry(0, WAIT, 1, 1)
    decoders = {jobs: decoder(JOBS, *[LONG_AGO_MS] * 700), load: decoder(LOAD, *[LONG_AGO_MS] * 700)}
    found = find_expired(Snapshot(NOW_MS, (jobs, load, empty)), decoders, TTL_S)
    assert {entry.schema.name: len(texts) for entry, texts in found.items()} == {"jobs": 700, "load": 300}
    many = tuple(IndexEntry(shard, WAIT, 1, 1) for shard in range(1_500))
    assert len(find_expired(Snapshot(NOW_MS, many), {}, TTL_S)) == 1_000

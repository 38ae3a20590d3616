"""Native histograms: observations of instances merged exactly, in the format of each scraper."""

from __future__ import annotations

import math
import random
from io import BytesIO
from typing import Any

import pytest
from google.protobuf.proto import parse_length_prefixed

from lib.kairo_metrics import NativeHistogram
from lib.kairo_metrics.exposition import client_model_pb2 as model
from lib.kairo_metrics.exposition.negotiate import choose_format
from lib.kairo_metrics.model.native_counts import NativeCounts
from lib.kairo_metrics.scrape.collector import Limits, collect
from tests.support.adopted import adopted_registry
from tests.support.native_amounts import counts_of
from tests.support.recording import Recording

PROTOBUF = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"


async def test_other_scrapers_see_a_classic_histogram(recording: Recording) -> None:
    """The text formats have the classic buckets of the instrument, with every observation."""
    registry = adopted_registry()
    size = NativeHistogram("mail_size", "Size.", ["to"], schema=8, buckets=(1, 4, 16), registry=registry)
    for amount in (0, 0.4, 3, 4, 15.9, 1000):
        size.labels("a").observe(amount)
    shown = await recording.samples("mail_size")
    assert shown == {
        'mail_size_bucket{to="a",le="1.0"}': 2,
        'mail_size_bucket{to="a",le="4.0"}': 4,
        'mail_size_bucket{to="a",le="16.0"}': 5,
        'mail_size_bucket{to="a",le="+Inf"}': 6,
        'mail_size_count{to="a"}': 6,
        'mail_size_sum{to="a"}': 1023.3,
    }
    assert registry.get_sample_value("mail_size_bucket", {"to": "a", "le": "4.0"}) == 4
    assert registry.get_sample_value("mail_size_sum", {"to": "a"}) == pytest.approx(1023.3)


@pytest.mark.parametrize("amounts", [[], [0.0], [1.0, 1.05, 1.1, 9.0, -3.0, 0.0]])
async def test_the_messages_hold_the_buckets(recording: Recording, amounts: list[float]) -> None:
    """The spans and deltas in protobuf are the buckets, and an empty histogram is a native one, too."""
    size = NativeHistogram("mail_size", "Size.", schema=2, registry=adopted_registry())
    for amount in amounts:
        size.observe(amount)
    await recording.pipeline.flusher.aflush()
    taken = (await collect(recording.store, Limits(3600))).page
    page = BytesIO(b"".join(choose_format(PROTOBUF).render(taken)))
    messages = {family.name: family for family in iter(lambda: parse_length_prefixed(model.MetricFamily, page), None)}
    [metric] = messages["mail_size"].metric
    histogram, expected = metric.histogram, counts_of(amounts, 2, 2.938735877055719e-39)
    assert (histogram.sample_count, histogram.sample_sum) == (expected.count, expected.sum)
    assert (histogram.schema, histogram.zero_count) == (2, expected.zero_count)
    assert side(histogram.positive_span, histogram.positive_delta) == expected.positive
    assert side(histogram.negative_span, histogram.negative_delta) == expected.negative
    assert len(histogram.positive_span) + len(histogram.negative_span) > 0


def side(spans: Any, deltas: Any) -> dict[int, int]:
    """Read the buckets from spans and deltas, as the format describes."""
    found, index, count, rest = {}, 0, 0, list(deltas)
    for span in spans:
        index += span.offset
        for _ in range(span.length):
            count += rest.pop(0)
            found[index] = count
            index += 1
    return found


async def test_the_number_of_buckets_is_capped(recording: Recording) -> None:
    """If observations need too many buckets, the resolution gets coarser, and none is lost."""
    size = NativeHistogram("mail_size", "Size.", schema=8, max_buckets=20, registry=adopted_registry())
    chance = random.Random(7)
    for _ in range(5):
        for _ in range(200):
            size.observe(math.exp(chance.uniform(-20, 20)))
        await recording.pipeline.flusher.aflush()
    [family] = [f for f in (await collect(recording.store, Limits(3600))).page.families if f.schema.type == "native"]
    [line] = family.series.values()
    counted = NativeCounts.parse(line.decode().split())
    assert len(counted.positive) <= 20
    assert counted.positive.total() == counted.count == 1_000


async def test_not_a_number_is_counted_as_lost_and_infinity_has_its_bucket(recording: Recording) -> None:
    """A NaN is a loss, as it would make the sum NaN for ever; infinity is counted above the last bucket."""
    size = NativeHistogram("mail_size", "Size.", registry=adopted_registry())
    size.observe(math.nan)
    size.observe(math.inf)
    shown = await recording.samples("mail_size")
    assert (shown['mail_size_bucket{le="10.0"}'], shown["mail_size_count"]) == (0, 1)
    assert await recording.samples('kairo_samples_lost_total{family="mail_size"}') != {}


async def test_it_is_removed_and_timed_like_any_other(recording: Recording) -> None:
    """`remove` and `time` work as in a Histogram."""
    size = NativeHistogram("mail_wait", "Wait.", ["to"], registry=adopted_registry())
    with size.labels("a").time():
        pass
    size.labels("b").observe(1)
    assert len(await recording.samples("mail_wait_count")) == 2
    size.remove("b")
    assert list(await recording.samples("mail_wait_count")) == ['mail_wait_count{to="a"}']


@pytest.mark.parametrize(
    ("wrong", "named"),
    [({"schema": 9}, "schema"), ({"zero_threshold": -1}, "zero_threshold"), ({"max_buckets": 0}, "max_buckets")],
)
def test_an_argument_out_of_its_range_is_named(wrong: dict[str, Any], named: str) -> None:
    """The error names the argument and its range."""
    with pytest.raises(ValueError, match=named):
        NativeHistogram("size", "Size.", registry=adopted_registry(), **wrong)

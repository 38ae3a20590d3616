"""Points of the SDK become series without a change in what they mean."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.sdk.metrics import MeterProvider, UpDownCounter
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    ExponentialHistogramDataPoint,
    Histogram,
    HistogramDataPoint,
    InMemoryMetricReader,
    Metric,
    NumberDataPoint,
    Sum,
)
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View

from lib.kairo_metrics.instruments.native_histogram import ZERO_THRESHOLD
from lib.kairo_metrics.integrations.opentelemetry.metric_families import Families
from lib.kairo_metrics.integrations.opentelemetry.points import native_counts
from lib.kairo_metrics.integrations.opentelemetry.reader import KairoMetricReader
from lib.kairo_metrics.model.native_counts import COARSEST, FINEST, NativeCounts, upper_bound
from lib.kairo_metrics.testing import MemoryStore, counted, isolated_metrics, page
from tests.support.telemetry import metering

DELTA = AggregationTemporality.DELTA
SCALES = st.integers(-4, 8)


def observed(amounts: list[float], max_scale: int = 20, max_size: int = 160) -> ExponentialHistogramDataPoint:
    """Return the point that the SDK makes of these amounts."""
    # A histogram takes no amounts below zero.
    reader = InMemoryMetricReader(preferred_temporality={UpDownCounter: DELTA})
    views = [View(instrument_name="*", aggregation=ExponentialBucketHistogramAggregation(max_size, max_scale))]
    provider = MeterProvider([reader], views=views, shutdown_on_exit=False)
    wait = provider.get_meter("shop").create_up_down_counter("wait")
    for amount in amounts:
        wait.add(amount)
    data: Any = reader.get_metrics_data()
    provider.shutdown()
    (point,) = data.resource_metrics[0].scope_metrics[0].metrics[0].data.data_points
    assert isinstance(point, ExponentialHistogramDataPoint)
    return point


@given(SCALES, st.lists(st.tuples(st.integers(-40, 40), st.sampled_from([1, -1])), min_size=1, max_size=20))
def test_the_scale_is_the_schema(scale: int, places: list[tuple[int, int]]) -> None:
    """Each observation falls into the bucket of a native histogram with the same resolution."""
    middle = 2.0 ** (2.0**-scale * -0.5)  # at a bound itself the SDK may round
    amounts = [sign * upper_bound(index, scale) * middle for index, sign in places if index << 4 < 1 << 12]
    expected = NativeCounts(scale, ZERO_THRESHOLD)
    for amount in [*amounts, 0.0]:
        expected.observe(amount)
    counts = native_counts(observed([*amounts, 0.0], scale, 160))
    if not amounts:
        expected.schema = FINEST
    assert counts.sum == pytest.approx(expected.sum)
    counts.sum = expected.sum
    assert counts == expected


def test_a_finer_scale_than_there_is() -> None:
    """The SDK begins with 2^20 buckets for each power of two; they are joined to 2^8, the most that Prometheus has."""
    point = observed([1.0, 1.0001, 1.0002, 1.005])
    assert point.scale > FINEST
    counts = native_counts(point)
    assert counts.schema == FINEST
    assert counts.adds_up
    assert counts.positive == Counter({0: 1, 1: 2, 2: 1})


def test_a_coarser_scale_than_there_is() -> None:
    """Buckets that are wider than those of Prometheus are counted where they end; nothing is lost."""
    point = observed([1e-300, 1.5, 1e300], max_size=2)
    assert point.scale < COARSEST
    counts = native_counts(point)
    assert (counts.schema, counts.count, counts.adds_up) == (COARSEST, 3, True)
    for amount in (1.5, 1e300):
        assert sum(n for index, n in counts.positive.items() if upper_bound(index, COARSEST) >= amount) >= 1


def test_zeros_do_not_make_a_histogram_coarse() -> None:
    """Zeros alone have the SDK's scale 0; they leave the resolution of what was observed before."""
    counts = native_counts(observed([1.5]))
    counts.add(native_counts(observed([0.0, 0.0])))
    assert (counts.schema, counts.count, counts.zero_count) == (FINEST, 3, 2)


def test_native_histograms_of_instances_add_up() -> None:
    """Flush by flush the counts are added, and a scraper without native histograms gets classic buckets."""
    views = [View(instrument_name="*", aggregation=ExponentialBucketHistogramAggregation())]
    with isolated_metrics(), metering(KairoMetricReader(), views=views) as meter:
        wait, size = meter.create_histogram("wait", "s"), meter.create_histogram("size", "By")
        for amount in (0.02, 3):
            wait.record(amount)
            size.record(amount * 1000)
            assert counted("wait_seconds_count") == (1 if amount < 1 else 2)
        assert counted("wait_seconds_sum") == 3.02
        assert counted("wait_seconds_bucket", le=0.025) == 1
        assert counted("size_bytes_bucket", le=25) == 1
        assert counted("size_bytes_bucket", le=5000) == 2


def test_a_native_histogram_has_so_many_buckets() -> None:
    """Observations far from each other make it coarser: there are 160 buckets at most, also over many flushes."""
    views = [View(instrument_name="*", aggregation=ExponentialBucketHistogramAggregation(max_scale=8))]
    with isolated_metrics() as isolation, metering(KairoMetricReader(), views=views) as meter:
        load = meter.create_up_down_counter("load")
        for power in range(400):
            load.add(1.1**power)
            load.add(-(1.1**power))
            if power % 50 == 0:
                isolation.flush()
        assert counted("load_count") == 800
        assert isinstance(isolation.store, MemoryStore)
        [words] = [
            line.numbers
            for shard in isolation.store._shards
            for family in shard.families.values()
            for line in family.lines.values()
            if family.schema.name == "load"
        ]
        line = NativeCounts.parse(map(str, words))
        assert 80 < len(line.positive) + len(line.negative) <= 160


def number(value: Any) -> NumberDataPoint:
    return NumberDataPoint({"kind": "a"}, 0, 1, value)


UNDEFINED: dict[str, Sum | Histogram] = {
    "counter": Sum([number(math.nan)], DELTA, is_monotonic=True),
    "total": Sum([number(math.nan)], AggregationTemporality.CUMULATIVE, is_monotonic=True),
    "histogram": Histogram([HistogramDataPoint({}, 0, 1, 1, math.nan, [1, 0], [1.0], 0, 0)], DELTA),
}


@pytest.mark.parametrize("kind", UNDEFINED)
def test_numbers_that_are_none(kind: str) -> None:
    """Older versions of the SDK take NaN: it is counted as lost, and the sum goes on."""
    with isolated_metrics():
        data = UNDEFINED[kind]
        Families("").record(Metric("odd", "", "", data), data.data_points[0], "scope", [])
        assert counted("kairo_samples_lost_total", family="odd") == 1
        assert "NaN" not in page()


def test_an_unknown_kind() -> None:
    """A kind of metric that a later SDK may have is an error, which the reader counts."""
    with pytest.raises(ValueError, match="object is not known"):
        Families("").record(Metric("odd", "", "", object()), number(1), "scope", [])  # type: ignore[arg-type]


def test_scopes_that_no_label_tells_apart() -> None:
    """Two libraries that have a callback of the same name each count for themselves."""
    totals = {"a": 5.0, "b": 100.0}

    families = Families("")
    metric = Metric("seen", "", "", Sum([], AggregationTemporality.CUMULATIVE, is_monotonic=True))
    with isolated_metrics():
        for _ in range(2):
            for scope, total in totals.items():
                families.record(metric, number(total), scope, [])
        totals["a"] += 1
        for scope, total in totals.items():
            families.record(metric, number(total), scope, [])
        assert counted("seen_total") == 106

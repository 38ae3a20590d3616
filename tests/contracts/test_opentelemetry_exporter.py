"""What a program counts with OpenTelemetry looks as its own exporter for Prometheus shows it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.exporter.prometheus import PrometheusMetricReader, _mapping
from opentelemetry.sdk.metrics import Meter
from opentelemetry.sdk.metrics.view import (
    DropAggregation,
    ExplicitBucketHistogramAggregation,
    LastValueAggregation,
    SumAggregation,
    View,
)
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from lib.kairo_metrics import KairoMetricReader
from lib.kairo_metrics.integrations.opentelemetry.prometheus_names import family_name, label_name, unit_name
from lib.kairo_metrics.testing import isolated_metrics, page
from tests.support.telemetry import Shown, metering, shown, telling

Count = Callable[[Meter], None]
ANY_TEXT = st.text(st.sampled_from("aB9_:./{} %-é\u0660"), max_size=12)
UNITS = st.one_of(
    st.sampled_from([*_mapping._UNIT_MAPPINGS, "{request}", "By/s", "m/mo", "/s", "s/", "{x}/s"]), ANY_TEXT
)


@given(ANY_TEXT)
def test_names_are_made_valid_by_the_same_rule(text: str) -> None:
    """The name of a metric and that of a label lose the same letters."""
    assert family_name(text, "") == _mapping.sanitize_full_name(text)
    assert label_name(text) == _mapping.sanitize_attribute(text)


@given(UNITS)
def test_units_are_the_same_suffix(unit: str) -> None:
    """A unit adds the same word."""
    assert unit_name(unit) == _mapping.map_unit(unit)


@given(st.text("ab_", min_size=1, max_size=4), st.sampled_from(["", "_total", "_seconds", "_seconds_total"]), UNITS)
def test_suffixes_stand_in_the_same_order(stem: str, suffix: str, unit: str) -> None:
    """A name that has its unit or `_total` already gets it once more where the exporter does so, and nowhere else."""
    name, unit = _mapping.sanitize_full_name(f"a{stem}{suffix}"), unit_name(unit)
    assert family_name(name, unit) == GaugeMetricFamily(name, "", unit=unit).name
    assert family_name(name, unit, is_counter=True) == CounterMetricFamily(name, "", unit=unit).name


def numbers(meter: Meter) -> None:
    """Count with each instrument whose points are numbers."""
    orders = meter.create_counter("orders.placed", "1", "Orders")
    orders.add(2, {"kind": "book", "http.status": 200, "cached": True})
    orders.add(0.5, {"kind": "game"})
    orders.add(1)
    meter.create_counter("sent_total", "By", "Sent").add(3)
    active = meter.create_up_down_counter("active", "{request}", "Active")
    active.add(3, {"way": "in"})
    active.add(-5, {"way": "in"})
    meter.create_gauge("temperature", "Cel", "Warm").set(-4.5, {"room": "a"})


def callbacks(meter: Meter) -> None:
    """Tell with each instrument that has a callback."""
    meter.create_observable_counter("cpu.time", telling({"user": 5.5, "system": 1}), "s", "CPU")
    meter.create_observable_up_down_counter("queue", telling({"jobs": -3, "mails": 4}), "{item}", "Queue")
    meter.create_observable_gauge("memory", telling({"rss": 1 << 40}), "By", "Memory")


def histograms(meter: Meter) -> None:
    """Observe, at the bounds and beyond, with the SDK's own bounds and with others."""
    whole = meter.create_histogram("size", "By", "Sizes")
    for amount in (0, 5, 5.1, 10_000, 10_001):
        whole.record(amount, {"kind": "book"})
    chosen = meter.create_histogram("wait", "s", "Wait", explicit_bucket_boundaries_advisory=[0.1, 1, 2.5])
    for amount in (0.05, 0.1, 1, 3):
        chosen.record(amount, {"queue": "a"})
    chosen.record(2)


def hard_labels(meter: Meter) -> None:
    """Count with attributes that are no labels as they are."""
    counter = meter.create_counter("hard")
    counter.add(1, {"list": ("a", "b"), "number": 0.5, "empty": "", "quote": 'a"b\\c\n', "2nd": "x", "a.b-c": "é"})
    counter.add(2, {"list": (1, 2), "mixed.up": "x", "mixed_up": "y"})


def viewed(meter: Meter) -> None:
    """Count what the views below change."""
    meter.create_counter("renamed.by.view", "s", "Before").add(2, {"kept": "a", "dropped": "b"})
    meter.create_counter("dropped").add(1)
    meter.create_histogram("summed").record(3)
    meter.create_histogram("bounded", "ms").record(3)
    meter.create_histogram("without_bounds", "ms").record(3)
    meter.create_counter("last", "{try}").add(7)
    latency = meter.create_counter("latency")
    for amount in (1, 2, 30):
        latency.add(amount)


VIEWS = (
    View(instrument_name="renamed.by.view", name="after.view", description="After", attribute_keys={"kept"}),
    View(instrument_name="dropped", aggregation=DropAggregation()),
    View(instrument_name="summed", aggregation=SumAggregation()),
    View(instrument_name="bounded", aggregation=ExplicitBucketHistogramAggregation([1, 2, 4])),
    View(instrument_name="without_bounds", aggregation=ExplicitBucketHistogramAggregation([])),
    View(instrument_name="last", name="2nd.try", aggregation=LastValueAggregation()),
    View(instrument_name="latency", aggregation=ExplicitBucketHistogramAggregation([1, 10])),
)
OPTIONS: dict[str, dict[str, Any]] = {
    "as it is": {},
    "a prefix": {"prefix": "my.shop"},
    "no scope": {"scope_info_enabled": False},
    "resource": {"resource_attribute_filter": lambda key: key in {"service.name", "telemetry.sdk.language"}},
    "no target": {"disable_target_info": True},
}


@pytest.fixture(autouse=True)
def _metrics() -> Iterator[None]:
    with isolated_metrics():
        yield


def both(count: Count, **options: Any) -> tuple[dict[str, Shown], dict[str, Shown]]:
    """Count, and return what we show and what the exporter shows."""
    registry = CollectorRegistry()
    exporter = PrometheusMetricReader(registry=registry, **options)
    others = shown(page(openmetrics=True)).keys()  # other tests of this process have declared instruments
    with metering(KairoMetricReader(**options), exporter, views=VIEWS) as meter:
        count(meter)
        ours = shown(page(openmetrics=True))
        return {name: family for name, family in ours.items() if name not in others}, shown(registry.collect())


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize("count", [numbers, callbacks, histograms, hard_labels, viewed])
def test_a_program_looks_the_same(count: Count, options: dict[str, Any]) -> None:
    """Families, types, help texts, labels, buckets and values are those of the exporter, whatever is chosen."""
    ours, theirs = both(count, **options)
    if target := theirs.pop("target", None):
        # Ours is one for all instances, so it has no id of one.
        ((name, labels),) = target.samples
        kept = frozenset((label, value) for label, value in labels if label != "service_instance_id")
        assert ours.pop("target") == target._replace(samples={(name, kept): 1})
    assert ours == theirs

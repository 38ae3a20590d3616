"""What OpenTelemetry's instruments count is shown once and rightly, whatever a callback tells."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Iterator
from typing import Any
from unittest.mock import Mock

import pytest
from opentelemetry.metrics import Observation
from opentelemetry.sdk.metrics import AlwaysOnExemplarFilter, MeterProvider, MetricsTimeoutError
from opentelemetry.sdk.metrics.view import View
from opentelemetry.sdk.trace import TracerProvider

from lib.kairo_metrics import KairoMetricReader, Settings, instrument, measured
from lib.kairo_metrics.instruments.recorder import RECORDER
from lib.kairo_metrics.testing import Isolation, counted, isolated_metrics, page
from tests.support.telemetry import metering, telling


@pytest.fixture(autouse=True)
def isolation() -> Iterator[Isolation]:
    """Give a block in which the process counts in memory."""
    with isolated_metrics() as isolation:
        yield isolation


def test_what_is_counted_is_sent_once(isolation: Isolation) -> None:
    """Each flush sends what was counted since the one before, and no total again."""
    with metering(KairoMetricReader()) as meter:
        orders = meter.create_counter("orders")
        for _ in range(3):
            orders.add(2)
            isolation.flush()
            isolation.flush()
    assert counted("orders_total") == 6


def test_a_callback_that_begins_at_zero_again() -> None:
    """A total that goes down has begun anew: the counter goes on, and never down."""
    told = {"a": 5.0, "b": 1.0}
    with metering(KairoMetricReader()) as meter:
        meter.create_observable_counter("seen", telling(told))
        totals = []
        for total in (5, 8, 8, 2, 3):
            told["a"] = total
            totals.append(counted("seen_total", kind="a"))
        assert totals == [5, 8, 8, 10, 11]
        assert counted("seen_total", kind="b") == 1


def test_a_callback_that_tells_nothing_for_a_while() -> None:
    """What a callback leaves out once is not counted again when it comes back."""
    told = {"a": 5.0}
    with metering(KairoMetricReader()) as meter:
        meter.create_observable_counter("seen", telling(told))
        assert counted("seen_total") == 5
        told.clear()
        assert counted("seen_total") == 5
        told["a"] = 6
        assert counted("seen_total") == 6


@pytest.mark.parametrize("odd", [float("nan"), float("inf"), -1.0])
def test_odd_totals(odd: float) -> None:
    """A total that no counter can have spoils nothing that comes later."""
    told = {"a": 5.0}
    with metering(KairoMetricReader()) as meter:
        meter.create_observable_counter("seen", telling(told))
        for total in (5, odd, 7):
            told["a"] = total
            page()
        assert counted("seen_total") == 7


def test_what_an_instance_holds_is_taken_back() -> None:
    """An observable up-down counter shows what its callback tells now; what it leaves out may come back."""
    told = {"a": 5.0, "b": 2.0}
    with metering(KairoMetricReader(scope_info_enabled=False)) as meter:
        meter.create_observable_up_down_counter("queue", telling(told))
        meter.create_observable_up_down_counter("all", [lambda _: [Observation(1)] if told else []])
        assert (counted("queue", kind="a"), counted("queue", kind="b"), counted("all")) == (5, 2, 1)
        del told["a"]
        told["b"] = -1
        assert 'queue{kind="a"}' not in page()
        assert counted("queue") == -1
        told.clear()
        assert "queue{" not in page()
        assert "\nall " not in page()
        told["a"] = 3
        assert (counted("queue"), counted("all")) == (3, 1)


def test_attributes_differ_from_point_to_point() -> None:
    """Points with other attributes stand side by side, each with its own labels."""
    with metering(KairoMetricReader(scope_info_enabled=False)) as meter:
        orders = meter.create_counter("orders")
        for attributes in ({"kind": "book"}, {"kind": "book", "way": "web"}, {}, {"way": "web"}):
            orders.add(1, attributes)
        shown = page()
    for labels in ('{kind="book"}', '{kind="book",way="web"}', "", '{way="web"}'):
        assert f"\norders_total{labels} 1\n" in shown


def test_attribute_names_that_clients_choose() -> None:
    """A metric has a hundred sets of label names at most; the rest is counted together, and the page says so."""
    with metering(KairoMetricReader(scope_info_enabled=False)) as meter:
        orders = meter.create_counter("orders")
        for number in range(120):
            orders.add(1, {f"name{number}": "x"})
        assert counted("orders_total") == 120
        assert 'orders_total{otel_metric_overflow="true"} 20\n' in page()
        assert counted("kairo_samples_overflowed_total", family="orders") == 20


def test_attribute_values_that_clients_choose() -> None:
    """A family has as many series as `METRICS_MAX_SERIES` says; the rest is counted together."""
    settings = Settings(enabled=True, auth_tokens=("test",), namespace="test", max_series=5)
    with isolated_metrics(settings), metering(KairoMetricReader(scope_info_enabled=False)) as meter:
        told = {f"user{number}": 2.0 for number in range(8)}
        meter.create_observable_counter("seen", telling(told))
        orders = meter.create_counter("orders")
        for number in range(8):
            orders.add(1, {"user": number})
        assert counted("orders_total", user="__overflow__") == 3
        assert counted("seen_total", kind="__overflow__") == 6
        told["user7"] = 3
        assert counted("seen_total") == 17
        meter.create_observable_up_down_counter("queue", telling(told))
        assert counted("queue", kind="__overflow__") == 2 + 2 + 3


def test_labels_that_a_family_has_itself() -> None:
    """An attribute with the name of a label of Prometheus' own gets another name, and spoils nothing."""
    with metering(KairoMetricReader(scope_info_enabled=False)) as meter:
        meter.create_histogram("wait", explicit_bucket_boundaries_advisory=[1]).record(2, {"le": "x"})
        meter.create_observable_up_down_counter("held", [lambda _: [Observation(2, {"instance_id": "x"})]])
        assert 'wait_bucket{exported_le="x",le="+Inf"} 1\n' in page()
        assert 'held{exported_instance_id="x"} 2\n' in page()


def test_a_metric_that_cannot_be_shown(caplog: pytest.LogCaptureFixture) -> None:
    """A value that no page can hold is counted as lost and logged once; the others are sent."""
    with metering(KairoMetricReader()) as meter:
        good, bad = meter.create_counter("good"), meter.create_counter("bad")
        for _ in range(2):
            for _ in range(2):
                bad.add(int(1.7e308), {"kind": "large"})
            bad.add(1, {"kind": "small"})
            good.add(1)
            page()
        assert (counted("good_total"), counted("bad_total")) == (2, 2)
        assert counted("kairo_samples_lost_total", family="bad") == 2
    assert [record.message for record in caplog.records if record.name == "kairo_metrics"] == [
        "OpenTelemetry's metric bad is not sent: int too large to convert to float"
    ]


def test_a_callback_that_fails(caplog: pytest.LogCaptureFixture) -> None:
    """What other instruments count is sent; the SDK logs the error."""

    def fail(_options: object) -> list[Observation]:
        raise ValueError("no sensor")

    with metering(KairoMetricReader()) as meter:
        meter.create_observable_gauge("broken", [fail])
        meter.create_counter("good").add(1)
        assert counted("good_total") == 1
    assert "no sensor" in caplog.text


def test_a_collection_that_fails(caplog: pytest.LogCaptureFixture) -> None:
    """A callback that takes too long ends the collection: the failure is counted, and the next one has all of it."""
    with metering(reader := KairoMetricReader()) as meter:
        meter.create_counter("good").add(1)
        collect: Any = reader._collect
        reader._set_collect_callback(Mock(side_effect=MetricsTimeoutError("Timed out while executing callback")))
        assert counted("kairo_samples_lost_total", family="opentelemetry") == 1
        reader._set_collect_callback(collect)
        assert counted("good_total") == 1
    assert "Timed out while executing callback" in caplog.text


def test_a_name_of_ours(caplog: pytest.LogCaptureFixture) -> None:
    """A metric with a name that this package measures under is left out, and the log says so."""

    @measured
    def job() -> None:
        meter.create_counter("function.invocations").add(5, {"function": "job"})

    caplog.set_level(logging.INFO, "kairo_metrics")
    with metering(KairoMetricReader()) as meter:
        job()
        assert counted("function_invocations_total") == 1
    assert "your counter function_invocations_total is not sent" in caplog.text


def test_two_metrics_that_are_shown_alike() -> None:
    """Libraries whose metrics have the same name and labels share one series; the page stays valid."""
    provider = MeterProvider([KairoMetricReader(scope_info_enabled=False)], shutdown_on_exit=False)
    for scope in ("one", "two"):
        meter = provider.get_meter(scope)
        meter.create_counter("orders").add(2, {"kind.of": "book"})
        meter.create_counter("orders").add(3, {"kind_of": "book"})
        meter.create_histogram("wait").record(4)
        meter.create_observable_up_down_counter("queue", telling({"a": 5}))
    assert page().count("\norders_total{") == 1
    assert (counted("orders_total", kind_of="book"), counted("wait_sum"), counted("queue")) == (10, 8, 10)
    provider.shutdown()


def test_exemplars_have_the_trace() -> None:
    """A counter and the buckets of a histogram show the trace, and what a view has taken out if there is room."""
    tracer = TracerProvider().get_tracer("shop")
    views = [View(instrument_name="orders", attribute_keys={"kind"})]
    with metering(KairoMetricReader(scope_info_enabled=False), views=views) as meter:
        with tracer.start_as_current_span("order") as span:
            meter.create_counter("orders").add(2, {"kind": "book", "user": "ada", "agent": "x" * 200})
            wait = meter.create_histogram("wait", explicit_bucket_boundaries_advisory=[1, 2])
            wait.record(0.5)
            wait.record(1.5)
        meter.create_counter("untraced").add(1)
        shown = page(openmetrics=True)
    context = span.get_span_context()
    trace = f'trace_id="{context.trace_id:032x}"'
    ids = f'span_id="{context.span_id:016x}",{trace}'
    assert f'orders_total{{kind="book"}} 2 # {{{ids},user="ada"}} 2' in shown
    assert f'wait_bucket{{le="1.0"}} 1 # {{{ids}}} 0.5' in shown
    assert f'wait_bucket{{le="2.0"}} 2 # {{{ids}}} 1.5' in shown
    assert "untraced_total 1\n" in shown


def test_an_exemplar_without_a_trace_is_none() -> None:
    """A filter that takes every measurement does not make exemplars without labels."""
    provider = MeterProvider([KairoMetricReader()], exemplar_filter=AlwaysOnExemplarFilter(), shutdown_on_exit=False)
    provider.get_meter("shop").create_counter("orders").add(1)
    assert " # " not in page(openmetrics=True)
    provider.shutdown()


def test_nothing_is_counted_after_the_end_of_a_provider() -> None:
    """Its end sends what is counted; what comes later is not collected."""
    with metering(KairoMetricReader()) as meter:
        orders = meter.create_counter("orders")
        orders.add(1)
    orders.add(1)
    assert counted("orders_total") == 1


@pytest.mark.skipif(not hasattr(MeterProvider, "add_metric_reader"), reason="this SDK takes no reader later")
def test_a_reader_without_a_provider(caplog: pytest.LogCaptureFixture) -> None:
    """It does nothing until a provider has it, also one that gets it later."""
    reader = KairoMetricReader()
    page()
    assert caplog.text == ""
    provider = MeterProvider(shutdown_on_exit=False)
    provider.get_meter("shop").create_counter("early").add(1)
    provider.add_metric_reader(reader)
    provider.get_meter("shop").create_counter("late").add(1)
    assert counted("late_total") == 1
    provider.shutdown()


def test_a_callback_may_flush(isolation: Isolation) -> None:
    """A callback that flushes does not wait for itself."""

    def callback(_options: object) -> list[Observation]:
        isolation.flush()
        return [Observation(3)]

    with metering(KairoMetricReader()) as meter:
        meter.create_observable_gauge("level", [callback])
        assert counted("level") == 3


def test_a_block_of_a_test_counts_for_itself() -> None:
    """What was counted before a block of `isolated_metrics` is not in it, and what it counts not in the one around."""
    with metering(KairoMetricReader()) as meter:
        orders = meter.create_counter("orders")
        load = meter.create_up_down_counter("load")
        for instrument_of in (orders, load):
            instrument_of.add(1)
        with isolated_metrics():
            for instrument_of in (orders, load):
                instrument_of.add(10)
            assert (counted("orders_total"), counted("load")) == (10, 10)
        with isolated_metrics():
            assert "orders" not in page()
        for instrument_of in (orders, load):
            instrument_of.add(100)
        assert (counted("orders_total"), counted("load")) == (101, 101)


def test_metrics_that_are_off_are_never_collected() -> None:
    """While metrics are off nothing is collected, `force_flush` succeeds, and the app is the one that was given."""

    async def app(scope: object, receive: object, send: object) -> None: ...

    with isolated_metrics(Settings(enabled=False)):
        asked: list[object] = []

        def callback(options: object) -> list[Observation]:
            asked.append(options)
            return []

        with metering(reader := KairoMetricReader()) as meter:
            meter.create_observable_gauge("level", [callback])
            assert instrument(app) is app
            assert measured(lambda: 7)() == 7
            assert reader.force_flush()
        assert asked == []
        assert not RECORDER.pending


MISSING = """
import sys
sys.modules["opentelemetry.sdk"] = None
import lib.kairo_metrics
try:
    from lib.kairo_metrics import KairoMetricReader
except ImportError as err:
    print(err)
"""
OLD = """
import opentelemetry.sdk.version as version
version.__version__ = "1.9.1"
from lib.kairo_metrics import KairoMetricReader
"""


@pytest.mark.parametrize(("code", "found"), [(MISSING, "it can't be imported"), (OLD, "version 1.9.1 is installed")])
def test_an_sdk_that_is_missing_or_too_old(code: str, found: str) -> None:
    """The error says what is there, what is needed and how to install it; the package itself needs no SDK."""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    said = ran.stdout or ran.stderr.splitlines()[-1]
    assert "KairoMetricReader needs opentelemetry-sdk 1.30 or newer, and" in said
    assert found in said
    assert 'pip install "opentelemetry-sdk>=1.30"' in said

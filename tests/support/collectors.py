"""Collectors of a program: of every type, and with every fault."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from prometheus_client import Metric
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeHistogramMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    StateSetMetricFamily,
    SummaryMetricFamily,
    UnknownMetricFamily,
)
from prometheus_client.samples import Exemplar

from tests.support.client_versions import has_utf_8_names

__all__ = ["Stock", "every_type", "faulty"]


class Stock:
    """A collector that returns what a function returns.

    Args:
        collect: what it collects; by default the level of one item.
    """

    def __init__(self, collect: Callable[[], Iterable[Metric]] | None = None) -> None:
        self._collect = collect or (lambda: [GaugeMetricFamily("stock_level", "Items in stock.", 7)])

    def describe(self) -> Iterable[Metric]:
        """Tell no names, as collectors that do not know them before."""
        return []

    def collect(self) -> Iterable[Metric]:
        """Return the families."""
        return self._collect()


def every_type() -> Iterable[Metric]:
    """Return a family of each type, with labels, exemplars and created times where the type has them."""
    made = Metric("made", "Made.", "counter")
    made.add_sample("made_total", {}, 3, exemplar=Exemplar({"trace_id": "4bf9"}, 1.0, 1_764_000_001))
    made.add_sample("made_created", {}, 1_764_000_000.5)
    yield made
    gauge = GaugeMetricFamily("level_ratio", "Level.", labels=["shelf"], unit="ratio")
    gauge.add_metric(['a"b\n\\'], 0.5)
    gauge.add_metric(["b"], float("nan"))
    yield gauge
    yield UnknownMetricFamily("legacy", "Of another system.", 4)
    waits = HistogramMetricFamily("wait", "Waits.", labels=["queue"])
    waits.add_metric(["a"], [("1.0", 2, Exemplar({"trace_id": "00f0"}, 0.7)), ("+Inf", 5)], 7.5)
    waits.add_metric(["b"], [("0.5", 1), ("+Inf", 1)], None)
    yield waits
    yield HistogramMetricFamily("drift", "With a bound below zero.", [("-1.0", 1), ("+Inf", 2)], -3)
    yield GaugeHistogramMetricFamily("sizes", "Sizes now.", [("1.0", 2), ("+Inf", 5)], 7)
    yield SummaryMetricFamily("rpc", "Calls.", 3, 4.5)
    quantiles = Metric("delay", "Delays.", "summary")
    quantiles.add_sample("delay", {"quantile": "0.5", "zone": "a"}, 0.2)
    quantiles.add_sample("delay", {"quantile": "0.99", "zone": "a"}, 0.9)
    quantiles.add_sample("delay_count", {"zone": "a"}, 10)
    quantiles.add_sample("delay_sum", {"zone": "a"}, 3)
    quantiles.add_sample("delay", {"quantile": "0.5", "zone": "b"}, 0.3)
    yield quantiles
    yield InfoMetricFamily("build", "Build.", {"version": "1.2"})
    yield StateSetMetricFamily("mode", "Mode.", {"on": True, "off": False})
    yield GaugeMetricFamily("näme.with dots" if has_utf_8_names else "n_me_with_dots", "Beyond the classic letters.", 5)


def faulty() -> Iterable[Metric]:
    """Return families that no page can show, and one that it can."""
    yield CounterMetricFamily("sunk", "Below zero.", -1)
    yield CounterMetricFamily("unknown_number", "No number.", float("nan"))
    twice = GaugeMetricFamily("twice", "Each sample twice.", labels=["shelf"])
    twice.add_metric(["a"], 1)
    twice.add_metric(["a"], 2)
    yield twice
    yield HistogramMetricFamily("falling", "Its buckets fall.", [("1.0", 3), ("+Inf", 1)], 2)
    yield HistogramMetricFamily("endless", "No last bucket.", [("1.0", 3)], 2)
    yield HistogramMetricFamily("halves", "Half an observation.", [("1.0", 0.5), ("+Inf", 1.5)], 2)
    other = Metric("other", "Samples of another family.", "gauge")
    other.add_sample("something_else", {}, 1)
    other.add_sample("other", {"__name__": "x"}, 1)
    other.add_sample("other", {"": "x"}, 1)
    other.add_sample("other", {}, "seven")  # type: ignore[arg-type]
    yield other
    states = Metric("states", "No state, and a state between.", "stateset")
    states.add_sample("states", {}, 1)
    states.add_sample("states", {"states": "on"}, 0.5)
    yield states
    late = GaugeMetricFamily("measured_before", "With a time of its own.")
    late.add_metric([], 6, timestamp=1_700_000_000)
    yield late
    odd = Metric("odd", "An exemplar where none may be.", "gauge")
    odd.add_sample("odd", {}, 1, exemplar=Exemplar({"trace_id": "1"}, 1.0))
    yield odd
    strange = Metric("strange", "A type that does not exist.", "gauge")
    strange.type = "spectrum"
    strange.add_sample("strange", {}, 1)
    yield strange
    nameless = Metric("nameless", "No name.", "gauge")
    nameless.name = ""
    nameless.add_sample("", {}, 1)
    yield nameless

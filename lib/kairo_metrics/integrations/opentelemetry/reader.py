"""OpenTelemetry's metrics: a reader for a meter provider, whose metrics are sent with ours.

The recorder asks the reader before each flush, as it asks a gauge that follows a function. So what a request counts
leaves with the flush of that request, in one batch with all that prometheus_client's instruments have counted, and each
step from the recorder on is the same for both. While metrics are off nobody asks it.

| instrument                                | becomes                                                              |
|-------------------------------------------|----------------------------------------------------------------------|
| counter                                   | a counter                                                            |
| observable counter                        | a counter: what was added since the callback told the last time      |
| up-down counter                           | a gauge: the sum of all instances, also of those that have ended     |
| observable up-down counter                | a gauge: the sum of what the instances hold that have not ended      |
| gauge, observable gauge                   | a gauge: the value that any instance has set last                    |
| histogram                                 | a histogram, or a native one if its view is exponential              |

A callback tells a total. The SDK could make differences of totals as well, but of one that has begun at zero again it
makes a negative one. So the differences are made here.
"""

# ruff: noqa: E402  the version of the SDK is checked before its names are imported

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from prometheus_client import Info

from ...delivery.loop_ticker import loop_is_running
from ...delivery.process_pipeline import current_pipeline, current_settings, is_open, on_opening
from ...errors import StoreError
from ...instruments.adoption import adopt_instrument
from ...instruments.recorder import RECORDER
from .prometheus_names import labels_of, scope_attributes
from .version import require_sdk

require_sdk()

from opentelemetry.sdk.metrics import (
    Counter,
    Histogram,
    ObservableCounter,
    ObservableGauge,
    ObservableUpDownCounter,
    UpDownCounter,
    _Gauge,
)
from opentelemetry.sdk.metrics.export import AggregationTemporality, MetricReader

from .metric_families import Families
from .storage import begin_in_child

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics.export import Metric, MetricsData

__all__ = ["KairoMetricReader"]

_log = logging.getLogger("kairo_metrics")
_Keeps = Callable[[str], bool]
# A callback tells a total, and the SDK passes it on; all other instruments begin at zero after each collection.
_TEMPORALITY: dict[type, AggregationTemporality] = {
    Counter: AggregationTemporality.DELTA,
    UpDownCounter: AggregationTemporality.DELTA,
    Histogram: AggregationTemporality.DELTA,
    _Gauge: AggregationTemporality.DELTA,
    ObservableCounter: AggregationTemporality.CUMULATIVE,
    ObservableUpDownCounter: AggregationTemporality.CUMULATIVE,
    ObservableGauge: AggregationTemporality.CUMULATIVE,
}
# They differ from instance to instance, and one page shows the sum of all.
_OF_ONE_INSTANCE = frozenset({"service.instance.id", "process.pid"})

# One collection at a time: of two totals that a callback tells, the later one must come later. A fork waits for it.
_COLLECTING = threading.RLock()
_readers: WeakSet[KairoMetricReader] = WeakSet()


class KairoMetricReader(MetricReader):
    """Sends what OpenTelemetry's instruments count, with each flush of this package; give it to a `MeterProvider`.

    Names, labels and help texts are those that the `PrometheusMetricReader` of `opentelemetry-exporter-prometheus`
    makes, and so are the arguments. While metrics are off it does nothing.

    Args:
        disable_target_info: whether to leave out `target_info`, whose labels are the attributes of the resource.
        prefix: goes before the name of each metric, with a `_`.
        scope_info_enabled: whether labels name the instrumentation scope, as `otel_scope_name`.
        resource_attribute_filter: takes the name of an attribute of the resource, and returns whether it is a label
            of each metric.

    Example:
        >>> from opentelemetry.sdk.metrics import MeterProvider
        >>> provider = MeterProvider(metric_readers=[KairoMetricReader()])
        >>> provider.get_meter("shop").create_counter("orders").add(1, {"kind": "book"})

    Source: https://opentelemetry.io/docs/specs/otel/metrics/sdk/#metricreader
    """

    family = "opentelemetry"

    def __init__(
        self,
        disable_target_info: bool = False,
        prefix: str = "",
        scope_info_enabled: bool = True,
        *,
        resource_attribute_filter: _Keeps | None = None,
    ) -> None:
        super().__init__(preferred_temporality=_TEMPORALITY)
        self._families = Families(prefix)
        self._has_target_info = not disable_target_info
        self._target_info: dict[str, str] = {}
        self._has_scope_info = scope_info_enabled
        self._keeps = resource_attribute_filter
        self._is_collecting = self.begins_anew = self._is_shut_down = False
        self._failed: set[str] = set()
        _readers.add(self)
        RECORDER.follow(self)
        on_opening(_begin_anew)

    def sample(self) -> None:
        """Collect what the instruments have counted, and record it."""
        with _COLLECTING:
            # A callback may flush, or fork; and a reader may have no provider yet.
            if self._is_collecting or self._is_shut_down or self._collect is None:
                return
            if self.begins_anew:
                self.begins_anew, self._target_info = False, {}
                self._families.begin_anew()
            self._is_collecting = True
            try:
                self.collect()
                self._families.end_collection()
            finally:
                self._is_collecting = False

    def _receive_metrics(self, metrics_data: MetricsData, timeout_millis: float = 10_000, **_: Any) -> None:
        del timeout_millis  # nothing here waits
        for of_resource in metrics_data.resource_metrics:
            attributes = of_resource.resource.attributes
            self._tell_target(attributes)
            labels = {key: attributes[key] for key in attributes if self._keeps and self._keeps(key)}
            for of_scope in of_resource.scope_metrics:
                scope = scope_attributes(of_scope.scope) if self._has_scope_info else {}
                for metric in of_scope.metrics:
                    self._record(metric, of_scope.scope, [labels, scope])

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        """Send what is counted, within `METRICS_FLUSH_BUDGET_MS`, and return whether all of it has arrived.

        In an event loop, which must not wait, this starts the flush.
        """
        del timeout_millis
        pipeline = current_pipeline()
        if pipeline is None:
            return True
        if loop_is_running():
            pipeline.flusher.flush_beside()
            return True
        try:
            pipeline.flusher.flush()
        except StoreError:  # the flusher logs it
            return False
        return True

    def shutdown(self, timeout_millis: float = 30_000, **_: Any) -> None:
        """Send what is counted, and collect nothing more; the provider calls it at the end of the process."""
        self.force_flush(timeout_millis)
        with _COLLECTING:
            self._is_shut_down = True
            _readers.discard(self)

    def _tell_target(self, attributes: Mapping[str, Any]) -> None:
        if not self._has_target_info:
            return
        told = labels_of([{key: value for key, value in attributes.items() if key not in _OF_ONE_INSTANCE}])
        if told != self._target_info:
            self._target_info = told
            target = Info("target", "Target metadata", registry=None)
            target.info(told)
            adopt_instrument(target)

    def _record(self, metric: Metric, scope: object, around: list[Mapping[str, Any]]) -> None:
        for point in metric.data.data_points:
            try:
                self._families.record(metric, point, scope, around)
            except Exception as err:  # noqa: BLE001  a point that can't be shown must not take the others with it
                with RECORDER.lock:
                    RECORDER.count_lost(metric.name, 1.0)
                if metric.name not in self._failed:
                    self._failed.add(metric.name)
                    _log.warning("OpenTelemetry's metric %s is not sent: %s", metric.name, err)


def _begin_anew() -> None:
    """Let each reader go on in the recorder that a pipeline has opened with; that of a test is a new one."""
    for reader in list(_readers):
        reader.begins_anew = True
        RECORDER.follow(reader)


def _prepare_fork() -> None:
    """Record what is counted, so that exactly one process sends it."""
    _COLLECTING.acquire()
    if is_open() or current_settings()[0].enabled:
        for reader in list(_readers):
            reader.sample()


def _begin_in_child() -> None:
    _COLLECTING.release()
    for reader in list(_readers):
        begin_in_child(reader)


# After the recorder's own: a fork takes the last one first, so the recorder has all of it when it sets it aside.
os.register_at_fork(before=_prepare_fork, after_in_parent=_COLLECTING.release, after_in_child=_begin_in_child)

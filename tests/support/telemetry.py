"""Programs that count with OpenTelemetry, and what pages show of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

from opentelemetry.metrics import CallbackOptions, Observation
from opentelemetry.sdk.metrics import Meter, MeterProvider
from opentelemetry.sdk.metrics.export import MetricReader
from opentelemetry.sdk.metrics.view import View
from prometheus_client import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families

__all__ = ["Shown", "metering", "shown", "telling"]


class Shown(NamedTuple):
    """A family on a page: its type, its help text, and its samples by name and labels, empty labels left out."""

    type: str
    help: str
    samples: Mapping[tuple[str, frozenset[tuple[str, str]]], float]


def shown(families: str | Iterable[Metric]) -> dict[str, Shown]:
    """Return the families of a page, without those about the delivery."""
    found = text_string_to_metric_families(families) if isinstance(families, str) else families
    return {
        family.name: Shown(family.type, family.documentation, {_key(sample): sample.value for sample in family.samples})
        for family in found
        if not family.name.startswith("kairo_")
    }


def _key(sample: Any) -> tuple[str, frozenset[tuple[str, str]]]:
    labels = {name: value for name, value in sample.labels.items() if value}
    if "le" in labels:
        labels["le"] = str(float(labels["le"]))
    return sample.name, frozenset(labels.items())


@contextmanager
def metering(*readers: MetricReader, views: Iterable[View] = ()) -> Iterator[Meter]:
    """Give a meter whose provider ends with the block."""
    provider = MeterProvider(metric_readers=readers, views=list(views), shutdown_on_exit=False)
    meter = provider.get_meter("shop", "1.2")
    assert isinstance(meter, Meter)
    yield meter
    provider.shutdown()


def telling(told: Mapping[str, float]) -> list[Callable[[CallbackOptions], Iterable[Observation]]]:
    """Return a callback that tells a value for each `kind`: those that the mapping has when it is called."""
    return [lambda _options: [Observation(value, {"kind": kind}) for kind, value in told.items()]]

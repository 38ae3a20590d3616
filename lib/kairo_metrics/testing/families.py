"""The metrics that a program has declared, also those that have counted nothing yet and are on no page."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from prometheus_client import REGISTRY
from prometheus_client.metrics import Enum, MetricWrapperBase

from ..delivery import process_pipeline
from ..instruments import adoption
from ..instruments.declarations import declared
from ..instruments.shape import shape
from ..model.delivery_metrics import SCHEMAS

__all__ = ["Family", "declared_families"]

_ENDINGS = {
    "counter": ("_total",),
    "histogram": ("_bucket", "_count", "_sum"),
    "summary": ("_count", "_sum"),
    "info": ("_info",),
}
_MORE_LABELS = {"histogram": ("le",)}


@dataclass(frozen=True, slots=True)
class Family:
    """A metric.

    Args:
        name: without the ending of its samples.
        type: as the page names it.
        labels: the names of the labels that its samples may have.
    """

    name: str
    type: str
    labels: frozenset[str]

    @property
    def samples(self) -> frozenset[str]:
        """The names of its samples."""
        return frozenset(f"{self.name}{ending}" for ending in _ENDINGS.get(self.type, ("",)))

    @property
    def names(self) -> frozenset[str]:
        """Names by which somebody may ask for it."""
        return frozenset((self.name, f"{self.name}_total", *self.samples))


def declared_families() -> list[Family]:
    """Return those of the registries that are published, and our own."""
    return [*_of_registries(), *_own()]


def _of_registries() -> Iterator[Family]:
    for registry in {REGISTRY, *process_pipeline._registries, *adoption._registries}:
        for instrument in list(registry._collector_to_names):
            if isinstance(instrument, MetricWrapperBase):
                more = (instrument._name,) if isinstance(instrument, Enum) else ()
                yield _family(instrument._name, instrument._type or "", (*instrument._labelnames, *more))


def _own() -> Iterator[Family]:
    chosen = shape()
    for one in declared():
        name = one.named(chosen.prefix or "").removesuffix("_total")
        yield _family(name, one.kind._type or "", (*one.labelnames, *one.further_labels(chosen)))
    for schema in SCHEMAS:
        yield _family(schema.name, schema.type, schema.labelnames)


def _family(name: str, kind: str, labels: tuple[str, ...]) -> Family:
    return Family(name, kind, frozenset((*labels, *_MORE_LABELS.get(kind, ()))))

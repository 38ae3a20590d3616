"""What an observer who sees everything knows: which recorded amounts are where."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from lib.kairo_metrics.model.batch import Batch, FamilyDelta
from lib.kairo_metrics.model.delivery_metrics import LOST
from lib.kairo_metrics.model.labels import labels_of

__all__ = ["Parcel", "Parcels", "Violation", "Weights", "weights", "worth"]

Weights = Counter[str]


class Violation(AssertionError):
    """Something that must always hold did not."""


@dataclass(eq=False, slots=True)
class Parcel:
    """What one seal took from one family: it is applied as a whole, whatever batch it travels in.

    Args:
        owner: the number of the instance.
        delta: what was sealed.
        weights: by family, what its loss would cost; the counts of earlier losses are worth what they tell.
    """

    owner: int
    delta: FamilyDelta
    weights: Weights
    applied: bool = False
    rolled_back: bool = False
    lost: bool = False

    def __repr__(self) -> str:
        return f"{self.delta.schema.name} {dict(self.delta.series)} of instance {self.owner}"


def weights(delta: FamilyDelta) -> Weights:
    """Return by family what the delta is worth."""
    if delta.schema != LOST:
        return Counter({delta.schema.name: int(delta.weight)})
    told: Weights = Counter()
    for text, amounts in delta.series:
        told[labels_of(text)["family"]] += int(float(amounts.split()[1]))
    return told


@dataclass(slots=True)
class Parcels:
    """All parcels of a schedule, found again by the series that they hold, which nobody copies."""

    all: list[Parcel] = field(default_factory=list)
    _by_series: dict[int, Parcel] = field(default_factory=dict)

    def add(self, owner: int, batch: Batch) -> None:
        """Take in what was just sealed."""
        for delta in batch.families:
            if delta.series:
                parcel = Parcel(owner, delta, weights(delta))
                self.all.append(parcel)
                self._by_series[id(delta.series)] = parcel

    def of(self, batches: Iterable[Batch]) -> list[Parcel]:
        """Return what travels in the batches."""
        return [self._by_series[id(delta.series)] for batch in batches for delta in batch.families if delta.series]


def worth(parcels: Iterable[Parcel]) -> Weights:
    """Add up what parcels are worth, by family."""
    total: Weights = Counter()
    for parcel in parcels:
        total.update(parcel.weights)
    return +total

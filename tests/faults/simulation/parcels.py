"""The knowledge of an observer who sees everything: where each recorded amount is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from lib.kairo_metrics.model.batch import Batch, FamilyDelta
from lib.kairo_metrics.model.delivery_metrics import LOST
from lib.kairo_metrics.model.labels import labels_of

__all__ = ["SETTINGS_EACH", "Parcel", "Parcels", "Violation", "Weights", "weights", "worth"]

# More settings than an instance makes, so that the value of a setting tells which instance made it.
SETTINGS_EACH = 100_000

Weights = Counter[str]


class Violation(AssertionError):
    """A rule that must always hold is broken."""


@dataclass(eq=False, slots=True)
class Parcel:
    """The amounts of one family in one sealed batch; they are applied together, in any batch that has them.

    Args:
        owner: the number of the instance.
        delta: what was sealed.
        weights: its amount, by family; counts of earlier losses weigh the amount that they report.
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
    """Return the amounts in a delta, by family."""
    if delta.schema != LOST:
        return Counter({delta.schema.name: int(delta.weight)})
    told: Weights = Counter()
    for text, amounts in delta.series:
        told[labels_of(text)["family"]] += int(float(amounts.split()[1]))
    return told


@dataclass(slots=True)
class Parcels:
    """All parcels of a schedule, by the identity of their series, which is never copied."""

    all: list[Parcel] = field(default_factory=list)
    _by_series: dict[int, Parcel] = field(default_factory=dict)

    def add(self, owner: int, batch: Batch) -> None:
        """Add what was just sealed."""
        for delta in batch.families:
            if delta.series:
                parcel = Parcel(owner, delta, weights(delta))
                self.all.append(parcel)
                self._by_series[id(delta.series)] = parcel

    def of(self, batches: Iterable[Batch]) -> list[Parcel]:
        """Return the parcels in these batches."""
        return [self._by_series[id(delta.series)] for batch in batches for delta in batch.families if delta.series]


def worth(parcels: Iterable[Parcel]) -> Weights:
    """Add up the amounts of parcels, by family."""
    total: Weights = Counter()
    for parcel in parcels:
        total.update(parcel.weights)
    return +total

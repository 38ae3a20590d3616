"""The deltas that one batch takes out of the pending series, and their text."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from ..model.batch import FamilyDelta
from ..model.moment import NEVER, Moment, elapsed_s
from ..model.schema import Schema
from .pending_series import INSTANCE_PLACE, PendingSeries

if TYPE_CHECKING:
    from ..model.native_counts import NativeCounts

__all__ = ["SealedFamily", "SealedSeries", "move"]

# The first word of a delta whose series the store removes before it applies the rest.
_REMOVED = "D"
# The age of a value that was never set.
_NEVER_AGE = "-1"


class SealedSeries:
    """The delta of one label set, over all instruments that have it.

    `is_new` tells whether the value was set since the last batch with the series; otherwise it is sent once more, to
    renew its lease.
    """

    __slots__ = ("amounts", "is_new", "max_buckets", "observed", "recorded", "removed", "set_at", "value", "weight")

    def __init__(self) -> None:
        self.amounts: defaultdict[int, float] = defaultdict(float)
        self.observed: NativeCounts | None = None
        self.max_buckets = 0
        self.value: str | None = None
        self.set_at: tuple[float, float] | None = None
        self.weight = 0.0
        self.removed = False
        self.recorded = False
        self.is_new = False


class SealedFamily:
    """The deltas of one family, by label text, and the label pairs whose series are removed first."""

    __slots__ = ("cleared", "schema", "series")

    def __init__(self, schema: Schema) -> None:
        self.schema = schema
        self.series: defaultdict[str, SealedSeries] = defaultdict(SealedSeries)
        self.cleared: list[str] = []

    def delta(self, instance: str, sealed_at: Moment) -> FamilyDelta:
        """Return what a batch adds to the family.

        Args:
            instance: the id of this one, for the series that only it writes.
            sealed_at: when the batch is sealed.
        """
        schema, weight, series = self.schema, 0.0, []
        for text, sealed in self.series.items():
            weight += sealed.weight
            own_text = text.replace(INSTANCE_PLACE, instance) if schema.per_instance else text
            series.append((own_text, _delta_text(schema, sealed, sealed_at)))
        return FamilyDelta(schema, tuple(series), weight, "", tuple(self.cleared))


def move(series: PendingSeries, sealed: SealedSeries) -> None:
    """Empty a series, and add what was in it to the sealed one."""
    # In this order an increment by a finalizer, between any two lines, is in this batch or in the next.
    series.touched = False
    amounts, series.amounts = series.amounts, defaultdict(float)
    weight, series.weight = series.weight, 0.0
    sealed.recorded = True
    if sealed.amounts:
        for index, amount in amounts.items():
            sealed.amounts[index] += amount
    else:
        sealed.amounts = amounts
    observed, series.observed = series.observed, None
    if observed is not None:
        if sealed.observed is not None:
            observed.add(sealed.observed)
        sealed.observed, sealed.max_buckets = observed, series.max_buckets
    if series.schema.rule in {"sum", "native"}:
        sealed.weight += weight
    elif sealed.value is None or (series.set_at or NEVER) >= (sealed.set_at or NEVER):
        sealed.value, sealed.set_at, sealed.weight, sealed.is_new = series.value, series.set_at, weight, weight > 0


def _delta_text(schema: Schema, sealed: SealedSeries, sealed_at: Moment) -> str:
    """Print the change to a series, as `apply.lua` reads it."""
    if not sealed.recorded:
        return _REMOVED
    if schema.rule == "sum":
        delta = " ".join([f"{index} {amount!r}" for index, amount in sealed.amounts.items()])
    elif sealed.observed is not None:
        delta = f"{sealed.max_buckets} {sealed.observed.text()}"
    else:
        age = _NEVER_AGE if sealed.set_at is None else f"{elapsed_s(sealed.set_at, sealed_at) * 1e3:.0f}"
        delta = f"{sealed.value} {age} {sealed.is_new:d}"
    return f"{_REMOVED} {delta}" if sealed.removed else delta

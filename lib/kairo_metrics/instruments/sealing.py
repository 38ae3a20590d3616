"""Sealing: what is pending becomes a batch."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from ..model.batch import UNNAMED, Batch, FamilyDelta, State
from ..model.moment import NEVER, Moment, elapsed_s
from ..model.schema import Schema
from .pending_series import INSTANCE_PLACE, PendingSeries, listed
from .recorder import Recorder

if TYPE_CHECKING:
    from ..model.native_counts import NativeCounts

__all__ = ["seal"]

# The first word of a delta whose series the store removes before it applies the rest.
_REMOVED = "D"
# The age of a value that was never set.
_NEVER_AGE = "-1"
# The rules whose series all count: each update has its weight.
_ADDED_UP = frozenset({"native", "sum"})


def seal(
    recorder: Recorder, seq: int, limit: int = 1_000, known: State = UNNAMED, sealed_at: Moment | None = None
) -> Batch:
    """Take up to `limit` changed series, oldest first, into a batch. Those with the same labels are joined.

    Args:
        recorder: has them.
        seq: the number of the batch.
        limit: how many series a batch may hold.
        known: see `Batch`.
        sealed_at: the present moment by the recorder's clocks, which are read by default.

    Example:
        >>> recorder, series = Recorder(), PendingSeries(Schema("jobs", "counter"), "")
        >>> with recorder.lock:
        ...     recorder.add(series, 1, 2.0, weight=2.0)
        >>> seal(recorder, seq=1).families[0].series
        (('', '1 2.0'),)
    """
    sealed_at = sealed_at or recorder.now()
    families: dict[str, _Family] = {}
    with recorder.lock:
        if recorder.removed or recorder.cleared:
            limit = _take_removals(recorder, families, limit)
        for series in listed(recorder.touched, limit):
            # Out first: what a signal handler adds from here to `take` is in this batch, and later in the next.
            recorder.touched.pop(series, None)
            schema = series.schema
            _of(families, schema).series[series.text].take(series)
            series.sealed_at = sealed_at
            if series.exemplars:
                _take_exemplars(series, _of(families, schema.exemplars))
        if not recorder.pending:
            recorder.epoch += 1
    deltas = tuple([family.delta(recorder.instance, sealed_at) for family in families.values()])
    return Batch(seq, deltas, sealed_at, known)


def _take_removals(recorder: Recorder, families: dict[str, _Family], limit: int) -> int:
    """Take what the store removes first, and return how many series may follow."""
    cleared, recorder.cleared = recorder.cleared, {}
    for schema, pairs in cleared:
        _of(families, schema).cleared.append(pairs)
    removed = listed(recorder.removed, limit)
    for schema, text in removed:
        _of(families, schema).series[text].removed = True
        recorder.removed.pop((schema, text), None)
    # What was recorded later must not be applied before a removal that waits.
    return 0 if recorder.removed else limit - len(removed)


def _take_exemplars(series: PendingSeries, family: _Family) -> None:
    exemplars, series.exemplars = series.exemplars, {}
    for index, (exemplar, set_at) in exemplars.items():
        sealed = family.series[f"{index} {series.text}"]
        sealed.recorded, sealed.value, sealed.set_at, sealed.is_new = True, exemplar, set_at, True


class _Sealed:
    """The delta of one label set, over all instruments that have it.

    `is_new` tells whether the value was set since the last batch with the series; otherwise it is sent once more, to
    renew its lease. The defaults are those of the class: of most deltas few are set, and each flush makes some deltas.
    """

    amounts: Mapping[int, float] = MappingProxyType({})
    observed: NativeCounts | None = None
    max_buckets = 0
    value: str | None = None
    set_at: tuple[float, float] | None = None
    weight = 0.0
    removed = False
    recorded = False
    is_new = False

    def take(self, series: PendingSeries) -> None:
        """Empty a series, and add what was in it."""
        # In this order an increment by a finalizer, between any two lines, is in this batch or in the next.
        series.touched = False
        amounts, series.amounts = series.amounts, defaultdict(float)
        weight, series.weight = series.weight, 0.0
        self.recorded = True
        if self.amounts:
            for index, amount in self.amounts.items():
                amounts[index] += amount
        self.amounts = amounts
        if series.observed is not None:
            observed, series.observed = series.observed, None
            if self.observed is not None:
                observed.add(self.observed)
            self.observed, self.max_buckets = observed, series.max_buckets
        if series.schema.rule in _ADDED_UP:
            self.weight += weight
        elif self.value is None or (series.set_at or NEVER) >= (self.set_at or NEVER):
            self.value, self.set_at, self.weight, self.is_new = series.value, series.set_at, weight, weight > 0

    def text(self, schema: Schema, sealed_at: Moment) -> str:
        """Print the change to the series, as `apply.lua` reads it."""
        if not self.recorded:
            return _REMOVED
        if schema.rule == "sum":
            delta = " ".join([f"{index} {amount!r}" for index, amount in self.amounts.items()])
        elif self.observed is not None:
            delta = f"{self.max_buckets} {self.observed.text()}"
        else:
            age = _NEVER_AGE if self.set_at is None else f"{elapsed_s(self.set_at, sealed_at) * 1e3:.0f}"
            delta = f"{self.value} {age} {self.is_new:d}"
        return f"{_REMOVED} {delta}" if self.removed else delta


class _Family:
    """The deltas of one family, by label text, and the label pairs whose series are removed first."""

    __slots__ = ("_schema", "cleared", "series")

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self.series: defaultdict[str, _Sealed] = defaultdict(_Sealed)
        self.cleared: list[str] = []

    def delta(self, instance: str, sealed_at: Moment) -> FamilyDelta:
        """Return what a batch adds to the family.

        Args:
            instance: the id of this one, for the series that only it writes.
            sealed_at: when the batch is sealed.
        """
        schema, weight, series = self._schema, 0.0, []
        for text, sealed in self.series.items():
            weight += sealed.weight
            own_text = text.replace(INSTANCE_PLACE, instance) if schema.per_instance else text
            series.append((own_text, sealed.text(schema, sealed_at)))
        return FamilyDelta(schema, tuple(series), weight, "", tuple(self.cleared))


def _of(families: dict[str, _Family], schema: Schema) -> _Family:
    known = families.get(schema.index_field)
    return families.setdefault(schema.index_field, _Family(schema)) if known is None else known

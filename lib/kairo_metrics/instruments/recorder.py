"""The deltas of this instance that are not yet sent."""

from __future__ import annotations

import logging
import math
import threading
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol
from weakref import WeakSet

from ..model.batch import Batch, FamilyDelta
from ..model.delivery_metrics import LOST, OVERFLOWED
from ..model.encoding import label_text
from ..model.moment import CLOCKS, Clocks, Moment, elapsed_s
from ..model.schema import Schema
from .pending_series import INSTANCE_PLACE, PendingSeries

if TYPE_CHECKING:
    from ..model.native_counts import NativeCounts

__all__ = ["Follower", "Recorder"]

_log = logging.getLogger("kairo_metrics")
# How the delta of a series begins that is removed from the store first.
_REMOVED = "D"
# The age of a value that was never set, and a moment before all others.
_NEVER_AGE = "-1"
_NEVER = Moment(-math.inf, -math.inf)
# Removals of each kind that wait while the store is away; the oldest make room, and what they left in the store
# goes when nobody has touched it for its life.
_REMOVALS = 10_000


class Follower(Protocol):
    """A gauge that follows a function."""

    series: PendingSeries

    def sample(self) -> None:
        """Set the gauge to what the function returns now."""


@dataclass(slots=True)
class _Merged:
    """What one label set has come to, over all instruments that print it."""

    amounts: defaultdict[int, float] = field(default_factory=lambda: defaultdict(float))
    observed: NativeCounts | None = None
    max_buckets: int = 0
    value: str | None = None
    set_at: Moment | None = None
    weight: float = 0.0
    removed: bool = False
    recorded: bool = False


@dataclass(slots=True)
class _Taken:
    """What one family has come to."""

    schema: Schema
    rows: defaultdict[str, _Merged] = field(default_factory=lambda: defaultdict(_Merged))
    cleared: tuple[str, ...] = ()


class Recorder:
    """Collects deltas and seals them into batches.

    `lock` guards every series: an increment and the seal never interleave. `epoch` counts the seals that
    took everything, so that a caller can tell when its own deltas have been taken.

    Example:
        >>> recorder, series = Recorder(), PendingSeries(Schema("jobs", "counter"), "")
        >>> with recorder.lock:
        ...     recorder.add(series, 1, 2.0, weight=2.0)
        >>> recorder.seal(seq=1).families[0].series
        (('', '1 2.0'),)
    """

    def __init__(self, clocks: Clocks = CLOCKS) -> None:
        self.clocks = clocks
        # Reentrant: a signal handler or a finalizer may increment while its own thread holds it.
        self.lock = threading.RLock()
        self.epoch = 1
        self._own: dict[str, PendingSeries] = {}
        self._touched: list[PendingSeries] = []
        self._removed: dict[tuple[Schema, str], None] = {}
        self._cleared: dict[tuple[Schema, str], None] = {}
        self._held: WeakSet[PendingSeries] = WeakSet()
        self._followers: WeakSet[Follower] = WeakSet()
        self._failed: set[str] = set()

    def now(self) -> Moment:
        """Return the present moment by the recorder's clocks."""
        return Moment.read(self.clocks)

    @property
    def pending(self) -> bool:
        """Whether there is anything to seal."""
        return bool(self._touched or self._removed or self._cleared)

    def open_epoch(self) -> int:
        """Return the epoch that takes, or took, what is recorded by now."""
        with self.lock:
            return self.epoch if self.pending else self.epoch - 1

    def touch(self, series: PendingSeries) -> None:
        """Make the series part of the next batch; the caller holds `lock`."""
        if not series.touched:
            series.touched = True
            self._touched.append(series)

    def add(self, series: PendingSeries, index: int, amount: float, *, weight: float = 0.0) -> None:
        """Add to one number of a series; the caller holds `lock`."""
        # No call between reading and writing: a signal handler that increments has no gap to step into.
        series.amounts[index] += amount
        series.weight += weight
        self.touch(series)

    def observe(self, series: PendingSeries, observed: NativeCounts, max_buckets: int, *, weight: float) -> None:
        """Add to a native histogram; the caller holds `lock`."""
        if series.observed is None:
            series.observed = observed
        else:
            series.observed.add(observed)
        series.observed.limit(max_buckets)
        series.max_buckets = max_buckets
        series.weight += weight
        self.touch(series)

    def replace(self, series: PendingSeries, value: float | str) -> None:
        """Set the value of a series, a number or a word; the caller holds `lock`."""
        series.value = value if isinstance(value, str) else repr(value)
        series.weight = 1.0
        series.set_at = self.now()
        self.touch(series)

    def exemplify(self, series: PendingSeries, index: int, word: str) -> None:
        """Keep an exemplar for one number of a series; the caller holds `lock`."""
        series.exemplars[index] = word, self.now()
        self.touch(series)

    def hold(self, series: PendingSeries) -> None:
        """Announce a series that is the instance's own, and keep it alive from now on; the caller holds `lock`."""
        self._held.add(series)
        self.touch(series)

    def renew(self) -> None:
        """Tell the store again what the instance holds: its lease runs from there."""
        with self.lock:
            for series in self._held:
                self.touch(series)

    def follow(self, follower: Follower) -> None:
        """Have the follower sampled before each flush, for as long as it lives."""
        with self.lock:
            self._followers.add(follower)

    def sample_followers(self) -> None:
        """Ask the functions that gauges follow; each failure is counted as a loss, and the first one logged."""
        for follower in list(self._followers):
            try:
                follower.sample()
            except Exception as err:  # noqa: BLE001  the user's own code; a flush must not fail with it
                family = follower.series.schema.name
                with self.lock:
                    self.lose(family, 1.0)
                if family not in self._failed:
                    self._failed.add(family)
                    _log.warning("the function of gauge %s failed: %r", family, err)

    def restart(self, series: PendingSeries) -> None:
        """Have the series begin anew in the store: removed, and announced as if it were new."""
        with self.lock:
            self._drop({series})
            self._removed[series.schema, series.text] = None
            self.touch(series)

    def remove(self, series: PendingSeries) -> None:
        """Have the series removed from the store, before anything that is recorded of its labels from now on."""
        with self.lock:
            self._bury({series})
            self._removed[series.schema, series.text] = None
            self._bound(self._removed)

    def turn_away(self, series: PendingSeries) -> None:
        """Drop a new series that there is no room for, and count that."""
        with self.lock:
            if self._touched and self._touched[-1] is series:  # a search through all of them would be dear
                self._touched.pop()
            elif series.touched:
                self._drop({series})
            self._held.discard(series)
            self.count(OVERFLOWED, series.schema.name)

    def idle_s(self, series: PendingSeries) -> float:
        """Return for how many seconds nothing was recorded of the series."""
        if series.touched:
            return 0.0
        return math.inf if series.sealed_at is None else elapsed_s(series.sealed_at, self.now())

    def clear(self, known: set[PendingSeries], schema: Schema, pairs: str = "") -> None:
        """Have all series of a family removed from the store that have some labels, those of other instances too.

        Args:
            known: those of this instance.
            schema: the family.
            pairs: the labels, one a line as they are printed; with "" all its series are removed.
        """
        with self.lock:
            self._bury(known)
            self._cleared[schema, pairs] = None
            self._bound(self._cleared)

    def _bound(self, removals: dict[tuple[Schema, str], None]) -> None:
        if len(removals) > _REMOVALS:
            schema, text = next(iter(removals))
            del removals[schema, text]
            self.lose(schema.name, 1.0)

    def _bury(self, gone: set[PendingSeries]) -> None:
        self._drop(gone)
        for series in gone:
            self._held.discard(series)
            # Whoever still holds the child may go on with it, and nobody sees it; so it is with prometheus_client.
            series.touched = True

    def _drop(self, unsent: set[PendingSeries]) -> None:
        self._touched = [series for series in self._touched if series not in unsent]
        for series in unsent:
            series.amounts, series.weight, series.touched = defaultdict(float), 0.0, False
            series.exemplars, series.observed = {}, None

    def lose(self, family: str, weight: float) -> None:
        """Count what will never be delivered; the caller holds `lock`."""
        self.count(LOST, family, weight)

    def count(self, schema: Schema, value: str, amount: float = 1.0) -> None:
        """Count something of our own, in a family with one label; the caller holds `lock`."""
        text = label_text(schema.labelnames, [value])
        series = self._own.setdefault(f"{schema.name}{text}", PendingSeries(schema, text))
        self.add(series, 1, amount)

    def seal(self, seq: int, instance: str = "", limit: int = 1_000) -> Batch:
        """Take up to `limit` changed series, oldest first, into a batch.

        Args:
            seq: its number.
            instance: the instance's id, for the series that are its own.
            limit: how many series a batch may hold.
        """
        sealed_at = self.now()
        with self.lock:
            families = self._take(limit, sealed_at)
            if not self.pending:
                self.epoch += 1
        return Batch(
            seq,
            tuple(
                FamilyDelta(
                    taken.schema,
                    tuple(
                        (text.replace(INSTANCE_PLACE, instance), _delta(taken.schema, merged, sealed_at))
                        for text, merged in taken.rows.items()
                    ),
                    sum(merged.weight for merged in taken.rows.values()),
                    cleared=taken.cleared,
                )
                for taken in families
            ),
            sealed_at,
        )

    def _take(self, limit: int, sealed_at: Moment) -> list[_Taken]:
        """Empty the series, joining those that print the same labels: two instruments may share a name."""
        families: dict[str, _Taken] = {}

        def family(schema: Schema) -> _Taken:
            return families.setdefault(schema.index_field, _Taken(schema))

        for schema, pairs in self._cleared:
            family(schema).cleared += (pairs,)
        self._cleared = {}
        removed = list(self._removed)[:limit]
        for schema, text in removed:
            family(schema).rows[text].removed = True
            del self._removed[schema, text]
        # What was recorded since stands behind all removals.
        room = 0 if self._removed else limit - len(removed)
        taken, self._touched = self._touched[:room], self._touched[room:]
        for series in taken:
            _move(series, family(series.schema).rows[series.text])
            series.sealed_at = sealed_at
            exemplars, series.exemplars = series.exemplars, {}
            for index, (word, set_at) in exemplars.items():
                row = family(series.schema.exemplars).rows[f"{index} {series.text}"]
                row.recorded, row.value, row.set_at = True, word, set_at
        return list(families.values())

    def forget(self) -> None:
        """Drop everything unsent: after a fork the deltas are the parent's to send."""
        self.lock = threading.RLock()
        self.epoch += 1
        for series in self._touched:
            series.amounts, series.weight, series.touched = defaultdict(float), 0.0, False
        self._touched, self._removed, self._cleared = [], {}, {}
        # The values that the parent holds are the parent's; a child's own begin when they are set.
        self._held = WeakSet()


def _move(series: PendingSeries, merged: _Merged) -> None:
    """Empty a series into what its labels have come to."""
    # In this order, an increment out of a finalizer between two lines is in this batch or in the next.
    series.touched = False
    amounts, series.amounts = series.amounts, defaultdict(float)
    weight, series.weight = series.weight, 0.0
    merged.recorded = True
    if merged.amounts:
        for index, amount in amounts.items():
            merged.amounts[index] += amount
    else:
        merged.amounts = amounts
    observed, series.observed = series.observed, None
    if observed is not None:
        if merged.observed is not None:
            observed.add(merged.observed)
        merged.observed, merged.max_buckets = observed, series.max_buckets
    if series.schema.rule in {"sum", "native"}:
        merged.weight += weight
    elif merged.value is None or (series.set_at or _NEVER) >= (merged.set_at or _NEVER):
        merged.value, merged.set_at, merged.weight = series.value, series.set_at, weight


def _delta(schema: Schema, merged: _Merged, sealed_at: Moment) -> str:
    """Print what is to be done to a series, as `apply.lua` reads it."""
    if not merged.recorded:
        return _REMOVED
    if schema.rule == "sum":
        delta = " ".join([f"{index} {amount!r}" for index, amount in merged.amounts.items()])
    elif merged.observed is not None:
        delta = f"{merged.max_buckets} {merged.observed.text()}"
    else:
        age = _NEVER_AGE if merged.set_at is None else f"{elapsed_s(merged.set_at, sealed_at) * 1e3:.0f}"
        delta = f"{merged.value} {age}"
    return f"{_REMOVED} {delta}" if merged.removed else delta

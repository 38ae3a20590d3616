"""The deltas of this instance that are not yet sent."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from dataclasses import dataclass

from .store.base import Batch, FamilyDelta
from .store.bookkeeping import LOST
from .store.schema import Schema, label_text

__all__ = ["Recorder", "Series"]


class Series:
    """One label set of one family, and what was added to it since the last seal.

    Args:
        schema: the family.
        text: the label text.

    `amounts` maps a 1-based index into the packed line's numbers to what is to be added there. For a
    "latest" gauge, index 1 holds the value and `set_at_s` when it was set.
    """

    __slots__ = ("amounts", "schema", "set_at_s", "text", "touched", "weight")

    def __init__(self, schema: Schema, text: str) -> None:
        self.schema = schema
        self.text = text
        self.amounts: defaultdict[int, float] = defaultdict(float)
        self.weight = 0.0
        self.set_at_s = 0.0
        self.touched = False


@dataclass(slots=True)
class _Merged:
    amounts: defaultdict[int, float]
    weight: float
    set_at_s: float


class Recorder:
    """Collects deltas and seals them into batches.

    `lock` guards every series: an increment and the seal never interleave. `epoch` counts the seals that
    took everything, so that a caller can tell when its own deltas have been taken.

    Example:
        >>> recorder, series = Recorder(), Series(Schema("jobs", "counter"), "")
        >>> with recorder.lock:
        ...     recorder.add(series, 1, 2.0, weight=2.0)
        >>> recorder.seal(seq=1).families[0].series
        (('', '1 2.0'),)
    """

    def __init__(self) -> None:
        # Reentrant: a signal handler or a finalizer may increment while its own thread holds it.
        self.lock = threading.RLock()
        self.epoch = 1
        self._own: dict[str, Series] = {}
        self._touched: list[Series] = []

    @property
    def pending(self) -> bool:
        """Whether there is anything to seal."""
        return bool(self._touched)

    def open_epoch(self) -> int:
        """Return the epoch that takes, or took, what is recorded by now."""
        with self.lock:
            return self.epoch if self._touched else self.epoch - 1

    def touch(self, series: Series) -> None:
        """Make the series part of the next batch; the caller holds `lock`."""
        if not series.touched:
            series.touched = True
            self._touched.append(series)

    def add(self, series: Series, index: int, amount: float, *, weight: float = 0.0) -> None:
        """Add to one number of a series; the caller holds `lock`."""
        # No call between reading and writing: a signal handler that increments has no gap to step into.
        series.amounts[index] += amount
        series.weight += weight
        self.touch(series)

    def replace(self, series: Series, value: float) -> None:
        """Set a "latest" gauge; the caller holds `lock`."""
        series.amounts[1] = value
        series.weight = 1.0
        series.set_at_s = time.monotonic()
        self.touch(series)

    def lose(self, family: str, weight: float) -> None:
        """Count what will never be delivered; the caller holds `lock`."""
        self.count(LOST, family, weight)

    def count(self, schema: Schema, value: str, amount: float = 1.0) -> None:
        """Count something of our own, in a family with one label; the caller holds `lock`."""
        text = label_text(schema.labelnames, [value])
        series = self._own.setdefault(f"{schema.name}{text}", Series(schema, text))
        self.add(series, 1, amount)

    def seal(self, seq: int, limit: int = 1_000) -> Batch:
        """Take up to `limit` touched series, oldest first, into a batch."""
        sealed_at_s = time.monotonic()
        with self.lock:
            taken, self._touched = self._touched[:limit], self._touched[limit:]
            families = _take(taken)
            if not self._touched:
                self.epoch += 1
        return Batch(
            seq,
            tuple(
                FamilyDelta(
                    schema,
                    tuple((text, _delta(schema, merged, sealed_at_s)) for text, merged in rows.items()),
                    sum(merged.weight for merged in rows.values()),
                )
                for schema, rows in families
            ),
            sealed_at_s,
        )

    def forget(self) -> None:
        """Drop everything unsent: after a fork the deltas are the parent's to send."""
        self.lock = threading.RLock()
        self.epoch += 1
        for series in self._touched:
            series.amounts, series.weight, series.touched = defaultdict(float), 0.0, False
        self._touched = []


def _take(taken: list[Series]) -> list[tuple[Schema, dict[str, _Merged]]]:
    """Empty the series, joining those that print the same labels: two instruments may share a name."""
    families: dict[str, tuple[Schema, dict[str, _Merged]]] = {}
    for series in taken:
        # In this order, an increment out of a finalizer between two lines is in this batch or in the next.
        series.touched = False
        amounts, series.amounts = series.amounts, defaultdict(float)
        weight, series.weight = series.weight, 0.0
        _, rows = families.setdefault(series.schema.index_field, (series.schema, {}))
        known = rows.get(series.text)
        if known is None:
            rows[series.text] = _Merged(amounts, weight, series.set_at_s)
        elif series.schema.rule == "latest":
            if series.set_at_s >= known.set_at_s:
                rows[series.text] = _Merged(amounts, weight, series.set_at_s)
        else:
            known.weight += weight
            for index, amount in amounts.items():
                known.amounts[index] += amount
    return list(families.values())


def _delta(schema: Schema, merged: _Merged, sealed_at_s: float) -> str:
    if schema.rule == "latest":
        return f"{merged.amounts[1]!r} {(sealed_at_s - merged.set_at_s) * 1e3:.0f}"
    return " ".join([f"{index} {amount!r}" for index, amount in merged.amounts.items()])

"""What the series of a family lack, compared with those that a page has shown.

Counts are known to be monotone: the values of counters, the counts of summaries, and the buckets of both kinds of
histograms. Only a count that is lower than shown proves a loss. A sum may go down, since observations may be negative.
So it follows the counts:

- If no count is higher than shown, and one is lower, the series holds a part of what was shown. Its sum goes back to
  the sum that was shown, up or down.
- Otherwise it is raised to the sum that was shown only if a loss is certain, and if nothing shows that the family may
  have negative observations: a bound or a sum below zero, a negative bucket, or a zero bucket that is wide enough to
  hold some.

If label sets were counted as `__overflow__`, one that had a series of its own may have lost its place to another one
after a rollback. Then the overflow series, the series that are gone and those that are new are compared as one. So what
instances have sent again is never added a second time, wherever it stands.
"""

from __future__ import annotations

import math
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from ...exposition.family import Family
from ...model.encoding import SeriesNumbers, number_text
from ...model.merging import merge_series
from ...model.schema import Schema

__all__ = ["has_lost", "has_vanished", "lacking_series"]

# Observations below it are zero in any sum. The threshold of a native histogram is far below, unless a program sets it.
_NO_AMOUNT = 1e-30


def has_lost(held: Family, shown: Family) -> bool:
    """Tell whether a count of a series is lower than it was shown, which proves a loss.

    Example:
        >>> size = Schema("size", "summary")
        >>> [has_lost(Family(size, {b"": held}), Family(size, {b"": b"2 10"})) for held in (b"1 10", b"3 6")]
        [True, False]
    """
    return any(
        text in held.series and _lack(held.schema, held.series[text], numbers, _Sums(can_rise=False))
        for text, numbers in shown.series.items()
    )


def has_vanished(held: Family, shown: Family, ended: AbstractSet[tuple[str, bytes]]) -> bool:
    """Tell whether a series that was shown is gone, and has not expired.

    Args:
        held: what the store has.
        shown: what a page has shown.
        ended: the series that have expired, each by the index field of its family and its label text.
    """
    gone = shown.series.keys() - held.series.keys()
    return any((shown.schema.index_field, text) not in ended for text in gone)


def lacking_series(held: Family, shown: Family, *, batches_are_missing: bool) -> SeriesNumbers:
    """Return what a family lacks, as numbers to be added.

    Args:
        held: what the store has.
        shown: what a page has shown, under the same schema.
        batches_are_missing: whether some batches are lost that no instance has sent again.

    Example:
        >>> jobs = Schema("jobs", "counter", ("queue",))
        >>> held = Family(jobs, {b'queue="new"': b"1", b'queue="__overflow__"': b"5"})
        >>> lacking_series(held, Family(jobs, {b'queue="old"': b"8"}), batches_are_missing=True)
        {b'queue="__overflow__"': b'2'}
    """
    schema, overflow = held.schema, held.schema.overflow_text.encode()
    sums = _Sums(not (_may_be_negative(held) or _may_be_negative(shown)), batches_are_missing)
    pooled = {overflow, *(held.series.keys() ^ shown.series.keys())} if _has_moved(held, shown, overflow) else set()
    lacks = {
        text: lack
        for text, numbers in shown.series.items()
        if text not in pooled and (lack := _lack(schema, held.series.get(text), numbers, sums))
    }
    before = _total(shown, pooled)
    if before and (lack := _lack(schema, _total(held, pooled), before, sums)):
        lacks[overflow] = lack
    return lacks


def _has_moved(held: Family, shown: Family, overflow: bytes) -> bool:
    """Tell whether label sets may be counted in another series of a full family than before."""
    if overflow not in held.series and overflow not in shown.series:
        return False
    if held.series.keys() - shown.series.keys():
        return True
    now = held.series.get(overflow)
    return bool(now and _lack(held.schema, shown.series[overflow], now, _Sums(can_rise=False)))


def _total(family: Family, texts: AbstractSet[bytes]) -> bytes | None:
    parts = ({b"": numbers} for text, numbers in family.series.items() if text in texts)
    return merge_series(family.schema, parts).get(b"")


def _may_be_negative(family: Family) -> bool:
    """Tell whether something shows that observations may be negative."""
    if family.schema.type == "counter":
        return False
    if any(float(bound) < 0 for bound in family.schema.bounds):
        return True
    place = family.schema.shape.index("a")
    is_native = family.schema.rule == "native"
    words = (numbers.split() for numbers in family.series.values())
    return any(float(row[place]) < 0 or (is_native and _has_room_below_zero(row)) for row in words)


def _has_room_below_zero(row: list[bytes]) -> bool:
    _, _, zero_count, _, zero_threshold, _, negative = row
    return negative != b"-" or (zero_count != b"0" and float(zero_threshold) > _NO_AMOUNT)


@dataclass(frozen=True, slots=True)
class _Sums:
    """When a sum that is too low is raised, if it is not known what it was.

    Args:
        can_rise: whether no observation seems to be negative.
        may_lack_alone: whether a sum may lack something if no count does.
    """

    can_rise: bool
    may_lack_alone: bool = False

    def lack(self, held: float, shown: float, *, lacks: bool, rises: bool) -> float:
        """Return what a sum lacks, if some counts are lower than shown (`lacks`), or higher (`rises`)."""
        raised = self.can_rise and (lacks or self.may_lack_alone)
        return _difference(held, shown) if (lacks and not rises) or (raised and held < shown) else 0.0


def _lack(schema: Schema, held: bytes | None, shown: bytes, sums: _Sums) -> bytes | None:
    """Return what the numbers of a series lack; None if they lack nothing."""
    if held is None or held == shown:
        return shown if held is None else None
    if schema.rule == "native":
        return _native_lack(held, shown, sums)
    pairs = list(zip(schema.shape, held.split(), shown.split(), strict=True))
    lacks, rises = (
        any(letter != "a" and float(pair[low]) < float(pair[1 - low]) for letter, *pair in pairs) for low in (0, 1)
    )
    words = []
    for letter, one, other in pairs:
        if letter == "w":
            words.append(b"%d" % max(0, int(other) - int(one)))
        elif letter == "a":
            words.append(number_text(sums.lack(float(one), float(other), lacks=lacks, rises=rises)).encode())
        else:
            words.append(number_text(_difference(float(one), float(other)) if lacks else 0.0).encode())
    return b" ".join(words) if any(word != b"0" for word in words) else None


def _native_lack(held: bytes, shown: bytes, sums: _Sums) -> bytes | None:
    from ...model.native_counts import NativeCounts  # most pages have no native histogram

    one, other = (NativeCounts.parse(numbers.decode().split()) for numbers in (held, shown))
    lack = one.lacking(other)
    lack.sum = sums.lack(one.sum, other.sum, lacks=lack.count > 0, rises=other.lacking(one).count > 0)
    return lack.text().encode() if lack.count or lack.sum else None


def _difference(held: float, shown: float) -> float:
    difference = shown - held
    if math.isnan(difference):
        return 0.0
    while held + difference < shown:  # rounding must not leave it lower in its last bit
        difference = math.nextafter(difference, math.inf)
    return difference

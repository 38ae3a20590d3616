"""Native histograms: exponential buckets in a sparse line, and how two of them are merged.

A positive bucket with the index i counts observations above base^(i-1) and up to base^i, where the base is
2^(2^-schema). The zero bucket counts those within the zero threshold. The line is

    <sum> <count> <zero count> <schema> <zero threshold> <positive> <negative>

where the last two are `index:count,index:count`, or `-`. These are its sides: positive and negative observations.

Source: https://prometheus.io/docs/specs/native_histograms/
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache

from .encoding import number_text

__all__ = ["COARSEST", "FINEST", "NativeCounts", "bucket_index", "classic_counts", "upper_bound"]

COARSEST, FINEST = -4, 8
_LARGEST = 1.7976931348623157e308
_NONE = "-"


@dataclass(slots=True)
class NativeCounts:
    """The counts of a native histogram.

    Args:
        schema: the resolution of its buckets, from -4 (coarse) to 8 (fine).
        zero_threshold: observations of up to this absolute value count as zero.
        positive: bucket index -> observations; `negative` is the same for negative ones, by their absolute value.

    Example:
        >>> counts = NativeCounts(schema=0, zero_threshold=0.001)
        >>> for amount in (0, 3, 4, 5): counts.observe(amount)
        >>> counts.text()
        '12 4 1 0 0.001 2:2,3:1 -'
    """

    schema: int
    zero_threshold: float
    sum: float = 0.0
    count: int = 0
    zero_count: int = 0
    positive: Counter[int] = field(default_factory=Counter)
    negative: Counter[int] = field(default_factory=Counter)

    def observe(self, amount: float) -> None:
        """Count one observation."""
        self.sum += amount
        self.count += 1
        if abs(amount) <= self.zero_threshold:
            self.zero_count += 1
        else:
            side = self.positive if amount > 0 else self.negative
            side[bucket_index(abs(amount), self.schema)] += 1

    def text(self) -> str:
        """Print the words of a packed line."""
        numbers = f"{number_text(self.sum)} {self.count} {self.zero_count} {self.schema}"
        return f"{numbers} {number_text(self.zero_threshold)} {_side_text(self.positive)} {_side_text(self.negative)}"

    @classmethod
    def parse(cls, words: Iterable[str]) -> NativeCounts:
        """Read the words of a packed line."""
        total, count, zero_count, schema, zero_threshold, *sides = words
        positive, negative = map(_side, sides)
        return cls(int(schema), float(zero_threshold), float(total), int(count), int(zero_count), positive, negative)

    @property
    def adds_up(self) -> bool:
        """Whether the counts of all buckets add up to `count`; otherwise Prometheus refuses the whole page."""
        return self.zero_count + self.positive.total() + self.negative.total() == self.count

    def add(self, other: NativeCounts) -> None:
        """Add other counts, at the coarser of both resolutions; the other counts are changed, too."""
        _align_thresholds(self, other)
        for one in (self, other):
            one.coarsen(min(self.schema, other.schema))
        self.sum += other.sum
        self.count += other.count
        self.zero_count += other.zero_count
        self.positive.update(other.positive)
        self.negative.update(other.negative)

    def lacking(self, shown: NativeCounts) -> NativeCounts:
        """Return what each bucket lacks compared with those shown, without a sum; both counts are aligned."""
        _align_thresholds(self, shown)
        for one in (self, shown):
            one.coarsen(min(self.schema, shown.schema))
        lacks = NativeCounts(self.schema, self.zero_threshold)
        lacks.zero_count = max(0, shown.zero_count - self.zero_count)
        lacks.positive, lacks.negative = shown.positive - self.positive, shown.negative - self.negative
        lacks.count = lacks.zero_count + lacks.positive.total() + lacks.negative.total()
        return lacks

    def coarsen(self, schema: int) -> None:
        """Join buckets until they are as wide as those of a schema."""
        steps = self.schema - schema
        if steps > 0:
            self.positive, self.negative = _joined(self.positive, steps), _joined(self.negative, steps)
            self.schema = schema

    def limit(self, max_buckets: int) -> None:
        """Coarsen the resolution until there are at most so many buckets."""
        while len(self.positive) + len(self.negative) > max_buckets and self.schema > COARSEST:
            self.coarsen(self.schema - 1)

    def widen_zero(self, threshold: float) -> None:
        """Move buckets that begin below a threshold into the zero bucket, each as a whole."""
        for side in (self.positive, self.negative):
            for index in [index for index in side if upper_bound(index - 1, self.schema) < threshold]:
                self.zero_count += side.pop(index)
                threshold = max(threshold, upper_bound(index, self.schema))
        self.zero_threshold = max(self.zero_threshold, threshold)


def classic_counts(counts: NativeCounts, bounds: Iterable[float]) -> Iterator[int]:
    """Return the observations of each classic bucket, not cumulative.

    Args:
        counts: the native histogram.
        bounds: upper bounds; the last one is infinite.

    Example:
        >>> counts = NativeCounts(0, 0.001)
        >>> for amount in (0.0, 0.3, 3, 100): counts.observe(amount)
        >>> list(classic_counts(counts, [0.5, 1, 4, float("inf")]))
        [2, 0, 1, 1]
    """
    by_upper_bound = [(counts.zero_threshold, counts.zero_count)]
    by_upper_bound += [(upper_bound(index, counts.schema), count) for index, count in counts.positive.items()]
    by_upper_bound += [(-upper_bound(index - 1, counts.schema), count) for index, count in counts.negative.items()]
    below = 0
    for bound in bounds:
        total = counts.count if bound == float("inf") else sum(count for top, count in by_upper_bound if top <= bound)
        yield total - below
        below = total


def bucket_index(amount: float, schema: int) -> int:
    """Return the index of the bucket for an amount above zero.

    Example:
        >>> bucket_index(4.0, 0), bucket_index(4.1, 0), bucket_index(4.1, 3)
        (2, 3, 17)
    """
    if math.isinf(amount):
        return bucket_index(_LARGEST, schema) + 1
    fraction, exponent = math.frexp(amount)
    if schema > 0:
        return bisect_left(_fractions(schema), fraction) + (exponent - 1) * (1 << schema)
    # A power of two is the upper bound of its bucket, so it is not in the next one.
    power = exponent - 1 if fraction == 0.5 else exponent  # noqa: PLR2004  the smallest fraction
    return -((-power) >> -schema)


@lru_cache(maxsize=16)
def _fractions(schema: int) -> list[float]:
    """Return the upper bounds of the buckets between two powers of two, as fractions from a half to one."""
    return [0.5 * 2.0 ** (place / (1 << schema)) for place in range(1 << schema)]


def upper_bound(index: int, schema: int) -> float:
    """Return a bucket's upper bound.

    Example:
        >>> upper_bound(3, 0), upper_bound(-1, -1)
        (8.0, 0.25)
    """
    exponent = index * 2.0**-schema
    return 2.0**exponent if exponent < 1024 else math.inf  # noqa: PLR2004  floats end there


def _joined(side: Counter[int], steps: int) -> Counter[int]:
    joined: Counter[int] = Counter()
    for index, count in side.items():
        joined[-((-index) >> steps)] += count
    return joined


def _align_thresholds(one: NativeCounts, other: NativeCounts) -> None:
    while one.zero_threshold != other.zero_threshold:
        narrow, wide = sorted((one, other), key=lambda counts: counts.zero_threshold)
        narrow.widen_zero(wide.zero_threshold)


def _side_text(side: Counter[int]) -> str:
    return ",".join([f"{index}:{side[index]}" for index in sorted(side) if side[index]]) or _NONE


def _side(text: str) -> Counter[int]:
    side: Counter[int] = Counter()
    if text != _NONE:
        for pair in text.split(","):
            index, _, count = pair.partition(":")
            side[int(index)] += int(count)
    return side

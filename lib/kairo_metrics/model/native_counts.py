"""Native histograms: exponential buckets in a sparse line, and how two of them become one.

A positive bucket with the index i holds what is above base^(i-1) and at most base^i, where the base is
2^(2^-schema). A zero bucket holds what is within the zero threshold. The line is

    <sum> <count> <zero count> <schema> <zero threshold> <positive> <negative>

where the last two are `index:count,index:count`, or `-`.

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
    """What a native histogram holds.

    Args:
        schema: how fine its buckets are, from -4 to 8.
        zero_threshold: up to which absolute value an observation counts as zero.
        positive: index -> observations; so is `negative`, for the absolute values.

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
        """Count one number."""
        self.sum += amount
        self.count += 1
        if abs(amount) <= self.zero_threshold:
            self.zero_count += 1
        else:
            side = self.positive if amount > 0 else self.negative
            side[bucket_index(abs(amount), self.schema)] += 1

    def text(self) -> str:
        """Print the line."""
        numbers = f"{number_text(self.sum)} {self.count} {self.zero_count} {self.schema}"
        return f"{numbers} {number_text(self.zero_threshold)} {_side_text(self.positive)} {_side_text(self.negative)}"

    @classmethod
    def parse(cls, words: Iterable[str]) -> NativeCounts:
        """Read the words of a line."""
        total, count, zero_count, schema, zero_threshold, *sides = words
        positive, negative = map(_side, sides)
        return cls(int(schema), float(zero_threshold), float(total), int(count), int(zero_count), positive, negative)

    @property
    def adds_up(self) -> bool:
        """Whether what is in the buckets is what was counted; Prometheus refuses a page with one that does not."""
        return self.zero_count + self.positive.total() + self.negative.total() == self.count

    def add(self, other: NativeCounts) -> None:
        """Add what another one holds, at the coarser of both resolutions; the other one is used up."""
        _bring_thresholds_together(self, other)
        for one in (self, other):
            one.coarsen(min(self.schema, other.schema))
        self.sum += other.sum
        self.count += other.count
        self.zero_count += other.zero_count
        self.positive.update(other.positive)
        self.negative.update(other.negative)

    def lacking(self, shown: NativeCounts) -> NativeCounts:
        """Return what must be added, bucket by bucket, to be nowhere below another one; both are used up."""
        _bring_thresholds_together(self, shown)
        for one in (self, shown):
            one.coarsen(min(self.schema, shown.schema))
        lacks = NativeCounts(self.schema, self.zero_threshold, max(0.0, shown.sum - self.sum))
        lacks.zero_count = max(0, shown.zero_count - self.zero_count)
        lacks.positive, lacks.negative = shown.positive - self.positive, shown.negative - self.negative
        lacks.count = lacks.zero_count + lacks.positive.total() + lacks.negative.total()
        return lacks

    def coarsen(self, schema: int) -> None:
        """Join buckets until they are as wide as in that schema."""
        steps = self.schema - schema
        if steps > 0:
            self.positive, self.negative = _joined(self.positive, steps), _joined(self.negative, steps)
            self.schema = schema

    def limit(self, max_buckets: int) -> None:
        """Make the resolution coarser until there are no more than so many buckets."""
        while len(self.positive) + len(self.negative) > max_buckets and self.schema > COARSEST:
            self.coarsen(self.schema - 1)

    def widen_zero(self, threshold: float) -> None:
        """Move into the zero bucket what is in buckets that begin below a threshold, each of them whole."""
        for side in (self.positive, self.negative):
            for index in [index for index in side if upper_bound(index - 1, self.schema) < threshold]:
                self.zero_count += side.pop(index)
                threshold = max(threshold, upper_bound(index, self.schema))
        self.zero_threshold = max(self.zero_threshold, threshold)


def classic_counts(counts: NativeCounts, bounds: Iterable[float]) -> Iterator[int]:
    """Return the observations of each classic bucket, not cumulative.

    Args:
        counts: what the native histogram holds.
        bounds: upper bounds, the last of which is infinite.

    Example:
        >>> counts = NativeCounts(0, 0.001)
        >>> for amount in (0.0, 0.3, 3, 100): counts.observe(amount)
        >>> list(classic_counts(counts, [0.5, 1, 4, float("inf")]))
        [2, 0, 1, 1]
    """
    tops = [(counts.zero_threshold, counts.zero_count)]
    tops += [(upper_bound(index, counts.schema), count) for index, count in counts.positive.items()]
    tops += [(-upper_bound(index - 1, counts.schema), count) for index, count in counts.negative.items()]
    below = 0
    for bound in bounds:
        total = counts.count if bound == float("inf") else sum(count for top, count in tops if top <= bound)
        yield total - below
        below = total


def bucket_index(amount: float, schema: int) -> int:
    """Return the index of the bucket that an amount above zero falls into.

    Example:
        >>> bucket_index(4.0, 0), bucket_index(4.1, 0), bucket_index(4.1, 3)
        (2, 3, 17)
    """
    if math.isinf(amount):
        return bucket_index(_LARGEST, schema) + 1
    fraction, exponent = math.frexp(amount)
    if schema > 0:
        return bisect_left(_fractions(schema), fraction) + (exponent - 1) * (1 << schema)
    # A power of two is the upper bound of its bucket, and not in the next one.
    power = exponent - 1 if fraction == 0.5 else exponent  # noqa: PLR2004  the smallest fraction
    return -((-power) >> -schema)


@lru_cache(maxsize=16)
def _fractions(schema: int) -> list[float]:
    """Return the upper bounds of one power of two's buckets, as fractions from a half to one."""
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


def _bring_thresholds_together(one: NativeCounts, other: NativeCounts) -> None:
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

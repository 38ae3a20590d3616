"""The buckets of a native histogram as Prometheus' protobuf messages have them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["LARGEST_COUNT", "fill_side", "held"]

LARGEST_COUNT = 2**64 - 1


def fill_side(spans: Any, deltas: Any, side: Mapping[int, int]) -> None:
    """Write buckets as spans of neighbours, and each count as its difference from the one before."""
    expected, before = 0, 0
    for index in sorted(side):
        if not spans or index != expected:
            spans.add(offset=index - expected, length=0)
        spans[-1].length += 1
        deltas.append(side[index] - before)
        expected, before = index + 1, side[index]


def held(count: int) -> int:
    """Return the count, at most the largest that a field of 64 bits holds."""
    return min(count, LARGEST_COUNT)

"""The labelled children of a preset: they count a request as the library does whose names they have."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["preset_child"]


def preset_child(
    instrument: Any, facts: tuple[str, ...], needs: tuple[str, ...], twice_with: str, *, is_total: bool
) -> Callable[[Mapping[str, str]], Any]:
    """Return the function from the facts of a request to the child that counts it.

    Args:
        instrument: with or without labels.
        facts: the values of its labels.
        needs: further facts. If one of these or of the labels is not known, the request is not counted.
        twice_with: the fact with which it counts a request twice.
        is_total: whether it is a counter of amounts.
    """
    needed = {*facts, *needs}

    def child(values: Mapping[str, str]) -> Any:
        if not needed <= values.keys():
            return _Nothing
        found = instrument.labels(*[values[fact] for fact in facts]) if facts else instrument
        if is_total:
            return _Total(found)
        return _Twice(found) if twice_with in values else found

    return child


class _Nothing:
    """Counts nothing."""

    @staticmethod
    def inc() -> None:
        """Do nothing."""

    @staticmethod
    def observe(_amount: float) -> None:
        """Do nothing."""


class _Total:
    """Adds amounts up in a counter."""

    def __init__(self, counter: Any) -> None:
        self.observe = counter.inc


class _Twice:
    """Observes an amount twice."""

    def __init__(self, histogram: Any) -> None:
        self._histogram = histogram

    def observe(self, amount: float) -> None:
        """Do it."""
        self._histogram.observe(amount)
        self._histogram.observe(amount)

"""The labelled children of a preset: they count a request as the library does whose names they have."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from prometheus_client import Counter

from .declarations import Declaration

__all__ = ["preset_child"]


def preset_child(
    declaration: Declaration, instrument: Any, facts: tuple[str, ...]
) -> Callable[[Mapping[str, str]], Any]:
    """Return the function from the facts of a request to the child that counts it.

    Args:
        declaration: that of the instrument.
        instrument: with or without labels.
        facts: the values of its labels. If one is not known, the request is not counted.
    """
    needs = {*facts, *declaration.needs}
    is_total = declaration.kind is Counter and declaration.counts != "requests"

    def child(values: Mapping[str, str]) -> Any:
        if not needs <= values.keys():
            return _Nothing
        found = instrument.labels(*[values[fact] for fact in facts]) if facts else instrument
        if is_total:
            return _Total(found)
        return _Twice(found) if declaration.twice_with in values else found

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

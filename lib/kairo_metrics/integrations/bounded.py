"""Label values of which a program may have any number, and of which only so many are shown."""

from __future__ import annotations

__all__ = ["OVERFLOW", "BoundedLabel"]

OVERFLOW = "__overflow__"


class BoundedLabel:
    """The values that a label has in this process.

    Args:
        limit: as many values as come first are kept; all others are shown as `__overflow__`.

    Example:
        >>> host = BoundedLabel(limit=1)
        >>> host("a.example"), host("b.example"), host("a.example")
        ('a.example', '__overflow__', 'a.example')
    """

    __slots__ = ("_limit", "_values")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._values: set[str] = set()

    def __call__(self, value: str) -> str:
        """Return the value, or the overflow value."""
        if value not in self._values:
            if len(self._values) >= self._limit:
                return OVERFLOW
            self._values.add(value)
        return value

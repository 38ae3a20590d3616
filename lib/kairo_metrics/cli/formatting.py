"""Numbers and durations as text for people."""

from __future__ import annotations

import math

__all__ = ["duration", "finite", "short"]

_LONG = 1000


def short(value: float) -> str:
    """Print a number: all digits before the point if it has four or more of them, else four digits in all.

    Example:
        >>> short(1234567.0), short(0.0123456), short(2.5)
        ('1234567', '0.01235', '2.5')
    """
    return f"{value:.0f}" if math.isfinite(value) and abs(value) >= _LONG else f"{value:.4g}"


def duration(seconds: float) -> str:
    """Print a duration in its largest whole unit.

    Example:
        >>> duration(0.2), duration(59), duration(7200), duration(200000)
        ('0 s', '59 s', '2 h', '2 d')
    """
    seconds = max(0.0, seconds)
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{int(seconds / size)} {unit}"
    return f"{seconds:.0f} s"


def finite(value: float) -> float | str:
    """Return the number, or its text where JSON has no such number: infinity and NaN.

    Example:
        >>> finite(2.5), finite(math.inf)
        (2.5, 'inf')
    """
    return value if math.isfinite(value) else str(value)

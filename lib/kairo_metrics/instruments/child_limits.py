"""How many children an instrument may have, and for how long an idle one is kept."""

from __future__ import annotations

__all__ = ["LIMITS", "ChildLimits", "limit_children"]

_IDLE_S = 3_600.0


class ChildLimits:
    """The limits of the store, for the children of each instrument: a process has one store."""

    def __init__(self) -> None:
        self.max_series = 10_000
        self.idle_s = _IDLE_S


LIMITS = ChildLimits()


def limit_children(max_series: int, series_ttl_s: float) -> None:
    """Set how many children each instrument may have.

    Args:
        max_series: for each instrument.
        series_ttl_s: seconds after which the store forgets a series. A child that is idle for so long, or for an hour,
            makes room for another one.
    """
    LIMITS.max_series, LIMITS.idle_s = max_series, min(series_ttl_s, _IDLE_S)

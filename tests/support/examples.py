"""How many random examples a property is tried with: as many as its test says, and many times that in `make fuzz`."""

from __future__ import annotations

from hypothesis import settings as hypothesis_settings

__all__ = ["FUZZ", "examples"]

# The profile of `make fuzz`.
FUZZ = "fuzz"
_NORMAL = 100
_TIMES = 25
hypothesis_settings.register_profile(FUZZ, max_examples=_NORMAL * _TIMES)


def examples(count: int) -> int:
    """Return how many examples to draw in this run.

    Args:
        count: how many in `make test`.
    """
    return count * (_TIMES if hypothesis_settings.get_current_profile_name() == FUZZ else 1)

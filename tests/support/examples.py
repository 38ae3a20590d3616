"""How many random examples a property test draws: fewer in `make test-fast`, many more in `make fuzz`."""

from __future__ import annotations

from hypothesis import settings as hypothesis_settings

__all__ = ["FUZZ", "examples"]

# The profiles of `make fuzz` and of `make test-fast`.
FUZZ, FAST = "fuzz", "fast"
_NORMAL = 100
_TIMES = {FUZZ: 25.0, FAST: 0.25}
# Without a time limit for one example: a busy machine may stop a process for longer.
hypothesis_settings.register_profile("default", deadline=None)
for _name, _times in _TIMES.items():
    hypothesis_settings.register_profile(_name, max_examples=int(_NORMAL * _times), deadline=None)


def examples(count: int) -> int:
    """Return how many examples to draw in this run.

    Args:
        count: the number in `make test`.
    """
    return int(count * _TIMES.get(hypothesis_settings.get_current_profile_name(), 1.0))

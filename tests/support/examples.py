"""How many random examples a property test draws: fewer in `make test-fast`, many more in `make fuzz`."""

from __future__ import annotations

from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

__all__ = ["FUZZ", "examples"]

# The profiles of `make fuzz` and of `make test-fast`.
FUZZ, FAST = "fuzz", "fast"
_NORMAL = 50
_TIMES = {FUZZ: 50.0, FAST: 0.25}
# Without a time limit for one example, and for drawing them: a busy machine may stop a process for longer.
for _name, _times in {"default": 1.0, **_TIMES}.items():
    hypothesis_settings.register_profile(
        _name, max_examples=int(_NORMAL * _times), deadline=None, suppress_health_check=[HealthCheck.too_slow]
    )
if hypothesis_settings.get_current_profile_name() == "default":  # Hypothesis loads another one on a server of CI
    hypothesis_settings.load_profile("default")


def examples(count: int) -> int:
    """Return how many examples to draw in this run.

    Args:
        count: the number in `make test`.
    """
    return int(count * _TIMES.get(hypothesis_settings.get_current_profile_name(), 1.0))

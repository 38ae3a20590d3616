"""Which families are small enough to be read at once."""

from __future__ import annotations

from lib.kairo_metrics.store.family_sizes import MOST_AT_ONCE, FamilySizes


def test_a_family_is_small_until_it_has_grown_or_was_not_read_for_long() -> None:
    """Nobody knows what has become of a family while the instance was frozen, or after the clock was set back."""
    clock = [1_000.0]
    sizes = FamilySizes(lambda: clock[0])
    assert sizes.of("jobs") is None
    sizes.remember("jobs", 3)
    for now_s, size in ((1_300.0, 3), (1_301.0, None), (999.0, None)):
        clock[0] = now_s
        assert sizes.of("jobs") == size
    clock[0] = 1_000.0
    sizes.remember("jobs", MOST_AT_ONCE)
    assert sizes.of("jobs") == MOST_AT_ONCE
    sizes.remember("jobs", MOST_AT_ONCE + 1)
    assert sizes.of("jobs") is None


def test_families_that_are_gone_take_no_memory_for_ever() -> None:
    """A process lives for days, and may see many deployments."""
    sizes = FamilySizes()
    for number in range(20_001):
        sizes.remember(f"family_{number}", 1)
    assert sizes.of("family_9999") is None
    assert sizes.of("family_20000") == 1

"""`make incidents`: its `increase()` against known results, and the incidents after which nothing may be wrong."""

from __future__ import annotations

import pytest

from benchmarks.incidents import Case, increase, simulate


def test_what_follows_a_lower_value_is_counted_from_zero() -> None:
    """A counter that falls to 3 has begun again, for Prometheus: its 3 are added, and the reset is told."""
    assert increase([{"a": 10.0}, {"a": 14.0}, {"a": 3.0}, {"a": 5.0}]) == (4.0 + 3.0 + 2.0, True)


def test_a_series_that_is_away_for_a_scrape_is_compared_with_its_last_value() -> None:
    """Prometheus' range has no sample for it there, so nothing is added for its return."""
    assert increase([{"a": 10.0, "b": 1.0}, {"b": 2.0}, {"a": 12.0, "b": 2.0}]) == (3.0, False)


@pytest.mark.parametrize("shards", [1, 3])
@pytest.mark.parametrize("state", ["lossless", "snapshot", "failover"])
@pytest.mark.parametrize("page", ["warm", "new"])
def test_nothing_is_wrong_if_the_instances_go_on(state: str, page: str, shards: int) -> None:
    """What a store lost is sent again: `increase()` and the total are what was counted, and no scrape sees a reset."""
    for seed in range(2):
        outcome = simulate(Case(state, "warm", page), shards, seed)
        assert (outcome.error, outcome.total_error, outcome.was_reset) == (0, 0, False), f"seed {seed}"


@pytest.mark.parametrize("instances", ["half", "gone"])
def test_a_page_that_remembers_shows_no_reset_if_instances_have_ended(instances: str) -> None:
    """What nobody can send again is lost, but nothing is counted twice, and no counter falls."""
    for seed in range(2):
        outcome = simulate(Case("snapshot", instances, "warm"), 1, seed)
        assert outcome.error <= 0, f"seed {seed}"
        assert not outcome.was_reset, f"seed {seed}"

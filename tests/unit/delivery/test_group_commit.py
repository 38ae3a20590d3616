"""Of the calls that share a flush one waits for it, for as long as the others may rely on it."""

from __future__ import annotations

from lib.kairo_metrics.delivery.group_commit import GroupCommit


def test_calls_rely_on_one_that_waits_for_as_much_or_more() -> None:
    """What a call has counted later needs a call that waits longer."""
    commit = GroupCommit(budget_s=1.0, clock=lambda: 100.0)
    assert not commit.is_led(0)
    commit.lead(7)
    assert (commit.is_led(6), commit.is_led(7), commit.is_led(8)) == (True, True, False)
    commit.lead(8)
    assert commit.is_led(8)


def test_the_end_of_an_earlier_call_leaves_the_newest_one() -> None:
    """The one that waits for the flush before ends first."""
    commit = GroupCommit(budget_s=1.0, clock=lambda: 100.0)
    earlier, newest = commit.lead(7), commit.lead(8)
    commit.leave(earlier)
    commit.leave(None)
    assert commit.is_led(8)
    commit.leave(newest)
    assert not commit.is_led(7)


def test_nobody_relies_on_a_call_whose_budget_is_half_over() -> None:
    """What is counted late has time to be sent, and a call that never leaves lets no later one go."""
    now = [100.0]
    commit = GroupCommit(budget_s=1.0, clock=lambda: now[0])
    commit.lead(7)
    now[0] = 100.49
    assert commit.is_led(7)
    now[0] = 100.5
    assert not commit.is_led(7)

"""Of the calls that share a flush one waits for it, for as long as the others may rely on it."""

from __future__ import annotations

from lib.kairo_metrics.delivery.group_commit import GroupCommit


def test_calls_rely_on_one_that_waits_for_as_much_or_more() -> None:
    """What a call has counted later needs a call that waits longer."""
    commit = GroupCommit(budget_s=1.0, clock=lambda: 100.0)
    assert not commit.join(0)
    commit.lead(7)
    assert (commit.join(6), commit.join(7), commit.join(8)) == (True, True, False)
    commit.lead(8)
    assert commit.join(8)


def test_the_end_of_an_earlier_call_leaves_the_newest_one() -> None:
    """The one that waits for the flush before ends first."""
    commit = GroupCommit(budget_s=1.0, clock=lambda: 100.0)
    earlier, newest = commit.lead(7), commit.lead(8)
    commit.leave(earlier)
    commit.leave(None)
    assert commit.join(8)
    commit.leave(newest)
    assert not commit.join(7)


def test_nobody_relies_on_a_call_whose_budget_is_half_over() -> None:
    """What is counted late has time to be sent, and a call that never leaves lets no later one go."""
    now = [100.0]
    commit = GroupCommit(budget_s=1.0, clock=lambda: now[0])
    commit.lead(7)
    now[0] = 100.49
    assert commit.join(7)
    now[0] = 100.5
    assert not commit.join(7)


def test_one_that_waits_pauses_if_many_have_shared_the_flush_before() -> None:
    """A busy instance flushes less often. A quiet one does not pause, and one with a short budget not for long."""
    for budget_s, pause_s in ((1.0, 0.02), (0.02, 0.001)):
        commit = GroupCommit(budget_s, clock=lambda: 100.0)
        pauses = []
        for joining in (0, 7, 8, 0):
            leader = commit.lead(7)
            pauses.append(commit.pause_s)
            assert all(commit.join(7) for _ in range(joining))
            commit.leave(leader)
        assert pauses == [0.0, 0.0, 0.0, pause_s]


def test_two_that_begin_at_once_pause_for_the_same_time() -> None:
    """Two threads may find at the same moment that nobody waits; the second does not flush before the first."""
    commit = GroupCommit(budget_s=1.0, clock=lambda: 100.0)
    commit.lead(7)
    assert all(commit.join(7) for _ in range(8))
    pauses = []
    for _ in range(2):
        commit.lead(8)
        pauses.append(commit.pause_s)
    assert pauses == [0.02, 0.02]

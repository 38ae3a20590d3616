"""The recovery of a state that went back in time: what is still missing, and when a page waits for it."""

from __future__ import annotations

import pytest

from lib.kairo_metrics.model.batch import Batch, State
from lib.kairo_metrics.model.recovery import RECOVERY_MS, Recovery
from lib.kairo_metrics.testing.recovery_account import account_after
from tests.support.batches import batch

NOW_MS = 1_764_000_050_000
OLD = "blue-1764000000000"
NEW = f"blue-{NOW_MS}"
HALF_WAY = Recovery(NOW_MS, OLD, 110, 100, 7)


def again(known: int) -> Batch:
    """Make a batch that is sent again by a writer that knew of so many batches."""
    return batch(1)._replace(known=State(OLD, known), replaces=1)


def test_the_example_of_the_documentation() -> None:
    """A loss of ten batches, of which three come again; then a writer that knew of two more, and sends two again."""
    recovery, went_back = account_after(None, State(OLD, 100), again(110), NOW_MS)
    assert (recovery, went_back) == (Recovery(NOW_MS, OLD, 110, 100, 9), True)
    for batches in (101, 102):
        recovery, went_back = account_after(recovery, State(NEW, batches), again(110), NOW_MS)
        assert not went_back
    assert recovery == HALF_WAY
    for batches in (103, 104):
        recovery, _ = account_after(recovery, State(NEW, batches), again(112), NOW_MS)
    assert recovery == Recovery(NOW_MS, OLD, 112, 100, 7)
    restored = batch(1)._replace(known=State(OLD, 112), restores=recovery.account)
    recovery, _ = account_after(recovery, State(NEW, 105), restored, NOW_MS)
    assert recovery is not None
    assert recovery.missing < 0


def test_a_page_waits_while_batches_are_missing() -> None:
    """A page without memory waits for ten seconds at most, and only while something is missing."""
    assert HALF_WAY.is_open(NOW_MS)
    assert HALF_WAY.is_open(NOW_MS - RECOVERY_MS + 1)  # another node's clock, which is behind
    assert not HALF_WAY.is_open(NOW_MS + RECOVERY_MS)
    assert not HALF_WAY.is_open(NOW_MS - RECOVERY_MS)
    assert not Recovery(NOW_MS, OLD, 110, 100, 0).is_open(NOW_MS)


@pytest.mark.parametrize(
    ("state", "known", "recovery", "went_back"),
    [
        (State(OLD, 100), State(), None, False),
        (State(OLD, 100), State(OLD, 110), None, True),
        (State(OLD, 110), State(OLD, 110), None, False),
        (State(OLD, 100), State(NEW, 5), None, True),
        (State(NEW, 103), State(OLD, 110), HALF_WAY, True),
        (State(NEW, 103), State("red-1763999999999", 3), HALF_WAY, True),
        (State(NEW, 103), State(OLD, 110), None, False),
        (State(NEW, 3), State(OLD, 110), Recovery(NOW_MS, OLD, 110, 0, 107), False),
    ],
    ids=[
        "nothing known",
        "fewer batches",
        "as many batches",
        "an older name",
        "recorded",
        "recorded, and known before that",
        "another state",
        "emptied",
    ],
)
def test_a_state_that_went_back_is_recognised(
    state: State, known: State, recovery: Recovery | None, went_back: bool
) -> None:
    """What a page has shown is added to what the store lost, and never to a store that was emptied on purpose."""
    assert Recovery.went_back(recovery, state, known) is went_back


def test_a_new_name_is_younger_than_all_before() -> None:
    """A state that gets a name while the server's clock is behind still is the youngest."""
    name = Recovery.name_after("red", State(NEW), State(f"green-{NOW_MS + 5}"), NOW_MS - 1_000)
    assert name == f"red-{NOW_MS + 6}"


@pytest.mark.parametrize(
    "text", [b"", b"1 2", b"x blue 110 100 7", b"1 blue 110 100 7 8", b"1 blue 1111111111111111 1 1"]
)
def test_a_damaged_recovery_is_none(text: bytes) -> None:
    """Damage in this field neither breaks a page nor keeps it waiting."""
    assert Recovery.parse(text) is None

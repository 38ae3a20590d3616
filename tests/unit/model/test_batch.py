"""Verdicts and states as values."""

from __future__ import annotations

import pytest

from lib.kairo_metrics.model.batch import Applied, Duplicate, Gap, Refused, State, Unannounced, Verdict

OTHER = State("blue-1764000000000", 7)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Applied(), Applied(OTHER)),
        (Applied(OTHER, (1,)), Applied(overflowed=(1,))),
        (Duplicate(), Duplicate(OTHER)),
        (Gap(3), Gap(3, OTHER)),
        (Refused((0,)), Refused((0,))),
    ],
)
def test_verdicts_are_equal_if_they_say_the_same_of_the_batch(one: Verdict, other: Verdict) -> None:
    """The state after a verdict is another one each time, so two verdicts may differ in it and be equal."""
    assert one == other
    assert len({one, other}) == 1


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Applied(), Duplicate()),
        (Applied(), Applied(overflowed=(0,))),
        (Gap(3), Gap(4)),
        (Unannounced((0,)), Refused((0,))),
        (Refused((0,)), Refused((1,))),
        (Gap(3), (3, State())),
    ],
)
def test_a_verdict_is_never_taken_for_another_kind(one: Verdict, other: object) -> None:
    """Verdicts of two kinds differ, also if they hold the same numbers: one says lost, the other says kept."""
    assert one != other


def test_a_verdict_shows_what_it_says() -> None:
    """A failing test and a log name the verdict and its parts."""
    assert repr(Gap(3, OTHER)) == "Gap(expected=3, state=State(incarnation='blue-1764000000000', batches=7))"
    assert repr(Refused((0, 2))) == "Refused(positions=(0, 2))"

"""How long ago a moment was, by two clocks."""

from __future__ import annotations

import pytest

from lib.kairo_metrics.model.moment import Moment, elapsed_s


@pytest.mark.parametrize(
    ("now", "elapsed"),
    [
        (Moment(15.0, 1_010.0), 10.0),
        (Moment(5.0, 1_060.0), 60.0),
        (Moment(15.0, 400.0), 10.0),
        (Moment(5.0, 400.0), 0.0),
        (Moment(15.0, 4_600.0), 3_600.0),
    ],
    ids=[
        "both clocks go",
        "frozen",
        "the wall clock is set back",
        "frozen, and set back",
        "set forward, which looks like a freeze",
    ],
)
def test_the_longer_time_counts_and_none_is_negative(now: Moment, elapsed: float) -> None:
    """An age is right after a freeze, and a wall clock that is set back does not make it negative."""
    assert elapsed_s(Moment(5.0, 1_000.0), now) == elapsed

"""A soak of some seconds; `make soak` runs a long one."""

from __future__ import annotations

from collections import Counter

from tests.faults.soak.soak import Books, soak

SECONDS = 6.0
# With this seed the server restarts, goes back to a snapshot, and loses replies.
SEED = 1


def test_all_sums_are_exact() -> None:
    """With a lossy network and a Redis that restarts and goes back, applied and lost add up to what was sent."""
    books = soak(SECONDS, SEED)
    assert books.dips == []
    assert books.differences() == dict.fromkeys(books.differences(), 0)
    assert min(books.sent.values()) > 0
    assert books.scrapes > 1
    assert books.is_exact


def test_a_wrong_sum_is_reported() -> None:
    """The report shows the difference of each family."""
    books = Books(
        sent=Counter(soak_pieces=7),
        applied=Counter(soak_pieces=5),
        lost=Counter(soak_pieces=1),
        dips=["jobs went down"],
    )
    page = books.page(3, 6.0)
    assert "FAILED" in page
    assert [line.split() for line in page.splitlines() if line.startswith("soak_pieces")] == [
        ["soak_pieces", "7", "5", "1", "-1"]
    ]
    assert "FAILED  jobs went down" in page

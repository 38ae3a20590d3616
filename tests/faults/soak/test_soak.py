"""A soak of some seconds; `make soak` runs a long one."""

from __future__ import annotations

from collections import Counter

from tests.faults.soak.soak import Books, soak

SECONDS = 6.0
# Restarts the server, lets it go back, and loses replies.
SEED = 1


def test_the_books_balance() -> None:
    """A lossy network, a Redis that is restarted and goes back: what is applied or counted as lost is what was sent."""
    books = soak(SECONDS, SEED)
    assert books.dips == []
    assert books.differences() == dict.fromkeys(books.differences(), 0)
    assert min(books.sent.values()) > 0
    assert books.scrapes > 1
    assert books.balance


def test_books_that_do_not_balance_are_told() -> None:
    """The page names the family that is off, and by how much."""
    books = Books(
        sent=Counter(soak_pieces=7),
        applied=Counter(soak_pieces=5),
        lost=Counter(soak_pieces=1),
        dips=["jobs went down"],
    )
    page = books.page(3, 6.0)
    assert "NO BALANCE" in page
    assert [line.split() for line in page.splitlines() if line.startswith("soak_pieces")] == [
        ["soak_pieces", "7", "5", "1", "-1"]
    ]
    assert "DIP  jobs went down" in page

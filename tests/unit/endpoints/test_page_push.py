"""One body that a receiver refuses does not hold up the others, and the report says what was taken."""

from __future__ import annotations

import time
from collections.abc import Sequence
from types import SimpleNamespace

import pytest

from lib.kairo_metrics.endpoints import page_push
from lib.kairo_metrics.endpoints.page_push import PushReport, Receipt, push_page
from lib.kairo_metrics.errors import ReceiverError


class Receiver:
    """Refuses bodies with certain series in them; fails others as often as it is told."""

    def __init__(self, *refused: int, largest: int = 1_000_000, status: int = 400, failing: int = -1) -> None:
        self.refused = set(refused)
        self.status, self.largest, self.failing = status, largest, failing
        self.requests = 0
        self.taken: list[int] = []

    def send(self, body: bytes, deadline_s: float) -> Receipt:  # noqa: ARG002 - the real one needs it
        self.requests += 1
        series = list(map(int, body.split()))
        if self.failing in series:
            raise ReceiverError("answered 500")
        if len(body) > self.largest:
            raise ReceiverError("answered 413", final=True, status=413)
        if self.refused.intersection(series):
            raise ReceiverError("answered", final=True, status=self.status)
        self.taken += series
        return Receipt()

    def asks_to_wait(self, deadline_s: float) -> bool:  # noqa: ARG002 - the real one needs it
        return False


def body_of(series: Sequence[int]) -> bytes:
    return b" ".join(b"%05d" % one for one in series)


def push(receiver: Receiver, count: int = 5_000, limit_s: float = 60) -> PushReport[int]:
    requests = [range(start, min(start + 2_000, count)) for start in range(0, count, 2_000)]
    return push_page(receiver, requests, body_of, time.monotonic() + limit_s)


@pytest.mark.parametrize("refused", [(0,), (4_999,), (0, 1, 2), (17, 2_500, 4_100), tuple(range(0, 2_000, 100))])
@pytest.mark.parametrize("status", [400, 403, 409, 422])
def test_only_the_refused_series_are_left_out(refused: tuple[int, ...], status: int) -> None:
    """Wherever they are, all others are taken once, and the refused ones are counted and named."""
    receiver = Receiver(*refused, status=status)
    report = push(receiver)
    assert sorted(receiver.taken) == [n for n in range(5_000) if n not in refused]
    assert (report.taken, report.refused, report.unconfirmed) == (5_000 - len(refused), len(refused), 0)
    assert {series for series, _ in report.named} <= set(refused)
    assert len(report.named) == min(5, len(refused))


def test_a_single_body_is_searched_as_well() -> None:
    """A page of one body whose first series is refused: all others are taken."""
    assert push(Receiver(0), 1_000).taken == 999


def test_a_receiver_that_takes_nothing_is_not_flooded() -> None:
    """Every body is tried, then a few small ones; the report says that nothing was taken."""
    receiver = Receiver(*range(5_000))
    report = push(receiver)
    assert (report.taken, report.refused) == (0, 5_000)
    assert receiver.requests < 60


def test_the_search_is_bounded() -> None:
    """If every second series is refused, the search ends after some hundreds of requests, and all are accounted for."""
    receiver = Receiver(*range(2, 5_000, 2))
    report = push(receiver)
    assert receiver.requests < 1_100
    assert report.taken + report.refused == 5_000
    assert report.taken == len(receiver.taken)


def test_bodies_that_are_too_large_are_sent_in_parts() -> None:
    """After a 413 no body of that size is sent again, and nothing is lost."""
    receiver = Receiver(largest=1_000)
    report = push(receiver)
    assert (report.taken, report.refused) == (5_000, 0)
    assert receiver.requests - len(range(0, 5_000, 125)) < 12


def test_a_body_that_always_fails_comes_last() -> None:
    """An error of the server for one body does not hold up the others; it is told, and is not called a refusal."""
    report = push(Receiver(failing=3))
    assert (report.taken, report.refused, report.unconfirmed, report.reason) == (3_000, 0, 2_000, "answered 500")


def test_a_refused_login_ends_the_push() -> None:
    """An answer about the login or the address is not repeated for each body."""
    receiver = Receiver(0, status=0)
    report = push(receiver)
    assert (receiver.requests, report.taken, report.ended) == (1, 0, True)
    assert (report.unconfirmed, report.reason) == (5_000, "answered")


def test_after_the_time_limit_nothing_is_sent() -> None:
    """The report says so."""
    receiver = Receiver()
    report = push(receiver, limit_s=0)
    assert (receiver.requests, report.taken) == (0, 0)
    assert (report.unconfirmed, report.reason) == (5_000, "the time was up")


@pytest.mark.parametrize("requests_in_time", [0, 1, 2, 3, 5, 11])
def test_every_sample_is_accounted_for(requests_in_time: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever the time limit falls, also in the search for refused series, nothing is missing in the report."""
    receiver = Receiver(1, 2_001, failing=4_500)
    clock = lambda: float(receiver.requests >= requests_in_time)  # noqa: E731
    monkeypatch.setattr(page_push, "time", SimpleNamespace(monotonic=clock))
    report = push_page(receiver, [range(2_000), range(2_000, 4_000), range(4_000, 5_000)], body_of, 1.0)
    assert report.taken == len(receiver.taken)
    assert report.refused == 0
    assert report.taken + report.unconfirmed == 5_000
    assert report.reason

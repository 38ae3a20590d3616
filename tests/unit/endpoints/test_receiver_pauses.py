"""The pause that a receiver asks for in `Retry-After`."""

from __future__ import annotations

import time

import pytest

from lib.kairo_metrics import ReceiverError
from lib.kairo_metrics.endpoints.logins import FixedLogin
from lib.kairo_metrics.endpoints.page_push import push_page
from lib.kairo_metrics.endpoints.receiver_answers import Answers, Version1Answers
from lib.kairo_metrics.endpoints.receiver_client import ReceiverClient
from lib.kairo_metrics.exposition.push_format import Body
from tests.support.write_receiver import Reply, WriteReceiver, write_receiver


def client(receiver: WriteReceiver, pauses: list[float], answers: Answers | None = None) -> ReceiverClient:
    """Return a client that notes its pauses and does not sleep."""
    return ReceiverClient(receiver.url, FixedLogin({}), {}, answers or Version1Answers(), sleep=pauses.append)


def test_the_pause_that_a_receiver_asks_for_is_kept() -> None:
    """Retry-After in seconds is waited for, where it is longer than our own pause; pauses double."""
    pauses: list[float] = []
    replies = (Reply(429, headers={"Retry-After": "3"}), Reply(503), Reply(503), Reply())
    with write_receiver(*replies) as receiver:
        client(receiver, pauses).send(Body(b""), deadline_s=time.monotonic() + 60)
    assert pauses == [3, 1, 2]


@pytest.mark.parametrize("asked", ["soon", "", "Fri, 13 Nov 2020 10:00:00 GMT", "-5", "²"])
def test_a_pause_that_makes_no_sense_is_passed_over(asked: str) -> None:
    """A Retry-After that can't be read, or lies in the past, changes nothing."""
    pauses: list[float] = []
    with write_receiver(Reply(503, headers={"Retry-After": asked}), Reply()) as receiver:
        client(receiver, pauses).send(Body(b""), deadline_s=time.monotonic() + 60)
    assert pauses == [0.5]


def test_a_pause_longer_than_the_time_limit_ends_the_push() -> None:
    """A `Retry-After` of an hour ends the push at once."""
    with write_receiver(Reply(429, "slower", headers={"Retry-After": "3600"})) as receiver:
        sender = client(receiver, [])
        with pytest.raises(ReceiverError, match="answered 429: slower"):
            sender.send(Body(b""), deadline_s=time.monotonic() + 60)
    assert len(receiver.received) == 1


def test_a_pause_is_kept_when_the_next_body_is_sent() -> None:
    """If a body's time ends before the pause that the receiver asked for, the next body waits for the pause's end."""
    pauses: list[float] = []
    with write_receiver(Reply(429, headers={"Retry-After": "30"}), Reply()) as receiver:
        sender = client(receiver, pauses)
        now_s = time.monotonic()
        with pytest.raises(ReceiverError, match="answered 429"):
            sender.send(Body(b"first"), deadline_s=now_s + 20)
        assert sender.asks_to_wait(now_s + 25)
        assert not sender.asks_to_wait(now_s + 60)
        assert pauses == []
        sender.send(Body(b"second"), deadline_s=now_s + 60)
        [pause_s] = pauses
        assert 20 < pause_s <= 30
        sender.send(Body(b"third"), deadline_s=now_s + 60)
    assert len(pauses) == 1
    assert [request.body for request in receiver.received] == [b"first", b"second", b"third"]


def test_a_push_waits_for_the_pause_between_two_bodies() -> None:
    """The body that was put off comes last, and nothing is sent within the pause that the receiver asked for."""
    pauses: list[float] = []
    bodies = [[b"first"], [b"second"], [b"third"]]
    with write_receiver(Reply(429, headers={"Retry-After": "40"}), Reply()) as receiver:
        sender = client(receiver, pauses)
        report = push_page(sender, bodies, lambda series: Body(series[0]), time.monotonic() + 60)
    assert [request.body for request in receiver.received] == [b"first", b"second", b"third", b"first"]
    assert (report.taken, report.unconfirmed) == (3, 0)
    assert [30 < pause_s <= 40 for pause_s in pauses] == [True]

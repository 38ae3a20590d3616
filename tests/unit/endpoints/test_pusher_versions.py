"""Which version of remote write a receiver gets, and what its counts of what was written mean."""

from __future__ import annotations

import pytest

from lib.kairo_metrics.exposition.page import Page
from tests.support.pushing import Pushing, page
from tests.support.write_receiver import Reply, WriteReceiver, write_receiver, written

UNSUPPORTED = Reply(415, "unsupported media type")
UNAWARE = Reply(204, headers={})


@pytest.mark.parametrize("answer", [UNSUPPORTED, UNAWARE])
def test_a_receiver_of_version_1_gets_version_1(answer: Reply) -> None:
    """It says 415, or says that all is well without having understood anything; then everything is sent again."""
    with write_receiver(answer, Reply(204, headers={})) as receiver:
        pushing = Pushing(receiver)
        outcome = pushing.push(page(native=True))
        assert [request.is_version_2 for request in receiver.received] == [True, False]
        assert outcome.protocol == "remote write 1.0"
        assert outcome.values.taken == 2 + 4
        pushing.push()
        assert [request.is_version_2 for request in receiver.received] == [True, False, False]


def test_a_receiver_that_changes_its_mind_gets_everything_in_version_1(receiver: WriteReceiver) -> None:
    """If the second body is not understood, the first one is sent again, too: nothing is missing."""
    receiver.refuse(lambda request: request.is_version_2 and len(request.samples) < 2_000, UNSUPPORTED)
    outcome = Pushing(receiver).push(page(*map(str, range(2_500))))
    assert (outcome.values.taken, outcome.values.refused) == (2_500, 0)
    assert [request.is_version_2 for request in receiver.received] == [True, True, False, False]


def test_a_receiver_that_refuses_all_of_version_2_gets_version_1() -> None:
    """Old receivers answer 400 to what they can't read; the standard tells senders to expect it."""
    with write_receiver(*[Reply(400, "bad request", headers={})] * 3, UNAWARE) as receiver:
        pushing = Pushing(receiver)
        outcome = pushing.push()
        assert (outcome.values.taken, outcome.values.refused) == (2, 0)
        pushing.push()
    assert [request.is_version_2 for request in receiver.received] == [True] * 3 + [False] * 2


def test_a_receiver_that_understands_and_refuses_is_believed() -> None:
    """With the headers of version 2 a refusal is about the samples: nothing is sent again by version 1."""
    headers = {f"X-Prometheus-Remote-Write-{part}-Written": "0" for part in ("Samples", "Histograms", "Exemplars")}
    with write_receiver(Reply(400, "out of order sample", headers=headers)) as receiver:
        outcome = Pushing(receiver).push()
    assert outcome.values.refused == 2
    assert all(request.is_version_2 for request in receiver.received)


def test_a_refusal_of_both_versions_is_that_of_the_newer_one() -> None:
    """Nothing is remembered of a receiver that takes neither."""
    with write_receiver(Reply(400, "no", headers={})) as receiver:
        pushing = Pushing(receiver)
        for _ in range(2):
            assert pushing.push().protocol == "remote write 2.0"
    assert [request.is_version_2 for request in receiver.received] == ([True] * 3 + [False] * 3) * 2


def test_version_1_alone_is_version_1_alone(receiver: WriteReceiver) -> None:
    """`remote-write-1` never tries the newer one; a 415 ends the push, because halves have the same type."""
    Pushing(receiver, "remote-write-1").push()
    assert [request.is_version_2 for request in receiver.received] == [False]
    with write_receiver(UNSUPPORTED) as refusing:
        outcome = Pushing(refusing, "remote-write-1").push()
    assert (len(refusing.received), outcome.values.ended) == (1, True)


def body_of(pushed: Page) -> bytes:
    """Return the body that remote write 2.0 sends for a page."""
    with write_receiver() as receiver:
        Pushing(receiver).push(pushed)
    return receiver.received[0].body


def test_a_receiver_that_has_written_less_is_told_on() -> None:
    """An answer of success with too small a count: the rest counts as refused, with the reason."""
    pushed = page("a", "b", "c")
    with write_receiver(Reply(204, headers=written(body_of(pushed), samples=1))) as receiver:
        outcome = Pushing(receiver).push(pushed)
    assert (outcome.values.taken, outcome.values.refused) == (2, 1)
    assert outcome.values.named == [(None, "127.0.0.1 answered 204 and has not written 1 of 3 samples")]
    assert len(receiver.received) == 1


def test_an_exemplar_that_is_not_written_costs_no_sample() -> None:
    """Prometheus answers 400 to an exemplar out of order and keeps all samples: they are taken, and it is told."""
    pushed = page("a", "b", exemplars=True)
    reply = Reply(400, "out of order exemplar", headers=written(body_of(pushed), exemplars=1))
    with write_receiver(reply) as receiver:
        outcome = Pushing(receiver).push(pushed)
    assert (outcome.values.taken, outcome.values.refused) == (2, 0)
    assert outcome.values.remarks == [
        "127.0.0.1 answered 400 and has not written 1 of 2 exemplars: out of order exemplar"
    ]
    assert len(receiver.received) == 1


def test_a_partial_write_is_searched_for_what_was_refused() -> None:
    """A 400 with a count: the halves show which series it was, and what was written is sent again harmlessly."""
    pushed = page("a", "b")
    headers = written(body_of(pushed), samples=1)
    none = dict.fromkeys(headers, "0")
    replies = [Reply(400, "out of order", headers=headers), Reply(), Reply(400, "out of order", headers=none)]
    with write_receiver(*replies) as receiver:
        outcome = Pushing(receiver).push(pushed)
    assert (outcome.values.taken, outcome.values.refused) == (1, 1)
    assert outcome.values.named[0][0] == 'jobs_total{instance="test",job="kairo",queue="a"}'


@pytest.mark.parametrize("count", ["", "many", "-1", "1" * 30])
def test_a_count_that_is_none_is_no_count(count: str) -> None:
    """A header that holds no whole number does not say that the receiver knows version 2."""
    headers = {"X-Prometheus-Remote-Write-Samples-Written": count}
    with write_receiver(Reply(204, headers=headers), UNAWARE) as receiver:
        assert Pushing(receiver).push().protocol == "remote write 1.0"

"""What an instance remembers of its batches: numbering, leases, gaps."""

from __future__ import annotations

import pytest

from lib.kairo_metrics.delivery.outbox import Outbox
from lib.kairo_metrics.errors import StoreUnavailable, UnknownScript
from lib.kairo_metrics.instruments.pending_series import PendingSeries
from lib.kairo_metrics.instruments.recorder import Recorder
from lib.kairo_metrics.model.batch import Applied, Batch, Duplicate, Gap, Refused, State, Unannounced
from lib.kairo_metrics.model.delivery_metrics import BATCHES, LOST, OVERFLOWED
from lib.kairo_metrics.store.apply_batch import WRITER_LEASE_S
from lib.kairo_metrics.store.replies import mark_sent_before
from lib.kairo_metrics.store.script_call import RESEND_LIMIT_S, call_script
from tests.support.instance import JOBS, WAIT


class Clock:
    """Both clocks of an instance, moved by hand."""

    def __init__(self) -> None:
        self.now_s = 1_000.0

    def __call__(self) -> float:
        return self.now_s


class Desk:
    """An outbox with its recorder and its clock."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.recorder = Recorder()
        self.outbox = Outbox(self.recorder, shards=1, clocks=(lambda: 0.0, self.clock))

    def add(self, amount: float = 1.0) -> None:
        with self.recorder.lock:
            self.recorder.add(PendingSeries(JOBS, 'queue="a"'), 1, amount, weight=amount)

    def next(self) -> Batch:
        """Record one increment and return what is to be sent."""
        self.add()
        batch = self.outbox.next()
        assert batch is not None
        return batch

    def deliver(self) -> Batch:
        """Send one increment to a store that applies it."""
        batch = self.next()
        self.outbox.settle(batch, Applied())
        return batch


def told(desk: Desk) -> dict[str, float]:
    """Give what the next batch will tell of losses and outcomes."""
    return {
        text: float(amounts.split()[1])
        for family in desk.recorder.seal(1).families
        if family.schema in {BATCHES, LOST}
        for text, amounts in family.series
    }


def told_next(desk: Desk) -> dict[str, float]:
    """Give what is told after the outbox has looked at its clock."""
    desk.outbox._replace_expired_writer()
    return told(desk)


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_batches_are_numbered_without_gaps_and_announce_once(desk: Desk) -> None:
    """A family's metadata travels with its first batch only."""
    first, second = desk.deliver(), desk.deliver()
    assert [first.seq, second.seq] == [1, 2]
    assert {family.schema for family in first.families if family.metadata} == {BATCHES, JOBS, OVERFLOWED}
    assert [family.metadata for family in second.families] == ["", ""]


def test_an_unsettled_batch_is_handed_out_again_before_a_new_one(desk: Desk) -> None:
    """What has no verdict yet goes first, unchanged, however much is recorded meanwhile."""
    batch = desk.next()
    desk.add()
    assert desk.outbox.next() == batch
    desk.outbox.settle(batch, Duplicate())
    following = desk.outbox.next()
    assert following is not None
    assert following.seq == 2


def test_an_unannounced_family_is_announced_under_the_same_number(desk: Desk) -> None:
    """A store that has lost its index gets the metadata again."""
    desk.deliver()
    batch = desk.next()
    desk.outbox.settle(batch, Unannounced((0,)))
    again = desk.outbox.next()
    assert again is not None
    assert again.seq == batch.seq
    assert again.families[0].metadata == JOBS.metadata()


def test_a_refused_family_is_counted_as_lost_and_the_batch_goes_on(desk: Desk) -> None:
    """Only the family whose key is foreign loses, and the page will say how much."""
    with desk.recorder.lock:
        desk.recorder.add(PendingSeries(WAIT, 'queue="a"'), 1, 0.5, weight=3.0)
    batch = desk.next()
    desk.outbox.settle(batch, Refused((0,)))
    rest = desk.outbox.next()
    assert rest is not None
    assert JOBS in {family.schema for family in rest.families}
    assert WAIT not in {family.schema for family in rest.families}
    assert told(desk) == {'family="wait_seconds"': 3.0}


def test_acknowledged_batches_are_sent_again_from_the_gap_on(desk: Desk) -> None:
    """A store that went back to a snapshot gets, in order, what it has lost."""
    sent = [desk.deliver() for _ in range(5)]
    batch = desk.next()
    desk.outbox.settle(batch, Gap(4))
    again = []
    while desk.outbox.unsettled:
        batch = desk.outbox.next() or pytest.fail("there is a batch")
        again.append(batch)
        desk.outbox.settle(batch, Applied())
    assert [batch.seq for batch in again] == [4, 5, 6]
    assert [batch.families for batch in again[:2]] == [batch.families for batch in sent[3:]]
    assert [batch.replaces for batch in again] == [1, 1, 0]


def test_what_can_not_be_replayed_makes_a_new_writer(desk: Desk) -> None:
    """When older batches than those still held are missing, the rest goes under a new id, and the loss is counted."""
    for _ in range(70):
        desk.deliver()
    writer = desk.outbox.writer
    desk.outbox.settle(desk.next(), Gap(1))
    first = desk.outbox.next()
    assert first is not None
    assert first.seq == 1
    assert first.families[0].metadata
    assert first.replaces == 1 + 6
    assert desk.outbox.writer != writer
    assert told(desk) == {'outcome="replayed"': 64, 'outcome="lost"': 6, 'family="jobs"': 6}


@pytest.mark.parametrize(
    ("state", "replayed"),
    [
        (State("blue", 5), False),  # as it was: the record was evicted
        (State("blue", 9), False),  # and others have gone on
        (State("blue", 4), True),  # a snapshot from before our last batch
        (State("green", 9), True),  # emptied, and others have begun
        (State(), True),  # emptied
    ],
)
def test_a_missing_record_is_told_from_a_lost_state(desk: Desk, state: State, replayed: bool) -> None:
    """Batches are sent again when the state went back or away, and only then."""
    sent = []
    for batches in (3, 4, 5):
        sent.append(desk.next())
        desk.outbox.settle(sent[-1], Applied(State("blue", batches)))
    batch = desk.next()
    desk.outbox.settle(batch, Gap(1, state))
    first = desk.outbox.next()
    assert first is not None
    assert first.seq == 1
    assert first.families[0].series == (sent[0] if replayed else batch).families[0].series
    assert bool(first.replaces) is replayed


def test_a_verdict_on_a_batch_that_is_settled_is_no_news(desk: Desk) -> None:
    """A flush that was given up and comes back late changes nothing."""
    batch = desk.deliver()
    following = desk.next()
    desk.outbox.settle(batch, Applied())
    assert desk.outbox.next() == following


def test_a_loaded_instance_has_no_identity_before_its_first_batch() -> None:
    """A snapshot of an instance that is started many times makes as many writers."""
    assert Desk().outbox._writer is None


def test_a_writer_silent_for_half_its_lease_takes_a_new_id(desk: Desk) -> None:
    """A frozen instance does not speak under a number that the store may have forgotten."""
    desk.deliver()
    writer = desk.outbox.writer
    desk.clock.now_s += WRITER_LEASE_S / 2
    batch = desk.next()
    assert desk.outbox.writer != writer
    assert batch.seq == 1


def test_after_the_lease_an_unsent_batch_is_kept_and_a_doubtful_one_is_lost(desk: Desk) -> None:
    """What certainly never left is sent under the new id; what may have been applied is not sent twice."""
    batch = desk.next()
    desk.clock.now_s += WRITER_LEASE_S
    kept = desk.outbox.next()
    assert kept is not None
    assert (kept.seq, kept.families) == (1, batch.families)
    desk.outbox.mark_sent(kept)
    desk.clock.now_s += WRITER_LEASE_S
    following = desk.outbox.next()
    assert following is not None
    assert {family.schema.name: family.series for family in following.families if family.series} == {
        "kairo_batches": (('outcome="lost"', "1 1.0"), ('outcome="applied"', "1 1.0")),
        "kairo_samples_lost": (('family="jobs"', "1 1.0"),),
    }


def test_what_told_of_losses_is_told_again_when_it_is_lost_itself(desk: Desk) -> None:
    """Batches lost one after the other, each with the news of those before: in the end the page has heard of all."""
    for _ in range(3):
        desk.outbox.mark_sent(desk.next())
        desk.clock.now_s += WRITER_LEASE_S
    telling = desk.outbox.next()
    assert telling is not None
    desk.outbox.mark_sent(telling)
    desk.clock.now_s += WRITER_LEASE_S
    desk.outbox._replace_expired_writer()
    assert told(desk)['family="jobs"'] == 3.0


def test_losses_among_what_is_kept_no_longer_are_told_again_too(desk: Desk) -> None:
    """A store that went back before the batch that told of a loss is told of it again."""
    desk.outbox.mark_sent(desk.next())
    desk.clock.now_s += WRITER_LEASE_S
    for _ in range(70):  # the first of them tells of a loss
        desk.deliver()
    desk.outbox.settle(desk.next(), Gap(1))
    assert told(desk)['family="jobs"'] == 1.0 + 6.0


def test_a_gap_told_before_a_long_sleep_is_closed_under_a_new_id(desk: Desk) -> None:
    """An instance frozen while it waited for the answer sends again what was missing, and not by the old numbers."""
    sent = [desk.deliver() for _ in range(3)]
    writer, batch = desk.outbox.writer, desk.next()
    desk.clock.now_s += WRITER_LEASE_S
    desk.outbox.settle(batch, Gap(2))
    following = desk.outbox.next()
    assert following is not None
    assert (following.seq, following.families[0].series) == (1, sent[1].families[0].series)
    assert following.replaces
    assert desk.outbox.writer != writer
    assert told(desk) == {'outcome="replayed"': 2.0}


def test_a_batch_that_came_too_early_is_doubtful_once_the_gap_is_closed(desk: Desk) -> None:
    """The link may have sent it twice: then the copy that is under way is applied when those before it have been."""
    sent = [desk.deliver() for _ in range(3)]
    desk.outbox.settle(desk.next(), Gap(3))
    again = desk.outbox.next()
    assert again is not None
    assert again.families[0].series == sent[2].families[0].series
    desk.outbox.settle(again, Applied())
    desk.clock.now_s += WRITER_LEASE_S
    assert told_next(desk) == {'family="jobs"': 1.0, 'outcome="lost"': 1.0, 'outcome="replayed"': 1.0}


def test_a_batch_that_came_too_early_is_safe_while_one_before_it_is_here(desk: Desk) -> None:
    """Nothing of it can have been applied, so a new writer sends both."""
    sent = [desk.deliver() for _ in range(3)]
    early = desk.next()
    desk.outbox.settle(early, Gap(3))
    desk.clock.now_s += WRITER_LEASE_S
    for number, batch in enumerate((sent[2], early), start=1):
        again = desk.outbox.next()
        assert again is not None
        assert (again.seq, again.families[0].series) == (number, batch.families[0].series)
        desk.outbox.settle(again, Applied())
    assert LOST not in {family.schema for family in desk.recorder.seal(1).families}


def test_an_answer_is_as_old_as_its_question(desk: Desk) -> None:
    """A batch that was applied before a long sleep does not renew the writer: its record has gone meanwhile."""
    writer, batch = desk.outbox.writer, desk.next()
    desk.clock.now_s += WRITER_LEASE_S
    desk.outbox.settle(batch, Applied())
    assert desk.next().seq == 1
    assert desk.outbox.writer != writer


def test_a_forgotten_script_is_not_sent_after_a_long_sleep() -> None:
    """An instance frozen between two commands of one flush gives it up: its record may have gone."""
    clock = Clock()
    steps = call_script("apply.lua", (0,), clock)
    assert next(steps)[0] == "EVALSHA"
    clock.now_s += RESEND_LIMIT_S + 1
    with pytest.raises(StoreUnavailable, match="frozen"):
        steps.throw(UnknownScript("NOSCRIPT"))


def test_a_batch_that_may_be_under_way_stays_in_doubt_when_the_script_is_unknown() -> None:
    """Sent twice and answered once with NOSCRIPT, a batch may still arrive, though the script can't be sent along."""
    steps = call_script("apply.lua", (0,), Clock())
    next(steps)
    [unknown] = mark_sent_before([UnknownScript("NOSCRIPT")], sent=True)
    assert steps.throw(unknown)[0] == "EVAL"
    with pytest.raises(StoreUnavailable) as refused:
        steps.throw(StoreUnavailable("refused"))
    assert refused.value.sent

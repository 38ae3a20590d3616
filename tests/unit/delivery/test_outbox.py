"""How an outbox numbers batches, renews its id, and closes gaps."""

from __future__ import annotations

import pytest

from lib.kairo_metrics.delivery.outbox import Outbox
from lib.kairo_metrics.errors import StoreUnavailable, UnknownScript
from lib.kairo_metrics.instruments.pending_series import PendingSeries
from lib.kairo_metrics.instruments.recorder import Recorder
from lib.kairo_metrics.instruments.sealing import seal
from lib.kairo_metrics.model.batch import WRITER_LEASE_S, Applied, Batch, Duplicate, Gap, Refused, State, Unannounced
from lib.kairo_metrics.model.delivery_metrics import BATCHES, LOST, OVERFLOWED
from lib.kairo_metrics.store.replies import mark_sent_before
from lib.kairo_metrics.store.script_call import RESEND_LIMIT_S, call_script
from tests.support.instance import JOBS, WAIT


class Clock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now_s = 1_000.0

    def __call__(self) -> float:
        return self.now_s


class Desk:
    """An outbox with its recorder and its clock; the monotonic clock stands still, as in a frozen instance."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.recorder = Recorder((lambda: 0.0, self.clock))
        self.outbox = Outbox(self.recorder, shards=1)

    def add(self, amount: float = 1.0) -> None:
        with self.recorder.lock:
            self.recorder.add(PendingSeries(JOBS, 'queue="a"'), 1, amount, weight=amount)

    def next(self) -> Batch:
        """Record one increment, and return the batch to send."""
        self.add()
        batch = self.outbox.next()
        assert batch is not None
        return batch

    def deliver(self) -> Batch:
        """Send one increment to a store that applies it."""
        batch = self.next()
        self.outbox.settle(batch, Applied())
        return batch


def counted(desk: Desk) -> dict[str, float]:
    """Return the losses and outcomes that the next batch has counted."""
    return {
        text: float(amounts.split()[1])
        for family in seal(desk.recorder, 1).families
        if family.schema in {BATCHES, LOST}
        for text, amounts in family.series
    }


def counted_later(desk: Desk) -> dict[str, float]:
    """Return the same after the outbox has looked at its clock."""
    desk.outbox._replace_expired_writer(desk.recorder.now())
    return counted(desk)


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_batches_are_numbered_without_gaps_and_announce_once(desk: Desk) -> None:
    """Batches have the numbers 1, 2, 3, and a family's metadata is in its first batch only."""
    first, second = desk.deliver(), desk.deliver()
    assert [first.seq, second.seq] == [1, 2]
    assert {family.schema for family in first.families if family.metadata} == {BATCHES, JOBS, OVERFLOWED}
    assert [(family.schema, family.metadata) for family in second.families] == [(JOBS, "")]


def test_an_unsettled_batch_is_sent_again_before_a_new_one(desk: Desk) -> None:
    """A batch without a verdict is sent again unchanged, whatever was recorded meanwhile."""
    batch = desk.next()
    desk.add()
    assert desk.outbox.next() == batch
    desk.outbox.settle(batch, Duplicate())
    following = desk.outbox.next()
    assert following is not None
    assert following.seq == 2


def test_an_unannounced_family_is_announced_under_the_same_number(desk: Desk) -> None:
    """A store that has lost its index gets the metadata with the same batch number."""
    desk.deliver()
    batch = desk.next()
    desk.outbox.settle(batch, Unannounced((0,)))
    again = desk.outbox.next()
    assert again is not None
    assert again.seq == batch.seq
    assert again.families[0].metadata == JOBS.metadata()


def test_a_refused_family_is_counted_as_lost_and_the_rest_is_sent(desk: Desk) -> None:
    """Only the family whose key holds something else is lost, and its loss is counted."""
    with desk.recorder.lock:
        desk.recorder.add(PendingSeries(WAIT, 'queue="a"'), 1, 0.5, weight=3.0)
    batch = desk.next()
    desk.outbox.settle(batch, Refused((0,)))
    rest = desk.outbox.next()
    assert rest is not None
    assert JOBS in {family.schema for family in rest.families}
    assert WAIT not in {family.schema for family in rest.families}
    assert counted(desk) == {'family="wait_seconds"': 3.0}


def test_acknowledged_batches_are_sent_again_from_the_gap_on(desk: Desk) -> None:
    """A store that went back to a snapshot gets the batches that it has lost, in order."""
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


def test_a_gap_before_the_kept_batches_makes_a_new_writer(desk: Desk) -> None:
    """If the store has lost batches that are not kept any more, the rest gets a new id, and the loss is counted."""
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
    assert counted(desk) == {'outcome="replayed"': 64, 'outcome="lost"': 6, 'family="jobs"': 6}


@pytest.mark.parametrize(
    ("state", "replayed"),
    [
        (State("blue", 5), False),  # unchanged: the writer's record was evicted
        (State("blue", 9), False),  # the same, and others have written
        (State("blue", 4), True),  # a snapshot from before our last batch
        (State("green", 9), True),  # emptied, and others have written
        (State(), True),  # emptied
    ],
)
def test_an_evicted_record_is_not_taken_for_a_lost_state(desk: Desk, state: State, replayed: bool) -> None:
    """Batches are sent again only if the state went back or is gone."""
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


def test_a_verdict_on_a_settled_batch_changes_nothing(desk: Desk) -> None:
    """A late verdict, of a flush that was given up, does not settle the next batch."""
    batch = desk.deliver()
    following = desk.next()
    desk.outbox.settle(batch, Applied())
    assert desk.outbox.next() == following


def test_a_loaded_instance_has_no_identity_before_its_first_batch() -> None:
    """Instances that a platform starts from one snapshot are different writers."""
    assert Desk().outbox._writer is None


def test_a_writer_silent_for_half_its_lease_takes_a_new_id(desk: Desk) -> None:
    """A frozen instance does not send under an id whose record the store may have dropped."""
    desk.deliver()
    writer = desk.outbox.writer
    desk.clock.now_s += WRITER_LEASE_S / 2
    batch = desk.next()
    assert desk.outbox.writer != writer
    assert batch.seq == 1


def test_after_the_lease_an_unsent_batch_is_kept_and_a_doubtful_one_is_lost(desk: Desk) -> None:
    """A batch that was never sent goes under the new id; one that may have been applied is not sent twice."""
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
        "kairo_batches": (('outcome="lost"', "1 1.0"),),
        "kairo_samples_lost": (('family="jobs"', "1 1.0"),),
    }


def test_a_late_word_of_an_old_attempt_ends_no_doubt(desk: Desk) -> None:
    """A batch that may be applied stays in doubt if an attempt under an earlier id ends long afterwards, unsent."""
    old = desk.next()
    desk.outbox.mark_sent(old)
    desk.outbox.mark_unsent(old)
    assert not desk.outbox.may_be_applied(old)
    desk.clock.now_s += WRITER_LEASE_S
    renumbered = desk.outbox.next()
    assert renumbered is not None
    assert renumbered.seq == old.seq
    desk.outbox.mark_sent(renumbered)
    desk.outbox.mark_unsent(old)
    assert desk.outbox.may_be_applied(renumbered)


def test_a_lost_count_of_losses_is_counted_again(desk: Desk) -> None:
    """If the batch that counts a loss is lost itself, the next one counts both."""
    for _ in range(3):
        desk.outbox.mark_sent(desk.next())
        desk.clock.now_s += WRITER_LEASE_S
    last = desk.outbox.next()
    assert last is not None
    desk.outbox.mark_sent(last)
    desk.clock.now_s += WRITER_LEASE_S
    desk.outbox._replace_expired_writer(desk.recorder.now())
    assert counted(desk)['family="jobs"'] == 3.0


def test_a_lost_count_of_losses_in_a_batch_not_kept_is_counted_again(desk: Desk) -> None:
    """A store that went back to before the batch that counted a loss gets the count again."""
    desk.outbox.mark_sent(desk.next())
    desk.clock.now_s += WRITER_LEASE_S
    for _ in range(70):  # the first of them counts the loss
        desk.deliver()
    desk.outbox.settle(desk.next(), Gap(1))
    assert counted(desk)['family="jobs"'] == 1.0 + 6.0


def test_a_gap_found_before_a_long_freeze_is_closed_under_a_new_id(desk: Desk) -> None:
    """An instance that was frozen while it waited for the verdict sends the missing batches under a new id."""
    sent = [desk.deliver() for _ in range(3)]
    writer, batch = desk.outbox.writer, desk.next()
    desk.clock.now_s += WRITER_LEASE_S
    desk.outbox.settle(batch, Gap(2))
    following = desk.outbox.next()
    assert following is not None
    assert (following.seq, following.families[0].series) == (1, sent[1].families[0].series)
    assert following.replaces
    assert desk.outbox.writer != writer
    assert counted(desk) == {'outcome="replayed"': 2.0}


def test_a_batch_sent_too_early_is_doubtful_once_the_gap_is_closed(desk: Desk) -> None:
    """The client may have sent it twice, and its copy can be applied once the batches before it are."""
    sent = [desk.deliver() for _ in range(3)]
    desk.outbox.settle(desk.next(), Gap(3))
    again = desk.outbox.next()
    assert again is not None
    assert again.families[0].series == sent[2].families[0].series
    desk.outbox.settle(again, Applied())
    desk.clock.now_s += WRITER_LEASE_S
    assert counted_later(desk) == {
        'family="jobs"': 1.0,
        'outcome="lost"': 1.0,
        'outcome="replayed"': 1.0,
    }


def test_a_batch_sent_too_early_is_safe_while_an_earlier_one_is_unsettled(desk: Desk) -> None:
    """It can't have been applied, so a new writer sends both."""
    sent = [desk.deliver() for _ in range(3)]
    early = desk.next()
    desk.outbox.settle(early, Gap(3))
    desk.clock.now_s += WRITER_LEASE_S
    for number, batch in enumerate((sent[2], early), start=1):
        again = desk.outbox.next()
        assert again is not None
        assert (again.seq, again.families[0].series) == (number, batch.families[0].series)
        desk.outbox.settle(again, Applied())
    assert LOST not in {family.schema for family in seal(desk.recorder, 1).families}


def test_a_verdict_is_as_old_as_its_request(desk: Desk) -> None:
    """A batch that was applied before a long freeze does not renew the writer: its record may be gone."""
    writer, batch = desk.outbox.writer, desk.next()
    desk.clock.now_s += WRITER_LEASE_S
    desk.outbox.settle(batch, Applied())
    assert desk.next().seq == 1
    assert desk.outbox.writer != writer


def test_an_unknown_script_is_not_sent_after_a_long_freeze() -> None:
    """An instance that was frozen between two commands of one flush gives it up: its record may be gone."""
    clock = Clock()
    steps = call_script("apply.lua", (0,), clock)
    assert next(steps)[0] == "EVALSHA"
    clock.now_s += RESEND_LIMIT_S + 1
    with pytest.raises(StoreUnavailable, match="frozen"):
        steps.throw(UnknownScript("NOSCRIPT"))


def test_a_batch_sent_twice_stays_doubtful_when_the_script_is_unknown() -> None:
    """A batch that was sent twice and got one NOSCRIPT may still be applied, though its script can't be sent."""
    steps = call_script("apply.lua", (0,), Clock())
    next(steps)
    [unknown] = mark_sent_before([UnknownScript("NOSCRIPT")], sent=True)
    assert steps.throw(unknown)[0] == "EVAL"
    with pytest.raises(StoreUnavailable) as refused:
        steps.throw(StoreUnavailable("refused"))
    assert refused.value.sent
